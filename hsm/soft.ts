/**
 * The block ciphers and MACs in software. Two users: the twin, and the steps that a PKCS#11 token has no
 * mechanism for, where a derived key is in this process's memory whatever we do.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { ownBytes } from './memory.ts'

export type Cipher = 'des3' | 'aes'
export type Chaining = 'ecb' | 'cbc'

const zeroIv = { des3: ownBytes(8), aes: ownBytes(16) } as const

const blockBytes = { des3: 8, aes: 16 } as const

export interface Enciphering {
  readonly cipher: Cipher
  readonly chaining: Chaining
  /** DES keys of 8 and 16 bytes are widened to the three-key form that they equal. */
  readonly key: Uint8Array
  readonly iv?: Uint8Array
  /** Whole blocks. */
  readonly input: Uint8Array
}

export function encipher(request: Enciphering): Buffer {
  return run(request, true)
}

export function decipher(request: Enciphering): Buffer {
  return run(request, false)
}

function run({ cipher, chaining, key, iv, input }: Enciphering, forward: boolean): Buffer {
  const wide = cipher === 'des3' ? widen(key) : Buffer.from(key)
  const name =
    cipher === 'des3' ? `des-ede3${chaining === 'cbc' ? '-cbc' : ''}` : `aes-${wide.length * 8}-${chaining}`
  const vector = chaining === 'ecb' ? null : (iv ?? zeroIv[cipher])
  const engine = forward ? createCipheriv(name, wide, vector) : createDecipheriv(name, wide, vector)
  engine.setAutoPadding(false)
  const output = engine.update(input)
  engine.final()
  wide.fill(0)
  return output
}

/** K becomes K‖K‖K, K1‖K2 becomes K1‖K2‖K1 (NIST SP 800-67). */
function widen(key: Uint8Array): Buffer {
  const wide = ownBytes(24)
  wide.set(key.subarray(0, 24))
  if (key.length === 8) wide.set(key, 8)
  if (key.length <= 16) wide.set(key.subarray(0, 8), 16)
  return wide
}

/** NIST SP 800-38B over either cipher, whole (8 or 16 bytes). */
export function cmac(cipher: Cipher, key: Uint8Array, data: Uint8Array): Buffer {
  const size = blockBytes[cipher]
  const l = encipher({ cipher, chaining: 'ecb', key, input: ownBytes(size) })
  const k1 = doubled(l)
  const whole = data.length > 0 && data.length % size === 0
  const blocks = whole ? data.length / size : Math.floor(data.length / size) + 1
  const padded = ownBytes(blocks * size)
  padded.set(data)
  if (!whole) padded[data.length] = 0x80
  const subkey = whole ? k1 : doubled(k1)
  const last = padded.subarray(-size)
  for (let index = 0; index < size; index++) last[index] = last[index]! ^ subkey[index]!
  const chained = encipher({ cipher, chaining: 'cbc', key, input: padded })
  const mac = ownBytes(size)
  chained.copy(mac, 0, chained.length - size)
  for (const secret of [l, k1, subkey, padded, chained]) secret.fill(0)
  return mac
}

/** Multiplication by x in GF(2^n), as SP 800-38B section 6.1 makes its subkeys. */
function doubled(block: Buffer): Buffer {
  const out = ownBytes(block.length)
  let carry = 0
  for (let index = block.length - 1; index >= 0; index--) {
    out[index] = ((block[index]! << 1) | carry) & 0xff
    carry = block[index]! >> 7
  }
  if (carry === 1) out[block.length - 1]! ^= block.length === 16 ? 0x87 : 0x1b
  return out
}

export function hmacSha256(key: Uint8Array, data: Uint8Array): Buffer {
  return createHmac('sha256', key).update(data).digest()
}

/** Odd parity on every byte, in place (NIST SP 800-67 section 3). */
export function setOddParity(key: Uint8Array): void {
  for (let index = 0; index < key.length; index++) key[index] = withOddParity(key[index]!)
}

export function hasOddParity(key: Uint8Array): boolean {
  return key.every((byte) => byte === withOddParity(byte))
}

function withOddParity(byte: number): number {
  let ones = 0
  for (let bit = 1; bit < 8; bit++) ones += (byte >> bit) & 1
  return (byte & 0xfe) | (ones % 2 === 0 ? 1 : 0)
}
