/**
 * The software twin: the same objects with the same rights, in this process's memory, for machines without a
 * PKCS#11 library. It protects nothing, says so, and is refused in production.
 */
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createPrivateKey,
  randomBytes,
  randomFillSync,
  sign,
} from 'node:crypto'
import type { Grant, Mechanism, ObjectSpec } from '../objects.ts'
import { cmac, decipher, encipher, hmacSha256 } from '../soft.ts'
import { TokenError } from '../token.ts'
import type { BlockRequest, GcmRequest, Token, TokenObject } from '../token.ts'
import { ownBytes } from '../memory.ts'

// The twin refuses in the words of PKCS#11, so that what stands above it needs one set.
const keyFunctionNotPermitted = 0x68
const mechanismInvalid = 0x70
const objectHandleInvalid = 0x82
const encryptedDataInvalid = 0x40
const wrappedKeyInvalid = 0x110
const keyUnextractable = 0x6a

export function openTwin(specs: readonly ObjectSpec[]): Token {
  return new Twin(specs)
}

/** ISO 9797-1 algorithm 3 of whole blocks. */
function retailMac(key: Buffer, blocks: Buffer): Buffer {
  const cipher = { cipher: 'des3', chaining: 'cbc' } as const
  const head = encipher({ ...cipher, key: key.subarray(0, 8), input: blocks.subarray(0, -8) })
  return encipher({ ...cipher, key, iv: head.subarray(-8), input: blocks.subarray(-8) })
}

class Twin implements Token {
  readonly driver = 'twin'
  readonly model = 'software twin'
  readonly insecure = true
  #objects: TokenObject[]

  constructor(specs: readonly ObjectSpec[]) {
    this.#objects = specs.map(held)
  }

  objects(): readonly TokenObject[] {
    return this.#objects
  }

  encrypt({ object, mechanism, iv, input, output }: BlockRequest): void {
    const { value } = permitted(object, 'encrypt', mechanism)
    const [cipher, chaining] = mechanism.split('-') as ['des3' | 'aes', 'ecb' | 'cbc']
    encipher({ cipher, chaining, key: value, ...(iv === undefined ? {} : { iv }), input }).copy(output)
  }

  decrypt({ object, mechanism, iv, input, output }: BlockRequest): void {
    const { value } = permitted(object, 'decrypt', mechanism)
    const [cipher, chaining] = mechanism.split('-') as ['des3' | 'aes', 'ecb' | 'cbc']
    const clear = decipher({ cipher, chaining, key: value, ...(iv === undefined ? {} : { iv }), input })
    clear.copy(output)
    clear.fill(0)
  }

  sign({ object, mechanism, data, output }: Parameters<Token['sign']>[0]): void {
    const { value } = permitted(object, 'sign', mechanism)
    switch (mechanism) {
      case 'aes-cmac':
        cmac('aes', value, data).copy(output)
        return
      case 'des3-cmac':
        cmac('des3', value, data).copy(output)
        return
      case 'hmac-sha256':
        hmacSha256(value, data).copy(output)
        return
      case 'retail-mac':
        retailMac(value, data).copy(output)
        return
      case 'ecdsa':
        signP256(value, data).copy(output)
    }
  }

  random(output: Buffer): void {
    randomFillSync(output)
  }

  generateSigner(label: string, id: string): void {
    const pair = createECDH('prime256v1')
    pair.generateKeys()
    const value = ownBytes(32)
    const scalar = pair.getPrivateKey()
    scalar.copy(value, 32 - scalar.length)
    this.create({ label, id, kind: 'EC', value, grants: ['sign'], mechanisms: ['ecdsa'] })
  }

  publicPoint(object: TokenObject): Buffer {
    const pair = createECDH('prime256v1')
    pair.setPrivateKey(permitted(object, 'sign', 'ecdsa').value)
    return pair.getPublicKey()
  }

  derive({ from, data, object }: Parameters<Token['derive']>[0]): TokenObject {
    const value = ownBytes(16)
    this.deriveBytes({ from, data, output: value })
    return held({ ...object, value })
  }

  deriveBytes({ from, data, output }: Parameters<Token['deriveBytes']>[0]): void {
    const { value } = permitted(from, 'derive', 'aes-cbc-derive')
    encipher({ cipher: 'aes', chaining: 'ecb', key: value, input: data }).copy(output)
  }

  wrap({ kek, object, mechanism }: Parameters<Token['wrap']>[0]): Buffer {
    const { value } = permitted(kek, 'wrap', mechanism)
    const spec = object.handle as ObjectSpec
    if (spec.extractable !== true) throw new TokenError(keyUnextractable)
    return wrapped(value, mechanism, spec.value)
  }

  unwrapBytes({ kek, wrapped: sealed }: Parameters<Token['unwrapBytes']>[0]): Buffer {
    return unwrapPad(permitted(kek, 'unwrap', 'aes-wrap-pad').value, sealed)
  }

  newDataKey(kek: TokenObject): Buffer {
    const { value } = permitted(kek, 'wrap', 'aes-wrap-pad')
    return wrapped(value, 'aes-wrap-pad', randomBytes(32))
  }

  unwrapDataKey(kek: TokenObject, sealed: Buffer): TokenObject {
    const { value } = permitted(kek, 'unwrap', 'aes-wrap-pad')
    const key = unwrapPad(value, sealed)
    return held({
      label: '',
      id: 'D0B',
      kind: 'AES',
      value: key,
      grants: ['encrypt', 'decrypt'],
      mechanisms: ['aes-gcm'],
    })
  }

  seal({ object, iv, aad, input }: GcmRequest): Buffer {
    const { value } = permitted(object, 'encrypt', 'aes-gcm')
    const engine = createCipheriv('aes-256-gcm', value, iv)
    engine.setAAD(aad)
    return Buffer.concat([engine.update(input), engine.final(), engine.getAuthTag()])
  }

  open({ object, iv, aad, input }: GcmRequest): Buffer {
    const { value } = permitted(object, 'decrypt', 'aes-gcm')
    try {
      const engine = createDecipheriv('aes-256-gcm', value, iv, { authTagLength: 16 })
      engine.setAAD(aad)
      engine.setAuthTag(input.subarray(-16))
      const clear = engine.update(input.subarray(0, -16))
      engine.final()
      return clear
    } catch {
      throw new TokenError(encryptedDataInvalid)
    }
  }

  lend(object: ObjectSpec): TokenObject {
    return held({ ...object, value: Buffer.from(object.value) })
  }

  forget(object: TokenObject): void {
    ;(object.handle as ObjectSpec | undefined)?.value.fill(0)
    object.handle = undefined
  }

  /** Nobody else can change what is in this process's memory. */
  refresh(): void {
    this.#objects = [...this.#objects]
  }

  unsafe(object: TokenObject): readonly string[] {
    return (object.handle as ObjectSpec | undefined)?.extractable === true ? ['extractable'] : []
  }

  create(object: ObjectSpec): void {
    this.#objects = [...this.#objects, held({ ...object, value: Buffer.from(object.value) })]
  }

  destroy(label: string): void {
    for (const object of this.#objects) if (object.label === label) object.handle = undefined
    this.#objects = this.#objects.filter((object) => object.label !== label)
  }

  close(): void {
    for (const object of this.#objects) (object.handle as ObjectSpec | undefined)?.value.fill(0)
    this.#objects = []
  }
}

function held(spec: ObjectSpec): TokenObject {
  return { label: spec.label, id: spec.id, kind: spec.kind, bytes: spec.value.length, handle: spec }
}

function permitted(object: TokenObject, grant: Grant, mechanism: Mechanism): ObjectSpec {
  const spec = object.handle as ObjectSpec | undefined
  if (spec === undefined) throw new TokenError(objectHandleInvalid)
  if (!spec.grants.includes(grant)) throw new TokenError(keyFunctionNotPermitted)
  if (!spec.mechanisms.includes(mechanism)) throw new TokenError(mechanismInvalid)
  return spec
}

/** The values whose presence shows that a wrapping is intact (RFC 3394 2.2.3, RFC 5649 3). */
const wrapIv = {
  'aes-wrap': Buffer.from('A6A6A6A6A6A6A6A6', 'hex'),
  'aes-wrap-pad': Buffer.from('A65959A6', 'hex'),
} as const

function wrapped(kek: Buffer, mechanism: 'aes-wrap' | 'aes-wrap-pad', key: Buffer): Buffer {
  const name = `id-aes${kek.length * 8}-wrap${mechanism === 'aes-wrap' ? '' : '-pad'}`
  const engine = createCipheriv(name, kek, wrapIv[mechanism])
  return Buffer.concat([engine.update(key), engine.final()])
}

function unwrapPad(kek: Buffer, sealed: Buffer): Buffer {
  try {
    const engine = createDecipheriv(`id-aes${kek.length * 8}-wrap-pad`, kek, wrapIv['aes-wrap-pad'])
    return Buffer.concat([engine.update(sealed), engine.final()])
  } catch {
    throw new TokenError(wrappedKeyInvalid)
  }
}

function signP256(scalar: Buffer, data: Buffer): Buffer {
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(scalar)
  const point = pair.getPublicKey()
  const key = createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'EC',
      crv: 'P-256',
      d: scalar.toString('base64url'),
      x: point.toString('base64url', 1, 33),
      y: point.toString('base64url', 33, 65),
    },
  })
  return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' })
}
