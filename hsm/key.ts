/**
 * What a key is to this room: a reference, a version, and the one thing it may be used for. The usage and mode
 * codes are those of ANSI X9.143 (TR-31); they are bound to the stored object, and checked before it is used.
 */

export type Algorithm = 'DES2' | 'DES3' | 'AES-128' | 'AES-192' | 'AES-256' | 'HMAC' | 'EC-P256'

/** X9.143 key usage. `S0` is a signature key pair; `D0` encrypts data. */
export type Usage =
  | 'P0'
  | 'K0'
  | 'K1'
  | 'M1'
  | 'M3'
  | 'M6'
  | 'M7'
  | 'C0'
  | 'V1'
  | 'V2'
  | 'E0'
  | 'E1'
  | 'E2'
  | 'E4'
  | 'B0'
  | 'D0'
  | 'S0'

/** X9.143 mode of use: Both, Calculate (MAC both ways), Decrypt, Encrypt, Generate, Verify, No restriction, Sign, derive (X). */
export type Mode = 'B' | 'C' | 'D' | 'E' | 'G' | 'V' | 'N' | 'S' | 'X'

export type Direction = 'in' | 'out' | 'both'

/** One version of a key, as it is found on a token. The value is not here, and cannot be had. */
export interface KeyName {
  readonly ref: string
  readonly version: number
  readonly usage: Usage
  readonly mode: Mode
  readonly algorithm: Algorithm
  /** Key check value, upper-case hexadecimal. */
  readonly kcv: string
}

const macByAlgorithm = { DES2: 'M3', DES3: 'M6', 'AES-128': 'M6', 'AES-192': 'M6', 'AES-256': 'M6' } as const

/** What the first word of a reference says about the key. A role that is not here does not exist. */
const roles = {
  tpk: 'P0',
  zpk: 'P0',
  tak: macByAlgorithm,
  zak: macByAlgorithm,
  mac1: 'M1',
  mac3: 'M3',
  cmac: 'M6',
  hmac: 'M7',
  // The vault's keyed fingerprint, and the key that wraps its data keys.
  fpk: 'M7',
  kek: 'K0',
  zmk: 'K0',
  kbpk: 'K1',
  cvk: 'C0',
  pvk: 'V2',
  ibm: 'V1',
  imkac: 'E0',
  imksmc: 'E1',
  imksmi: 'E2',
  imkdn: 'E4',
  bdk: 'B0',
  sign: 'S0',
  // Only for the self-test and the health check.
  health: 'M6',
} as const satisfies Record<string, Usage | Partial<Record<Algorithm, Usage>>>

const algorithmsOf: Readonly<Record<Usage, readonly Algorithm[]>> = {
  P0: ['DES2', 'DES3', 'AES-128', 'AES-192', 'AES-256'],
  K0: ['AES-128', 'AES-192', 'AES-256'],
  K1: ['DES2', 'DES3', 'AES-128', 'AES-192', 'AES-256'],
  M1: ['DES2', 'DES3'],
  M3: ['DES2'],
  M6: ['DES2', 'DES3', 'AES-128', 'AES-192', 'AES-256'],
  M7: ['HMAC'],
  C0: ['DES2'],
  V1: ['DES2', 'DES3'],
  V2: ['DES2'],
  E0: ['DES2'],
  E1: ['DES2'],
  E2: ['DES2'],
  E4: ['DES2'],
  B0: ['DES2', 'AES-128', 'AES-192', 'AES-256'],
  D0: ['AES-128', 'AES-192', 'AES-256'],
  S0: ['EC-P256'],
}

const refShape = /^([a-z][a-z0-9]{1,7})\.([a-z0-9-]{1,24})\.(in|out|both)$/
const labelShape = /^([a-z][a-z0-9.-]*)\.v(\d{3})$/

/** `zpk.knet.out` and 3 make `zpk.knet.out.v003`, the label of that version on a token. */
export function labelOf(ref: string, version: number): string {
  return `${ref}.v${version.toString().padStart(3, '0')}`
}

/** The reverse of `labelOf`; undefined for an object that is not one of ours. */
export function parseLabel(label: string): { ref: string; version: number } | undefined {
  const match = labelShape.exec(label)
  if (match === null || !refShape.test(match[1]!)) return undefined
  return { ref: match[1]!, version: Number(match[2]) }
}

/** The usage and mode that `ref` gives to a key of `algorithm`; undefined when no such key can be. */
export function purposeOf(ref: string, algorithm: Algorithm): { usage: Usage; mode: Mode } | undefined {
  const match = refShape.exec(ref)
  if (match === null) return undefined
  const [, role, , direction] = match
  if (!Object.hasOwn(roles, role!)) return undefined
  const of: Usage | Partial<Record<Algorithm, Usage>> = roles[role as keyof typeof roles]
  const usage = typeof of === 'string' ? of : of[algorithm]
  if (usage === undefined || !algorithmsOf[usage].includes(algorithm)) return undefined
  const mode = modeOf(usage, direction as Direction)
  return mode === undefined ? undefined : { usage, mode }
}

/** Whether `text` could name a key at all. */
export function isKeyRef(text: string): boolean {
  return refShape.test(text)
}

function modeOf(usage: Usage, direction: Direction): Mode | undefined {
  switch (usage) {
    case 'P0':
      // PCI PIN 18-3 in spirit: what opens PIN blocks never seals them, so no PIN key goes both ways.
      return direction === 'in' ? 'D' : direction === 'out' ? 'E' : undefined
    case 'M1':
    case 'M3':
    case 'M6':
    case 'M7':
      return direction === 'in' ? 'V' : direction === 'out' ? 'G' : 'C'
    case 'K0':
    case 'K1':
      return direction === 'in' ? 'D' : direction === 'out' ? 'E' : 'B'
    case 'D0':
      return 'B'
    case 'C0':
      return direction === 'in' ? 'V' : direction === 'out' ? 'G' : 'C'
    case 'V1':
    case 'V2':
      return direction === 'in' ? 'V' : direction === 'out' ? 'G' : 'C'
    case 'E0':
    case 'E1':
    case 'E2':
    case 'E4':
    case 'B0':
      return 'X'
    case 'S0':
      return 'S'
  }
}

/** The vault's: cards are found by it. */
export const fingerprintKey = 'fpk.vault.both'

/** Key bytes for each algorithm; an EC key's are its private scalar. `HMAC` is the least a token takes for SHA-256. */
export const keyBytes: Readonly<Record<Algorithm, number>> = {
  DES2: 16,
  DES3: 24,
  'AES-128': 16,
  'AES-192': 24,
  'AES-256': 32,
  HMAC: 32,
  'EC-P256': 32,
}

export function isAlgorithm(text: string): text is Algorithm {
  return Object.hasOwn(keyBytes, text)
}
