import type { Algorithm, Mode, Usage } from './key.ts'
import { labelOf } from './key.ts'

/** What a token object may be asked to do. Everything not granted is refused by the token. */
export type Grant = 'encrypt' | 'decrypt' | 'sign' | 'derive' | 'wrap' | 'unwrap'

export type Mechanism =
  | 'des3-ecb'
  | 'des3-cbc'
  | 'des3-cmac'
  | 'aes-ecb'
  | 'aes-cbc'
  | 'aes-gcm'
  | 'aes-cmac'
  | 'hmac-sha256'
  /** ISO 9797-1 algorithm 3 in one call: only some vendors have it (`pkcs11/vendors`). */
  | 'retail-mac'
  | 'aes-wrap'
  | 'aes-wrap-pad'
  | 'aes-cbc-derive'
  | 'ecdsa'

export type ObjectKind = 'DES2' | 'DES3' | 'AES' | 'generic' | 'EC'

/** A key with its value: only while it is being put on a token, and in the twin. */
export interface ClearKey {
  readonly ref: string
  readonly version: number
  readonly algorithm: Algorithm
  readonly usage: Usage
  readonly mode: Mode
  readonly kcv: string
  readonly value: Buffer
}

/** One object to be on the token for a key; a key is one object, or a few where the token lacks a mechanism. */
export interface ObjectSpec {
  readonly label: string
  /** Binds usage, mode and check value to the object: `P0D:08D7B4`. It cannot be changed afterwards. */
  readonly id: string
  readonly kind: ObjectKind
  readonly value: Buffer
  readonly grants: readonly Grant[]
  readonly mechanisms: readonly Mechanism[]
  /** May leave the token wrapped. No stored key may. */
  readonly extractable?: true
}

/** X9.24-1:2009 annex A.2: the mask that makes a key's variant for the right half of an initial key. */
const c0 = Buffer.from('C0C0C0C000000000C0C0C0C000000000', 'hex')

/**
 * The objects a key becomes, with every right it has and none it has not. No object can both wrap or unwrap and
 * encrypt or decrypt: with both, any extractable key could be read out.
 */
export function objectsOf(key: ClearKey): ObjectSpec[] {
  const { usage, mode, algorithm, value } = key
  const des = algorithm === 'DES2' || algorithm === 'DES3'
  const spec = (
    suffix: string,
    bytes: Buffer,
    grants: readonly Grant[],
    mechanisms: readonly Mechanism[],
  ): ObjectSpec => ({
    label: labelOf(key.ref, key.version) + suffix,
    id: `${usage}${mode}:${key.kcv}`,
    kind: kindOf(algorithm, bytes.length),
    value: bytes,
    grants,
    mechanisms,
  })
  switch (usage) {
    case 'P0':
      return [
        spec('', value, [mode === 'D' ? 'decrypt' : 'encrypt'], des ? ['des3-cbc'] : ['aes-cbc', 'aes-ecb']),
      ]
    case 'M3':
    case 'C0':
      // ISO 9797-1 algorithm 3 in two calls: K1 alone chains all blocks but the last, K1‖K2 ends it.
      return [
        spec('', value, ['encrypt'], ['des3-cbc']),
        spec('#k1', doubled(value), ['encrypt'], ['des3-cbc']),
      ]
    case 'M1':
      return [spec('', value, ['encrypt'], ['des3-cbc'])]
    case 'M6':
      return [spec('', value, ['sign'], [des ? 'des3-cmac' : 'aes-cmac'])]
    case 'M7':
      return [spec('', value, ['sign'], ['hmac-sha256'])]
    case 'V1':
    case 'V2':
    case 'E0':
    case 'E1':
    case 'E2':
    case 'E4':
      return [spec('', value, ['encrypt'], ['des3-ecb'])]
    case 'B0':
      return des
        ? [
            spec('', value, ['encrypt'], ['des3-ecb']),
            spec('#c0', xored(value, c0), ['encrypt'], ['des3-ecb']),
          ]
        : [spec('', value, ['derive'], ['aes-cbc-derive'])]
    case 'K0':
      return [spec('', value, wrapping(mode), ['aes-wrap', 'aes-wrap-pad'])]
    case 'K1':
      return des
        ? [
            spec('', value, ['sign'], ['des3-cmac']),
            // Block versions A and C use the key's variants directly (TR-31 5.3.2.1).
            spec('#e', xored(value, Buffer.alloc(value.length, 'E')), ['encrypt', 'decrypt'], ['des3-cbc']),
            spec('#m', xored(value, Buffer.alloc(value.length, 'M')), ['encrypt'], ['des3-cbc']),
          ]
        : [spec('', value, ['sign'], ['aes-cmac'])]
    case 'D0':
      return [spec('', value, ['encrypt', 'decrypt'], ['aes-gcm'])]
    case 'S0':
      return [spec('', value, ['sign'], ['ecdsa'])]
  }
}

function wrapping(mode: Mode): Grant[] {
  return mode === 'D' ? ['unwrap'] : mode === 'E' ? ['wrap'] : ['wrap', 'unwrap']
}

function kindOf(algorithm: Algorithm, bytes: number): ObjectKind {
  switch (algorithm) {
    case 'DES2':
    case 'DES3':
      return bytes === 24 ? 'DES3' : 'DES2'
    case 'AES-128':
    case 'AES-192':
    case 'AES-256':
      return 'AES'
    case 'HMAC':
      return 'generic'
    case 'EC-P256':
      return 'EC'
  }
}

/** K1‖K1, which makes a two-key cipher equal single DES under K1. */
function doubled(value: Buffer): Buffer {
  const out = Buffer.alloc(16)
  out.set(value.subarray(0, 8), 0)
  out.set(value.subarray(0, 8), 8)
  return out
}

function xored(value: Buffer, mask: Buffer): Buffer {
  const out = Buffer.alloc(value.length)
  for (let index = 0; index < out.length; index++) out[index] = value[index]! ^ mask[index % mask.length]!
  return out
}
