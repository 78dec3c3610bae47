/**
 * The narrow side of this room: what the commands ask of a store of keys. PKCS#11 and the software twin are its
 * two forms. (A payment HSM stands one level up, in place of the commands, see `commands/commands.ts`.)
 * Everything is synchronous and writes into buffers of the caller's, so that the caller can wipe them.
 */
import type { ObjectKind, ObjectSpec } from './objects.ts'

/** An object on a token. `handle` means something to the token only, and may be renewed under the same object. */
export interface TokenObject {
  readonly label: string
  /** Usage, mode and key check value, as `objects.ts` bound them. */
  readonly id: string
  readonly kind: ObjectKind
  /** Of the value, where the token tells it. */
  readonly bytes: number
  handle: unknown
}

export type BlockMechanism = 'des3-ecb' | 'des3-cbc' | 'aes-ecb' | 'aes-cbc'
export type SignMechanism = 'des3-cmac' | 'aes-cmac' | 'hmac-sha256' | 'retail-mac' | 'ecdsa'

export interface BlockRequest {
  readonly object: TokenObject
  readonly mechanism: BlockMechanism
  /** For chaining mechanisms; zero where it is left out. */
  readonly iv?: Buffer
  /** Whole blocks. */
  readonly input: Buffer
  /** As long as the input. */
  readonly output: Buffer
}

export interface Token {
  readonly driver: 'pkcs11' | 'twin'
  /** As the token calls itself. */
  readonly model: string
  /** Whether keys are safe from whoever holds this machine; neither SoftHSM's nor the twin's are. */
  readonly insecure: boolean
  objects(): readonly TokenObject[]
  encrypt(request: BlockRequest): void
  decrypt(request: BlockRequest): void
  /**
   * Writes the whole MAC, or the signature (ECDSA over SHA-256, as r‖s). `retail-mac` wants whole blocks; a token
   * that has no such mechanism throws `TokenError`.
   */
  sign(request: {
    readonly object: TokenObject
    readonly mechanism: SignMechanism
    readonly data: Buffer
    readonly output: Buffer
  }): void
  random(output: Buffer): void
  /** Makes a P-256 key pair whose private half has never been outside, and stores it. */
  generateSigner(label: string, id: string): void
  /** The public half of a stored signing key, uncompressed (65 bytes). */
  publicPoint(object: TokenObject): Buffer
  /** The key that is one enciphered block of `data`, made inside the token (AES, 16 bytes in and out). */
  derive(request: {
    readonly from: TokenObject
    readonly data: Buffer
    readonly object: Omit<ObjectSpec, 'value'>
  }): TokenObject
  /** The same block, in clear: for keys longer than a block. */
  deriveBytes(request: { readonly from: TokenObject; readonly data: Buffer; readonly output: Buffer }): void
  /** An extractable object under another (RFC 3394 for `aes-wrap`, RFC 5649 for `aes-wrap-pad`). */
  wrap(request: {
    readonly kek: TokenObject
    readonly object: TokenObject
    readonly mechanism: 'aes-wrap' | 'aes-wrap-pad'
  }): Buffer
  /** The reverse, in clear: only known answers are compared so. */
  unwrapBytes(request: { readonly kek: TokenObject; readonly wrapped: Buffer }): Buffer
  /** Makes an AES-256 data key that never leaves in clear, and gives it wrapped (RFC 5649). */
  newDataKey(kek: TokenObject): Buffer
  /** The data key for this process's life; not stored. Throws `TokenError` for a wrapping that is not intact. */
  unwrapDataKey(kek: TokenObject, wrapped: Buffer): TokenObject
  /** AES-256-GCM with a tag of 16 bytes after the ciphertext. */
  seal(request: GcmRequest): Buffer
  /** The reverse; throws `TokenError` when anything was changed. */
  open(request: GcmRequest): Buffer
  /** An object for this process alone, until `forget`. */
  lend(object: ObjectSpec): TokenObject
  forget(object: TokenObject): void
  /** Reads the token's objects anew: another process may have changed them. */
  refresh(): void
  /** What is wrong with an object's flags; empty when nothing is. */
  unsafe(object: TokenObject): readonly string[]
  /** A stored object. */
  create(object: ObjectSpec): void
  destroy(label: string): void
  close(): void
}

export interface GcmRequest {
  readonly object: TokenObject
  readonly iv: Buffer
  readonly aad: Buffer
  readonly input: Buffer
}

/** A token's refusal, by its number alone: the text of a vendor's code says nothing. */
export class TokenError extends Error {
  readonly code: number

  constructor(code: number) {
    super(`token: 0x${code.toString(16)}`)
    this.name = 'TokenError'
    this.code = code
  }
}
