/** Making test keys, reading them from a file, and putting keys on a token. */
import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { HsmError } from './fault.ts'
import { kcvOf } from './kcv.ts'
import { isAlgorithm, keyBytes, labelOf, purposeOf } from './key.ts'
import type { Algorithm } from './key.ts'
import type { ClearKey } from './objects.ts'
import { objectsOf } from './objects.ts'
import { openPkcs11Token } from './pkcs11/token.ts'
import { setOddParity } from './soft.ts'
import type { Token } from './token.ts'

/** The keys a system of this project runs on, until a ceremony replaces them. */
const testKeys: readonly { readonly ref: string; readonly algorithm: Algorithm }[] = [
  { ref: 'tpk.acq1.in', algorithm: 'DES2' },
  { ref: 'tak.acq1.both', algorithm: 'DES2' },
  { ref: 'zpk.knet.out', algorithm: 'DES2' },
  { ref: 'zak.knet.both', algorithm: 'AES-128' },
  { ref: 'zpk.visa.out', algorithm: 'DES2' },
  { ref: 'zak.visa.both', algorithm: 'DES2' },
  { ref: 'zpk.mastercard.out', algorithm: 'DES2' },
  { ref: 'zak.mastercard.both', algorithm: 'AES-128' },
  { ref: 'zpk.issuer-host.out', algorithm: 'AES-128' },
  { ref: 'zak.issuer-host.both', algorithm: 'AES-128' },
  // What new keys of the networks travel under.
  { ref: 'kbpk.knet.both', algorithm: 'AES-256' },
  { ref: 'kbpk.visa.both', algorithm: 'AES-256' },
  { ref: 'kbpk.mastercard.both', algorithm: 'AES-256' },
  { ref: 'kbpk.issuer-host.both', algorithm: 'AES-256' },
  { ref: 'fpk.vault.both', algorithm: 'HMAC' },
  { ref: 'kek.vault.both', algorithm: 'AES-256' },
  { ref: 'sign.books.both', algorithm: 'EC-P256' },
]

interface KeyFileEntry {
  readonly ref: string
  readonly version: number
  readonly algorithm: Algorithm
  readonly value: string
  readonly kcv: string
}

/** Makes random test keys and writes them to `file`, readable by its owner only. */
export function writeTestKeys(file: string): void {
  const keys = testKeys.map(({ ref, algorithm }): KeyFileEntry => {
    const value = randomKey(algorithm)
    return {
      ref,
      version: 1,
      algorithm,
      value: value.toString('hex').toUpperCase(),
      kcv: kcvOf(algorithm, value),
    }
  })
  writeFileSync(file, `${JSON.stringify({ keys }, null, 2)}\n`, { mode: 0o600 })
  chmodSync(file, 0o600)
}

/** A fresh key; DES halves differ and have odd parity. */
export function randomKey(algorithm: Algorithm): Buffer {
  const value = randomBytes(keyBytes[algorithm])
  if (algorithm === 'DES2' || algorithm === 'DES3') setOddParity(value)
  return value
}

/** The keys of a key file. Throws when an entry is not a key that may exist, or its check value is another's. */
export function readKeyFile(file: string): ClearKey[] {
  return readKeys(readFileSync(file, 'utf8'))
}

function readKeys(text: string): ClearKey[] {
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed !== 'object' || parsed === null || !('keys' in parsed) || !Array.isArray(parsed.keys)) {
    throw new Error('the key file has no list of keys')
  }
  return parsed.keys.map((entry: unknown, index) => readEntry(entry, index))
}

function readEntry(entry: unknown, index: number): ClearKey {
  const bad = (what: string): Error => new Error(`key ${index} of the key file: ${what}`)
  if (typeof entry !== 'object' || entry === null) throw bad('not an object')
  const { ref, version = 1, algorithm, value, kcv } = entry as Record<string, unknown>
  if (typeof ref !== 'string' || typeof algorithm !== 'string' || !isAlgorithm(algorithm)) {
    throw bad('reference or algorithm is missing or unknown')
  }
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1 || version > 999) {
    throw bad('the version is not a whole number from 1 to 999')
  }
  if (typeof value !== 'string' || !/^([0-9A-Fa-f]{2})+$/.test(value))
    throw bad('the value is not hexadecimal')
  const key = clearKey({ ref, version, algorithm, value: Buffer.from(value, 'hex') })
  if (kcv !== undefined && kcv !== key.kcv) throw bad('the check value is not this key’s')
  return key
}

/**
 * A key with its purpose and check value. Throws `HsmError` `refused` (`badRequest`) when the reference cannot
 * name a key of this algorithm or the length is wrong.
 */
export function clearKey(key: {
  readonly ref: string
  readonly version: number
  readonly algorithm: Algorithm
  readonly value: Buffer
}): ClearKey {
  const purpose = purposeOf(key.ref, key.algorithm)
  const bytes = keyBytes[key.algorithm]
  const fits = key.algorithm === 'HMAC' ? key.value.length > 0 : key.value.length === bytes
  if (purpose === undefined || !fits) throw new HsmError({ kind: 'refused', why: 'badRequest' })
  return { ...key, ...purpose, kcv: kcvOf(key.algorithm, key.value) }
}

export interface TokenAddress {
  /** Path of the PKCS#11 library. */
  readonly module: string
  readonly tokenLabel: string
  /** File that holds the token's user PIN. */
  readonly pinFile: string
}

/**
 * Puts the keys of a key file on a token, each object with all its flags set explicitly; a key already there
 * with the same check value is left alone. SOFTHSM2_CONF must be set before the process starts. Throws when a
 * version is there with another value: versions are never overwritten.
 */
export async function loadKeys(
  options: TokenAddress & { readonly keyFile: string },
): Promise<{ loaded: number; kept: number }> {
  return putKeys(options, readFileSync(options.keyFile, 'utf8'))
}

/** `loadKeys` with the text of a key file. */
export async function putKeys(
  address: TokenAddress,
  text: string,
): Promise<{ loaded: number; kept: number }> {
  const keys = readKeys(text)
  const token = await openPkcs11Token(address)
  try {
    const there = new Map(token.objects().map((object) => [object.label, object.id]))
    let loaded = 0
    let kept = 0
    for (const key of keys) {
      for (const object of objectsOf(key)) {
        const id = there.get(object.label)
        if (id === undefined) {
          token.create(object)
          loaded++
        } else if (id === object.id) {
          kept++
        } else {
          throw new Error(`${labelOf(key.ref, key.version)} is on the token with another check value`)
        }
        if (object.value !== key.value) object.value.fill(0)
      }
      key.value.fill(0)
    }
    return { loaded, kept }
  } finally {
    token.close()
  }
}

/** All objects of one key version. */
export function destroyKey(token: Token, label: string): void {
  for (const object of token.objects()) {
    if (object.label === label || object.label.startsWith(`${label}#`)) token.destroy(object.label)
  }
}
