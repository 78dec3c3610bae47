/** How a card number is in the vault: its fingerprint, and its ciphertext bound to its token. */
import type { LoadedKey } from './key-table.ts'
import type { Token, TokenObject } from './token.ts'
import { ownBytes } from './memory.ts'

export const wrappingKey = 'kek.vault.both'

const ivBytes = 12

/** HMAC-SHA-256 of the number: the same number, the same fingerprint, and no way back without the key. */
export function fingerprintOf(token: Token, key: LoadedKey, pan: string): Buffer {
  const data = digits(pan)
  const output = ownBytes(32)
  token.sign({ object: key.object, mechanism: 'hmac-sha256', data, output })
  data.fill(0)
  return output
}

interface Sealing {
  /** The data key. */
  readonly object: TokenObject
  readonly token: string
}

/** Initialisation vector, ciphertext and tag; the card's token is authenticated with them. */
export function sealCard(hsm: Token, { object, token, pan }: Sealing & { readonly pan: string }): Buffer {
  const iv = ownBytes(ivBytes)
  hsm.random(iv)
  const input = digits(pan)
  const sealed = hsm.seal({ object, iv, aad: Buffer.from(token, 'latin1'), input })
  input.fill(0)
  return Buffer.concat([iv, sealed])
}

/** The number, for the caller to wipe. Throws `TokenError` of the class `data` when the row was changed. */
export function unsealCard(
  hsm: Token,
  { object, token, sealed }: Sealing & { readonly sealed: Buffer },
): Buffer {
  return hsm.open({
    object,
    iv: ownMemory(sealed.subarray(0, ivBytes)),
    aad: Buffer.from(token, 'latin1'),
    input: ownMemory(sealed.subarray(ivBytes)),
  })
}

function digits(pan: string): Buffer {
  const bytes = ownBytes(pan.length)
  bytes.write(pan, 'latin1')
  return bytes
}

/** Native code gets memory of its own, not a piece of a shared pool. */
export function ownMemory(bytes: Uint8Array): Buffer {
  const copy = ownBytes(bytes.length)
  copy.set(bytes)
  return copy
}
