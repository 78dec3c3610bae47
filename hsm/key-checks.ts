/** What must hold of a key before it is let in, whoever brings it: people in a ceremony, or a peer in a message. */
import type { BlockHeader } from './commands/tr31.ts'
import type { Algorithm, Mode } from './key.ts'
import { setOddParity } from './soft.ts'

export type KeyRefusalCode =
  | 'badReference'
  | 'samePerson'
  | 'weakKey'
  /** What it travels under is easier to find than the key itself. */
  | 'weakProtection'
  | 'wrongParity'
  | 'wrongLength'
  | 'wrongUsage'
  | 'kcvDiffers'
  | 'notEnoughComponents'
  | 'noSuchKey'
  | 'wrongState'
  /** Rows of the vault are under it: rewrap first. */
  | 'stillNeeded'

/** An act that is refused, before the token or the inventory is touched. */
export class KeyRefusal extends Error {
  readonly code: KeyRefusalCode

  constructor(code: KeyRefusalCode) {
    super(`refused: ${code}`)
    this.name = 'KeyRefusal'
    this.code = code
  }
}

/** FIPS 74 annex A and SP 800-67: the weak and semi-weak DES keys, and halves that are the same. */
const weakHalves = new Set([
  ...['0101010101010101', 'FEFEFEFEFEFEFEFE', 'E0E0E0E0F1F1F1F1', '1F1F1F1F0E0E0E0E'],
  ...['01FE01FE01FE01FE', 'FE01FE01FE01FE01', '1FE01FE00EF10EF1', 'E01FE01FF10EF10E'],
  ...['01E001E001F101F1', 'E001E001F101F101', '1FFE1FFE0EFE0EFE', 'FE1FFE1FFE0EFE0E'],
  ...['011F011F010E010E', '1F011F010E010E01', 'E0FEE0FEF1FEF1FE', 'FEE0FEE0FEF1FEF1'],
])

export function refuseWeak(algorithm: Algorithm, value: Buffer): void {
  if (value.every((byte) => byte === value[0])) throw new KeyRefusal('weakKey')
  if (!isDes(algorithm)) return
  const parts: string[] = []
  for (let at = 0; at < value.length; at += 8) {
    const part = Buffer.from(value.subarray(at, at + 8))
    setOddParity(part)
    parts.push(part.toString('hex').toUpperCase())
    part.fill(0)
  }
  if (new Set(parts).size < parts.length || parts.some((part) => weakHalves.has(part))) {
    throw new KeyRefusal('weakKey')
  }
}

/** Bits of security (NIST SP 800-57 part 1, table 2); two-key TDES is the least of all. */
const strength: Readonly<Record<Algorithm, number>> = {
  DES2: 80,
  DES3: 112,
  'AES-128': 128,
  'AES-192': 192,
  'AES-256': 256,
  HMAC: 256,
  'EC-P256': 128,
}

/** PCI PIN Security v3.1 annex C: what protects a key is at least as strong as the key. */
export function refuseWeakProtection(protector: Algorithm, key: Algorithm): void {
  if (strength[protector] < strength[key]) throw new KeyRefusal('weakProtection')
}

export function isDes(algorithm: Algorithm): boolean {
  return algorithm === 'DES2' || algorithm === 'DES3'
}

export function algorithmOf(header: BlockHeader, bytes: number): Algorithm {
  if (header.algorithm === 'T' && (bytes === 16 || bytes === 24)) return bytes === 16 ? 'DES2' : 'DES3'
  if (header.algorithm === 'A' && (bytes === 16 || bytes === 24 || bytes === 32))
    return `AES-${(bytes * 8) as 128}`
  if (header.algorithm === 'H') return 'HMAC'
  throw new KeyRefusal('wrongLength')
}

/** A block for both ways may be used for one of them; the other way round it may not. */
export function fits(ours: Mode, theirs: string): boolean {
  if (theirs === ours || theirs === 'N') return true
  if (ours === 'E' || ours === 'D') return theirs === 'B'
  return (ours === 'G' || ours === 'V') && theirs === 'C'
}
