import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { SimulatorError } from './fault.ts'

/**
 * The simulators' own cryptography, apart from the HSM room on purpose: a fault in that room must not be able to
 * agree with itself on both ends of a line. Test keys only; nothing here is meant to protect anything.
 */
export interface TestKey {
  readonly ref: string
  readonly algorithm: KeyAlgorithm
  readonly value: Buffer
}

type KeyAlgorithm = keyof typeof keyBytes

// HMAC is the vault's alone; it is here so that one key file serves everybody.
const keyBytes = { DES2: 16, DES3: 24, AES128: 16, AES192: 24, AES256: 32, HMAC: 32 } as const

/** The file the environment writes: `{"keys":[{"ref":"tpk.acq1.in","algorithm":"DES2","value":"HEX"}]}`. */
export async function readKeyFile(path: string): Promise<ReadonlyMap<string, TestKey>> {
  const keys = new Map<string, TestKey>()
  for (const entry of keyEntries(await readFile(path, 'utf8'))) keys.set(entry.ref, entry)
  return keys
}

/** The key by its name; a name that is not in the file is a fault. */
export function keyNamed(keys: ReadonlyMap<string, TestKey>, ref: string): TestKey {
  const key = keys.get(ref)
  if (key === undefined) throw new SimulatorError({ kind: 'key', ref, why: 'unknown' })
  return key
}

function keyEntries(text: string): TestKey[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new SimulatorError({ kind: 'keyFile', why: 'not JSON' })
  }
  const keys = (parsed as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) throw new SimulatorError({ kind: 'keyFile', why: 'no keys' })
  const entries = keys as readonly Partial<Record<string, unknown>>[]
  // A key that signs is the switch's alone.
  return entries.filter(({ algorithm }) => algorithm !== 'EC-P256').map(keyEntry)
}

function keyEntry({ ref, algorithm, value }: Partial<Record<string, unknown>>): TestKey {
  if (typeof ref !== 'string' || typeof algorithm !== 'string' || typeof value !== 'string') {
    throw new SimulatorError({ kind: 'keyFile', why: 'an entry lacks ref, algorithm or value' })
  }
  // The file says `AES-128`.
  const name = algorithm.replace('-', '')
  if (!(name in keyBytes)) throw new SimulatorError({ kind: 'keyFile', why: `algorithm of ${ref}` })
  const bytes = Buffer.from(value, 'hex')
  if (bytes.length !== keyBytes[name as KeyAlgorithm] || value.length !== bytes.length * 2) {
    throw new SimulatorError({ kind: 'key', ref, why: 'wrongSize' })
  }
  return { ref, algorithm: name as KeyAlgorithm, value: bytes }
}

/** The seal of `data`: 8 bytes. A DES key makes a retail MAC, an AES key a CMAC cut to its first 8 bytes. */
export function seal(key: TestKey, data: Uint8Array): Buffer {
  return key.algorithm.startsWith('AES')
    ? aesCmac(key.value, data).subarray(0, 8)
    : retailMac(key.value, data)
}

export function sealHolds(key: TestKey, data: Uint8Array, mac: Uint8Array): boolean {
  return mac.length === 8 && timingSafeEqual(seal(key, data), mac)
}

/** The PIN as it leaves a terminal: format 0, encrypted under `key`. */
export function encryptPin(key: TestKey, { pin, pan }: { pin: string; pan: string }): Buffer {
  return tripleDes(key.value, pinBlock0({ pin, pan }), 'encrypt')
}

/** The PIN in an encrypted format 0 block, or undefined when the block is not one for this card and key. */
export function decryptPin(
  key: TestKey,
  { block, pan }: { block: Uint8Array; pan: string },
): string | undefined {
  if (block.length === 16) return pinOfBlock4(key, block, pan)
  if (block.length !== 8) return undefined
  return pinOfBlock0(tripleDes(key.value, block, 'decrypt'), pan)
}

/**
 * ISO 9564-1 format 0: `0`, PIN length, PIN, filler `F`; exclusive-ored with the rightmost 12 digits of the card
 * number without its check digit.
 */
export function pinBlock0({ pin, pan }: { pin: string; pan: string }): Buffer {
  const field = Buffer.from(`0${pin.length.toString(16)}${pin}`.padEnd(16, 'F'), 'hex')
  return xor(field, panField(pan))
}

export function pinOfBlock0(block: Uint8Array, pan: string): string | undefined {
  const field = xor(block, panField(pan)).toString('hex')
  const length = Number.parseInt(field.charAt(1), 16)
  const pin = field.slice(2, 2 + length)
  const filler = field.slice(2 + length)
  if (!field.startsWith('0') || length < 4 || length > 12) return undefined
  return /^[0-9]+$/.test(pin) && /^f*$/.test(filler) ? pin : undefined
}

/**
 * ISO 9564-1 format 4 under an AES key: the PIN field, encrypted, exclusive-ored with the field of the card number, and
 * encrypted again.
 */
function pinOfBlock4(key: TestKey, block: Uint8Array, pan: string): string | undefined {
  if (!key.algorithm.startsWith('AES')) return undefined
  const field = aesBlock(key.value, xor(aesBlock(key.value, block), panField4(pan))).toString('hex')
  const length = Number.parseInt(field.charAt(1), 16)
  const pin = field.slice(2, 2 + length)
  if (!field.startsWith('4') || length < 4 || length > 12) return undefined
  return /^[0-9]+$/.test(pin) && /^a*$/.test(field.slice(2 + length, 16)) ? pin : undefined
}

/** One digit for how many more than twelve there are, the number, zeros. */
function panField4(pan: string): Buffer {
  return Buffer.from(`${Math.max(0, pan.length - 12)}${pan.padStart(12, '0')}`.padEnd(32, '0'), 'hex')
}

function aesBlock(key: Buffer, block: Uint8Array): Buffer {
  const decipher = createDecipheriv(`aes-${key.length * 8}-ecb`, secret(key), null).setAutoPadding(false)
  return Buffer.concat([decipher.update(block), decipher.final()])
}

/** ISO/IEC 9797-1 MAC algorithm 3 with DES, padding method 1 (zeros, none when the data fills its blocks). */
export function retailMac(key: Buffer, data: Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.max(8, Math.ceil(data.length / 8) * 8))
  padded.set(data)
  // A DES2 key of two equal halves is single DES, which today's OpenSSL no longer offers under its own name.
  const single = Buffer.concat([key.subarray(0, 8), key.subarray(0, 8), key.subarray(0, 8)])
  const chain = padded.length === 8 ? Buffer.alloc(8) : cbcTail(single, padded.subarray(0, -8))
  return tripleDes(key, xor(chain, padded.subarray(-8)), 'encrypt')
}

/** NIST SP 800-38B, 16 bytes. */
export function aesCmac(key: Buffer, data: Uint8Array): Buffer {
  const whole = data.length > 0 && data.length % 16 === 0
  const padded = Buffer.alloc(Math.max(16, Math.ceil(data.length / 16) * 16))
  padded.set(data)
  if (!whole) padded[data.length] = 0x80
  const first = doubled(aesCbc(key, Buffer.alloc(16)))
  const last = padded.subarray(-16)
  last.set(xor(last, whole ? first : doubled(first)))
  return aesCbc(key, padded).subarray(-16)
}

/** What people compare: six hexadecimal digits of the enciphered zero block (DES), or of its CMAC (AES). */
export function kcvOf(key: TestKey): string {
  const value = key.algorithm.startsWith('AES')
    ? aesCmac(key.value, Buffer.alloc(16))
    : tripleDes(key.value, Buffer.alloc(8), 'encrypt')
  return value.toString('hex', 0, 3).toUpperCase()
}

/** The lowest bit of each byte makes the number of its ones odd, as keys of DES have it. */
export function oddParity(value: Buffer): Buffer {
  return Buffer.from(
    value.map((byte) => {
      let ones = 0
      for (let bit = 1; bit < 8; bit++) ones += (byte >> bit) & 1
      return (byte & 0xfe) | (ones % 2 === 0 ? 1 : 0)
    }),
  )
}

function panField(pan: string): Buffer {
  return Buffer.from(pan.slice(-13, -1).padStart(16, '0'), 'hex')
}

const secrets = new Map<string, KeyObject>()

/** Node takes a key object in a fifth of the time that it takes bytes (36 us and 7 us for one AES block). */
function secret(key: Buffer): KeyObject {
  const name = key.toString('latin1')
  const known = secrets.get(name) ?? createSecretKey(key)
  secrets.set(name, known)
  return known
}

function tripleDes(key: Buffer, block: Uint8Array, direction: 'encrypt' | 'decrypt'): Buffer {
  const make = direction === 'encrypt' ? createCipheriv : createDecipheriv
  const cipher = make(key.length === 16 ? 'des-ede' : 'des-ede3', secret(key), null).setAutoPadding(false)
  return Buffer.concat([cipher.update(block), cipher.final()])
}

function cbcTail(key: Buffer, data: Uint8Array): Buffer {
  const cipher = createCipheriv('des-ede3-cbc', secret(key), Buffer.alloc(8)).setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()]).subarray(-8)
}

function aesCbc(key: Buffer, data: Uint8Array): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-cbc`, secret(key), Buffer.alloc(16)).setAutoPadding(
    false,
  )
  return Buffer.concat([cipher.update(data), cipher.final()])
}

/** Doubling in GF(2^128), as the subkeys of CMAC need it. */
function doubled(block: Buffer): Buffer {
  const value = BigInt(`0x${block.toString('hex')}`) << 1n
  const reduced = (value & ((1n << 128n) - 1n)) ^ (value >> 128n === 0n ? 0n : 0x87n)
  return Buffer.from(reduced.toString(16).padStart(32, '0'), 'hex')
}

function xor(left: Uint8Array, right: Uint8Array): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ right[index]!))
}
