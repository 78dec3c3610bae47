/**
 * Key blocks (ANSI X9.143, formerly TR-31): a key, and what it may do, sealed under a key block protection key.
 * Versions B and D are read and written; A and C, whose sealing is weaker, are read only. No PKCS#11 token knows
 * them, so here the key is in this process's memory for the moment of import, in a buffer that is wiped.
 */
import { timingSafeEqual } from 'node:crypto'
import { HsmError } from '../fault.ts'
import { cipherOf } from '../key-table.ts'
import type { LoadedKey } from '../key-table.ts'
import type { Algorithm, Mode, Usage } from '../key.ts'
import { cmac, decipher, encipher } from '../soft.ts'
import type { Context } from './context.ts'
import { badRequest } from './request.ts'
import { ownBytes, withSecret } from '../memory.ts'

export interface BlockHeader {
  readonly version: 'A' | 'B' | 'C' | 'D'
  readonly usage: string
  /** `T` TDES, `A` AES, `D` DES, `H` HMAC. */
  readonly algorithm: string
  readonly mode: string
  readonly keyVersion: string
  readonly exportability: string
}

const shapes = {
  A: { cipher: 'des3', macBytes: 4 },
  B: { cipher: 'des3', macBytes: 8 },
  C: { cipher: 'des3', macBytes: 4 },
  D: { cipher: 'aes', macBytes: 16 },
} as const

const headerChars = 16
const blockCharsMax = 9_992

/**
 * Opens a key block and lends its key. Throws `HsmError` `refused` (`badRequest`) for a block that is malformed
 * or was changed, with no word on which.
 */
export function withKeyBlock<Result>(
  context: Context,
  { kbpk, block }: { readonly kbpk: string; readonly block: string },
  use: (key: Buffer, header: BlockHeader) => Result,
): Result {
  const header = readHeader(block)
  const { cipher, macBytes } = shapes[header.version]
  const protector = protection(context, kbpk, cipher, ['B', 'D'])
  const bodyAt = bodyStart(block)
  const body = packHex(block.slice(bodyAt))
  const blockBytes = cipher === 'aes' ? 16 : 8
  const sealed = body.subarray(0, -macBytes)
  if (sealed.length < blockBytes || sealed.length % blockBytes !== 0) throw badRequest()
  const mac = body.subarray(-macBytes)
  const text = block.slice(0, bodyAt)
  const open = header.version === 'A' || header.version === 'C' ? openVariant : openDerived
  return withSecret(sealed.length, (clear) => {
    open(context, protector, { text, sealed, mac, clear })
    const bits = clear.readUInt16BE(0)
    if (bits === 0 || bits % 8 !== 0 || bits / 8 > clear.length - 2) throw badRequest()
    return withSecret(bits / 8, (key) => {
      clear.copy(key, 0, 2, 2 + key.length)
      return use(key, header)
    })
  })
}

/** A version B or D block of `key`, for a peer that holds the same protection key. */
export function sealKeyBlock(
  context: Context,
  {
    kbpk,
    key,
    ...header
  }: {
    readonly kbpk: string
    readonly key: Buffer
    readonly usage: Usage
    readonly algorithm: Algorithm
    readonly mode: Mode
    readonly keyVersion: string
    readonly exportability: 'E' | 'N' | 'S'
  },
): string {
  const protector = context.keys.active(kbpk, ['K1'], ['B', 'E'])
  const cipher = cipherOf(protector.name.algorithm)
  const { macBytes, version } =
    cipher === 'aes' ? { ...shapes.D, version: 'D' } : { ...shapes.B, version: 'B' }
  const blockBytes = cipher === 'aes' ? 16 : 8
  // The longest key of the algorithm sets the length, so that the block does not show the key's (X9.143 5.3).
  const longest = cipher === 'aes' ? 32 : 24
  const clearBytes = Math.ceil((2 + Math.max(longest, key.length)) / blockBytes) * blockBytes
  const length = headerChars + 2 * (clearBytes + macBytes)
  const text = `${version}${length.toString().padStart(4, '0')}${header.usage}${algorithmCode(header.algorithm)}${header.mode}${header.keyVersion}${header.exportability}0000`
  return withSecret(clearBytes, (clear) => {
    const padding = ownBytes(clearBytes - 2 - key.length)
    context.random(padding)
    clear.writeUInt16BE(key.length * 8, 0)
    clear.set(key, 2)
    clear.set(padding, 2 + key.length)
    return withDerivedPair(context, protector, (sealing, authenticating) => {
      const covered = ownBytes(text.length + clearBytes)
      covered.write(text, 'latin1')
      covered.set(clear, text.length)
      const mac = cmac(cipher, authenticating, covered)
      covered.fill(0)
      const sealed = encipher({ cipher, chaining: 'cbc', key: sealing, iv: mac, input: clear })
      return text + Buffer.concat([sealed, mac]).toString('hex').toUpperCase()
    })
  })
}

function algorithmCode(algorithm: Algorithm): string {
  switch (algorithm) {
    case 'DES2':
    case 'DES3':
      return 'T'
    case 'HMAC':
      return 'H'
    case 'EC-P256':
      throw badRequest()
    case 'AES-128':
    case 'AES-192':
    case 'AES-256':
      return 'A'
  }
}

interface Sealed {
  /** The header with its optional blocks, as it was sent: it is under the MAC. */
  readonly text: string
  readonly sealed: Buffer
  readonly mac: Buffer
  readonly clear: Buffer
}

/** Versions B and D: two keys derived by CMAC; the MAC over the clear text is the vector. */
function openDerived(context: Context, protector: LoadedKey, { text, sealed, mac, clear }: Sealed): void {
  const cipher = cipherOf(protector.name.algorithm)
  withDerivedPair(context, protector, (sealing, authenticating) => {
    const opened = decipher({ cipher, chaining: 'cbc', key: sealing, iv: mac, input: sealed })
    opened.copy(clear)
    opened.fill(0)
    const covered = ownBytes(text.length + clear.length)
    covered.write(text, 'latin1')
    covered.set(clear, text.length)
    const expected = cmac(cipher, authenticating, covered)
    covered.fill(0)
    if (!timingSafeEqual(expected, mac)) throw badRequest()
  })
}

/** Versions A and C: the protection key's variants, a MAC over the cipher text, the header as vector. */
function openVariant({ token }: Context, { parts }: LoadedKey, { text, sealed, mac, clear }: Sealed): void {
  const [sealing, authenticating] = [parts.get('#e'), parts.get('#m')]
  if (sealing === undefined || authenticating === undefined) throw badRequest()
  const covered = ownBytes(text.length + sealed.length)
  covered.write(text, 'latin1')
  covered.set(sealed, text.length)
  if (covered.length % 8 !== 0) throw badRequest()
  const chained = ownBytes(covered.length)
  token.encrypt({ object: authenticating, mechanism: 'des3-cbc', input: covered, output: chained })
  if (!timingSafeEqual(chained.subarray(-8, -4), mac)) throw badRequest()
  const iv = ownBytes(8)
  iv.write(text.slice(0, 8), 'latin1')
  token.decrypt({ object: sealing, mechanism: 'des3-cbc', iv, input: own(sealed), output: clear })
}

/** The two keys of X9.143 5.3.2.2 (TDES) and 5.3.2.3 (AES): CMACs over a counter, a purpose and a length. */
function withDerivedPair<Result>(
  { token }: Context,
  { object, name }: LoadedKey,
  use: (sealing: Buffer, authenticating: Buffer) => Result,
): Result {
  const { bytes, indicator } = derivedShape[name.algorithm] ?? unreachable()
  const cipher = cipherOf(name.algorithm)
  const step = cipher === 'aes' ? 16 : 8
  const fill = (purpose: number, out: Buffer): void => {
    for (let at = 0, counter = 1; at < bytes; at += step, counter++) {
      const data = ownBytes(8)
      data[0] = counter
      data.writeUInt16BE(purpose, 1)
      data.writeUInt16BE(indicator, 4)
      data.writeUInt16BE(bytes * 8, 6)
      withSecret(step, (output) => {
        token.sign({ object, mechanism: `${cipher}-cmac`, data, output })
        output.copy(out, at)
      })
    }
  }
  return withSecret(bytes, (sealing) =>
    withSecret(bytes, (authenticating) => {
      fill(0, sealing)
      fill(1, authenticating)
      return use(sealing, authenticating)
    }),
  )
}

const derivedShape: Partial<Readonly<Record<Algorithm, { bytes: number; indicator: number }>>> = {
  DES2: { bytes: 16, indicator: 0 },
  DES3: { bytes: 24, indicator: 1 },
  'AES-128': { bytes: 16, indicator: 2 },
  'AES-192': { bytes: 24, indicator: 3 },
  'AES-256': { bytes: 32, indicator: 4 },
}

function unreachable(): never {
  throw badRequest()
}

function protection(
  context: Context,
  ref: string,
  cipher: 'des3' | 'aes',
  modes: readonly Mode[],
): LoadedKey {
  const key = context.keys.active(ref, ['K1'], modes)
  if (cipherOf(key.name.algorithm) !== cipher) throw new HsmError({ kind: 'refused', why: 'wrongUsage' })
  return key
}

function readHeader(block: string): BlockHeader {
  const match = /^([ABCD])(\d{4})([A-Z0-9]{2})([A-Z])([A-Z])([A-Z0-9]{2})([A-Z])(\d{2})\d{2}/.exec(block)
  if (match === null || Number(match[2]) !== block.length || block.length > blockCharsMax) throw badRequest()
  const [, version, , usage, algorithm, mode, keyVersion, exportability] = match
  return {
    version: version as BlockHeader['version'],
    usage: usage!,
    algorithm: algorithm!,
    mode: mode!,
    keyVersion: keyVersion!,
    exportability: exportability!,
  }
}

/** After the optional blocks, each of an id, a length of two hexadecimal digits that counts all of it, and data. */
function bodyStart(block: string): number {
  let at = headerChars
  for (let left = Number(block.slice(12, 14)); left > 0; left--) {
    const length = Number.parseInt(block.slice(at + 2, at + 4), 16)
    if (!Number.isInteger(length) || length < 4) throw badRequest()
    at += length
    if (at >= block.length) throw badRequest()
  }
  return at
}

function packHex(text: string): Buffer {
  if (!/^([0-9A-Fa-f]{2})+$/.test(text)) throw badRequest()
  const out = ownBytes(text.length / 2)
  out.write(text, 'hex')
  return out
}

function own(bytes: Buffer): Buffer {
  const copy = ownBytes(bytes.length)
  copy.set(bytes)
  return copy
}
