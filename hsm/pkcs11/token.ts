import { createHash } from 'node:crypto'
import type * as Pkcs11Js from 'pkcs11js'
import type { ObjectSpec } from '../objects.ts'
import { classOf } from '../refusal.ts'
import { TokenError } from '../token.ts'
import type { BlockRequest, GcmRequest, Token, TokenObject } from '../token.ts'
import { ckm, mechanismInvalid, tokenError } from './constants.ts'
import { find, listObjects, openSession, p256, publicTemplateOf, templateOf } from './session.ts'
import type { Raw, TokenLogin } from './session.ts'
import { ownBytes } from '../memory.ts'
import { vendorOf } from './vendors.ts'
import type { Vendor, VendorMechanism } from './vendors.ts'

const sessionCallsMax = 100_000

/** PKCS#11 error numbers this file decides by. */
const generalError = 0x05
const encryptedDataInvalid = 0x40
const objectHandleInvalid = 0x82

/**
 * A PKCS#11 token: one thread, one session for work, one that only holds the login and owns the objects that live
 * as long as the process. Throws `TokenError`; after one of the classes
 * `session` and `device` (`refusal.ts`) the process should end.
 */
export async function openPkcs11Token(login: TokenLogin): Promise<Token> {
  const raw = await openSession(login)
  return new Pkcs11Token(raw)
}

class Pkcs11Token implements Token {
  readonly driver = 'pkcs11'
  readonly model: string
  readonly insecure: boolean
  readonly #raw: Raw
  readonly #pkcs11: Pkcs11Js.PKCS11
  readonly #vendor: Vendor | undefined
  #work: Pkcs11Js.Handle
  #calls = 0
  #objects: TokenObject[]

  constructor(raw: Raw) {
    this.#raw = raw
    this.#pkcs11 = raw.pkcs11
    this.#work = this.#newSession()
    const info = raw.pkcs11.C_GetTokenInfo(raw.slot)
    this.model = info.model.replaceAll('\0', '').trim()
    this.#vendor = vendorOf({ manufacturer: info.manufacturerID, model: info.model })
    this.insecure = this.#vendor?.insecure === true
    this.#objects = listObjects(raw)
  }

  objects(): readonly TokenObject[] {
    return this.#objects
  }

  encrypt({ object, mechanism, iv, input, output }: BlockRequest): void {
    this.#attempt(() => {
      this.#pkcs11.C_EncryptInit(this.#work, block(mechanism, iv), object.handle as Buffer)
      this.#pkcs11.C_Encrypt(this.#work, input, output)
    })
  }

  decrypt({ object, mechanism, iv, input, output }: BlockRequest): void {
    this.#attempt(() => {
      this.#pkcs11.C_DecryptInit(this.#work, block(mechanism, iv), object.handle as Buffer)
      this.#pkcs11.C_Decrypt(this.#work, input, output)
    })
  }

  sign({ object, mechanism, data, output }: Parameters<Token['sign']>[0]): void {
    const by = mechanism === 'retail-mac' ? this.#vendors(mechanism) : plain[mechanism]
    this.#attempt(() => {
      this.#pkcs11.C_SignInit(this.#work, by, object.handle as Buffer)
      // The binding hands an empty buffer over as no buffer, which a token refuses; in parts there is no first part.
      if (data.length === 0) this.#pkcs11.C_SignFinal(this.#work, output)
      else this.#pkcs11.C_Sign(this.#work, mechanism === 'ecdsa' ? sha256(data) : data, output)
    })
  }

  random(output: Buffer): void {
    this.#attempt(() => void this.#pkcs11.C_GenerateRandom(this.#work, output))
  }

  generateSigner(label: string, id: string): void {
    const { js, pkcs11, session } = this.#raw
    const common = [
      { type: js.CKA_TOKEN, value: true },
      { type: js.CKA_MODIFIABLE, value: false },
      { type: js.CKA_LABEL, value: label },
      { type: js.CKA_ID, value: Buffer.from(id, 'utf8') },
    ]
    const no = (names: readonly number[]): Pkcs11Js.Template => names.map((type) => ({ type, value: false }))
    this.#attempt(() =>
      pkcs11.C_GenerateKeyPair(
        session,
        { mechanism: js.CKM_EC_KEY_PAIR_GEN },
        [
          ...common,
          { type: js.CKA_EC_PARAMS, value: p256 },
          { type: js.CKA_VERIFY, value: true },
          ...no([js.CKA_ENCRYPT, js.CKA_WRAP]),
        ],
        [
          ...common,
          { type: js.CKA_PRIVATE, value: true },
          { type: js.CKA_SENSITIVE, value: true },
          { type: js.CKA_EXTRACTABLE, value: false },
          { type: js.CKA_SIGN, value: true },
          ...no([js.CKA_DECRYPT, js.CKA_UNWRAP, js.CKA_DERIVE]),
        ],
      ),
    )
    this.#objects = listObjects(this.#raw)
  }

  publicPoint(object: TokenObject): Buffer {
    const { js, pkcs11, session } = this.#raw
    return this.#attempt(() => {
      const [handle] = find(this.#raw, [
        { type: js.CKA_CLASS, value: js.CKO_PUBLIC_KEY },
        { type: js.CKA_LABEL, value: object.label },
      ])
      if (handle === undefined) throw new TokenError(objectHandleInvalid)
      const [point] = pkcs11.C_GetAttributeValue(session, handle, [{ type: js.CKA_EC_POINT }])
      // The attribute is a DER octet string around the point.
      return Buffer.from(point!.value.subarray(-65))
    })
  }

  derive({ from, data, object }: Parameters<Token['derive']>[0]): TokenObject {
    const { js } = this.#raw
    const template = templateOf(js, object, false).filter(({ type }) => type !== js.CKA_MODIFIABLE)
    const handle = this.#derive(from, data, template)
    return { label: object.label, id: object.id, kind: object.kind, bytes: 16, handle }
  }

  deriveBytes({ from, data, output }: Parameters<Token['deriveBytes']>[0]): void {
    const value = this.#readOnce(this.#derive(from, data, readable(this.#raw.js)))
    value.copy(output)
    value.fill(0)
  }

  /** The value of an object that was made to be read, and the object's end. */
  #readOnce(handle: Pkcs11Js.Handle): Buffer {
    const { js, pkcs11, session } = this.#raw
    try {
      return pkcs11.C_GetAttributeValue(session, handle, [{ type: js.CKA_VALUE }])[0]!.value
    } finally {
      pkcs11.C_DestroyObject(session, handle)
    }
  }

  /** CBC over one block with a zero vector is the block cipher itself. */
  #derive(from: TokenObject, data: Buffer, template: Pkcs11Js.Template): Pkcs11Js.Handle {
    const { js, pkcs11 } = this.#raw
    const parameter = { type: js.CK_PARAMS_AES_CBC, iv: zero16, data }
    return this.#attempt(() =>
      pkcs11.C_DeriveKey(
        this.#raw.session,
        { mechanism: ckm['aes-cbc-derive'], parameter },
        from.handle as Buffer,
        [...template, { type: js.CKA_VALUE_LEN, value: 16 }],
      ),
    )
  }

  wrap({ kek, object, mechanism }: Parameters<Token['wrap']>[0]): Buffer {
    return this.#attempt(() => {
      const output = ownBytes(object.bytes + 16)
      const by = { mechanism: ckm[mechanism] }
      return this.#pkcs11.C_WrapKey(this.#work, by, kek.handle as Buffer, object.handle as Buffer, output)
    })
  }

  unwrapBytes({ kek, wrapped }: Parameters<Token['unwrapBytes']>[0]): Buffer {
    const { js, pkcs11, session } = this.#raw
    const by = { mechanism: ckm['aes-wrap-pad'] }
    return this.#readOnce(
      this.#attempt(() => pkcs11.C_UnwrapKey(session, by, kek.handle as Buffer, wrapped, readable(js))),
    )
  }

  newDataKey(kek: TokenObject): Buffer {
    const { js, pkcs11, session } = this.#raw
    // Extractable for the one wrap, granted nothing, and gone before this function returns.
    const spec = { ...dataKey([]), extractable: true } as const
    const handle = this.#attempt(() =>
      pkcs11.C_GenerateKey(session, { mechanism: js.CKM_AES_KEY_GEN }, [
        ...templateOf(js, spec, false),
        { type: js.CKA_VALUE_LEN, value: 32 },
      ]),
    )
    try {
      const object = { label: spec.label, id: spec.id, kind: 'AES', bytes: 32, handle } as const
      return this.wrap({ kek, object, mechanism: 'aes-wrap-pad' })
    } finally {
      pkcs11.C_DestroyObject(session, handle)
    }
  }

  unwrapDataKey(kek: TokenObject, wrapped: Buffer): TokenObject {
    const { js, pkcs11 } = this.#raw
    const handle = this.#attempt(() =>
      pkcs11.C_UnwrapKey(
        this.#raw.session,
        { mechanism: ckm['aes-wrap-pad'] },
        kek.handle as Buffer,
        wrapped,
        // SoftHSM writes to the object after it has made it, and cannot when it is not modifiable.
        templateOf(js, dataKey(['encrypt', 'decrypt']), false).filter(
          ({ type }) => type !== js.CKA_MODIFIABLE,
        ),
      ),
    )
    return { label: '', id: 'D0B', kind: 'AES', bytes: 32, handle }
  }

  seal({ object, iv, aad, input }: GcmRequest): Buffer {
    return this.#attempt(() => {
      const output = ownBytes(input.length + 16)
      this.#pkcs11.C_EncryptInit(this.#work, this.#gcm(iv, aad), object.handle as Buffer)
      return this.#pkcs11.C_Encrypt(this.#work, input, output)
    })
  }

  open({ object, iv, aad, input }: GcmRequest): Buffer {
    try {
      return this.#attempt(() => {
        const output = ownBytes(input.length)
        this.#pkcs11.C_DecryptInit(this.#work, this.#gcm(iv, aad), object.handle as Buffer)
        return this.#pkcs11.C_Decrypt(this.#work, input, output)
      })
    } catch (error) {
      if (!(error instanceof TokenError) || error.code !== generalError) throw error
      // SoftHSM has no better word for a tag that does not fit; a token that is really lost fails at the next call.
      this.#renewSession()
      throw new TokenError(encryptedDataInvalid)
    }
  }

  lend(object: ObjectSpec): TokenObject {
    const { label, id, kind, value } = object
    const handle = this.#attempt(() =>
      this.#pkcs11.C_CreateObject(this.#raw.session, templateOf(this.#raw.js, object, false)),
    )
    return { label, id, kind, bytes: value.length, handle }
  }

  forget(object: TokenObject): void {
    this.#attempt(() => this.#pkcs11.C_DestroyObject(this.#raw.session, object.handle as Buffer))
  }

  refresh(): void {
    const fresh = this.#attempt(() => listObjects(this.#raw))
    if (fresh.length === 0 && this.#objects.length > 0) throw new TokenError(generalError)
    this.#objects = fresh
  }

  unsafe(object: TokenObject): readonly string[] {
    const { js, pkcs11, session } = this.#raw
    const ec = object.kind === 'EC'
    const read = (name: Flag): boolean =>
      this.#attempt(
        () =>
          pkcs11.C_GetAttributeValue(session, object.handle as Buffer, [{ type: js[`CKA_${name}`] }])[0]!
            .value[0] === 1,
      )
    const wrong: string[] = []
    if (read('EXTRACTABLE')) wrong.push('extractable')
    if (read('MODIFIABLE')) wrong.push('modifiable')
    if (!read('SENSITIVE')) wrong.push('not sensitive')
    const deciphers = read('DECRYPT') || (!ec && read('ENCRYPT'))
    if ((read('UNWRAP') || (!ec && read('WRAP'))) && deciphers) wrong.push('wraps and enciphers')
    return wrong
  }

  create(object: ObjectSpec): void {
    this.#attempt(() => {
      this.#pkcs11.C_CreateObject(this.#work, templateOf(this.#raw.js, object, true))
      if (object.kind === 'EC') {
        this.#pkcs11.C_CreateObject(this.#work, publicTemplateOf(this.#raw.js, object))
      }
    })
    this.#objects = listObjects(this.#raw)
  }

  destroy(label: string): void {
    const { js, pkcs11 } = this.#raw
    this.#attempt(() => {
      for (const handle of find(this.#raw, [{ type: js.CKA_LABEL, value: label }])) {
        pkcs11.C_DestroyObject(this.#work, handle)
      }
    })
    this.#objects = listObjects(this.#raw)
  }

  close(): void {
    this.#pkcs11.C_Finalize()
    this.#pkcs11.close()
  }

  #vendors(mechanism: VendorMechanism): Pkcs11Js.Mechanism {
    const number = this.#vendor?.mechanisms[mechanism]
    if (number === undefined) throw new TokenError(mechanismInvalid)
    return { mechanism: number }
  }

  #gcm(iv: Buffer, aad: Buffer): Pkcs11Js.Mechanism {
    const parameter = {
      type: this.#raw.js.CK_PARAMS_AES_GCM_v240,
      iv,
      aad,
      ivBits: iv.length * 8,
      tagBits: 128,
    }
    return { mechanism: ckm['aes-gcm'], parameter }
  }

  /** All operations here may be repeated safely, so a lost handle or session is renewed and the call made once more. */
  #attempt<Result>(run: () => Result): Result {
    // A session is not used for ever either: what leaks in a library leaks by session.
    if (++this.#calls % sessionCallsMax === 0) this.#renewSession()
    try {
      return run()
    } catch (error) {
      const refusal = tokenError(error)
      const kind = classOf(refusal.code)
      if (kind === 'data' || kind === 'device') throw refusal
      // After half an operation a session answers OPERATION_ACTIVE for ever, so it is never used again.
      this.#renewSession()
      if (kind === 'handle') this.#renewHandles()
    }
    try {
      return run()
    } catch (error) {
      const refusal = tokenError(error)
      if (classOf(refusal.code) !== 'data') this.#renewSession()
      throw refusal
    }
  }

  #newSession(): Pkcs11Js.Handle {
    const { js, pkcs11, slot } = this.#raw
    return pkcs11.C_OpenSession(slot, js.CKF_SERIAL_SESSION | js.CKF_RW_SESSION)
  }

  #renewSession(): void {
    try {
      this.#pkcs11.C_CloseSession(this.#work)
    } catch {
      // It may be gone already, which is what was wanted.
    }
    try {
      this.#work = this.#newSession()
    } catch {
      throw new TokenError(generalError)
    }
  }

  #renewHandles(): void {
    let fresh: TokenObject[]
    try {
      fresh = listObjects(this.#raw)
    } catch {
      throw new TokenError(generalError)
    }
    // A token that has lost everything has vanished; a missing key on a token with others was destroyed.
    if (fresh.length === 0 && this.#objects.length > 0) throw new TokenError(generalError)
    // By its purpose and check value too: another key under the same label is not this one.
    const nameOf = ({ label, id }: TokenObject): string => `${label} ${id}`
    const handles = new Map(fresh.map((object) => [nameOf(object), object.handle]))
    for (const object of this.#objects) object.handle = handles.get(nameOf(object)) ?? ownBytes(8)
  }
}

type Flag = 'EXTRACTABLE' | 'MODIFIABLE' | 'SENSITIVE' | 'ENCRYPT' | 'DECRYPT' | 'WRAP' | 'UNWRAP'

function block(mechanism: BlockRequest['mechanism'], iv: Buffer | undefined): Pkcs11Js.Mechanism {
  switch (mechanism) {
    case 'des3-ecb':
    case 'aes-ecb':
      return plain[mechanism]
    case 'des3-cbc':
    case 'aes-cbc':
      return iv === undefined ? unchained[mechanism] : { mechanism: ckm[mechanism], parameter: iv }
  }
}

/** The caller's template decides whether what is derived or unwrapped can be read: on SoftHSM, nothing else does. */
function readable(js: typeof Pkcs11Js): Pkcs11Js.Template {
  const spec = { label: '', id: '', kind: 'generic', grants: [], mechanisms: [], extractable: true } as const
  return templateOf(js, spec, false)
    .filter(({ type }) => type !== js.CKA_MODIFIABLE)
    .map((attribute) => (attribute.type === js.CKA_SENSITIVE ? { ...attribute, value: false } : attribute))
}

function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest()
}

const plain = {
  'des3-ecb': { mechanism: ckm['des3-ecb'] },
  'aes-ecb': { mechanism: ckm['aes-ecb'] },
  'des3-cmac': { mechanism: ckm['des3-cmac'] },
  'aes-cmac': { mechanism: ckm['aes-cmac'] },
  'hmac-sha256': { mechanism: ckm['hmac-sha256'] },
  ecdsa: { mechanism: ckm.ecdsa },
} as const

const zero16 = ownBytes(16)

/** A first block, chained to zeros. */
const unchained = {
  'des3-cbc': { mechanism: ckm['des3-cbc'], parameter: ownBytes(8) },
  'aes-cbc': { mechanism: ckm['aes-cbc'], parameter: zero16 },
} as const

function dataKey(grants: ObjectSpec['grants']): Omit<ObjectSpec, 'value'> {
  return { label: 'vault data key', id: 'D0B', kind: 'AES', grants, mechanisms: ['aes-gcm'] }
}
