import { createECDH } from 'node:crypto'
import type { Algorithm } from './key.ts'
import { cmac, encipher, hmacSha256 } from './soft.ts'

/**
 * The key check value people compare: three bytes of the enciphered zero block for DES keys, of the CMAC over a
 * zero block for AES (ANSI X9.24-1 annex A), of the HMAC over nothing for HMAC keys; six hexadecimal digits.
 */
export function kcvOf(algorithm: Algorithm, value: Uint8Array): string {
  switch (algorithm) {
    case 'DES2':
    case 'DES3':
      return legacyKcv('des3', value)
    case 'AES-128':
    case 'AES-192':
    case 'AES-256':
      return cmacKcv(value, 3)
    case 'HMAC':
      return hmacSha256(value, Buffer.alloc(0)).toString('hex', 0, 3).toUpperCase()
    case 'EC-P256': {
      const pair = createECDH('prime256v1')
      pair.setPrivateKey(value)
      return pair.getPublicKey().toString('hex', 1, 4).toUpperCase()
    }
  }
}

/** The older form, for either cipher: the first three bytes of the enciphered zero block. */
export function legacyKcv(cipher: 'des3' | 'aes', value: Uint8Array): string {
  const input = Buffer.alloc(cipher === 'aes' ? 16 : 8)
  return encipher({ cipher, chaining: 'ecb', key: value, input }).toString('hex', 0, 3).toUpperCase()
}

function cmacKcv(value: Uint8Array, bytes: number): string {
  return cmac('aes', value, Buffer.alloc(16)).toString('hex', 0, bytes).toUpperCase()
}
