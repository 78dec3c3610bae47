/** A logged-in session on a token, in the words of PKCS#11. Everything here is synchronous. */
import { createECDH } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type * as Pkcs11Js from 'pkcs11js'
import { StartError } from '../config.ts'
import type { Grant, Mechanism, ObjectKind, ObjectSpec } from '../objects.ts'
import { TokenError } from '../token.ts'
import type { TokenObject } from '../token.ts'
import { ckm, mechanismInvalid } from './constants.ts'
import { ownBytes } from '../memory.ts'

export interface TokenLogin {
  readonly module: string
  readonly tokenLabel: string
  readonly pinFile: string
}

/** What the driver itself works with. */
export interface Raw {
  readonly pkcs11: Pkcs11Js.PKCS11
  readonly js: typeof Pkcs11Js
  /** Holds the login, and owns what lives as long as the process. */
  readonly session: Pkcs11Js.Handle
  readonly slot: Pkcs11Js.Handle
}

/**
 * Opens the token by its label (slot numbers change between starts), with one login attempt and no second: a
 * real token locks after a few.
 */
export async function openSession(login: TokenLogin): Promise<Raw> {
  const { js, pkcs11 } = await openModule(login.module)
  const slot = slotOf(pkcs11, login.tokenLabel)
  const session = pkcs11.C_OpenSession(slot, js.CKF_SERIAL_SESSION | js.CKF_RW_SESSION)
  logIn({ js, pkcs11, session, slot }, login.pinFile)
  return { pkcs11, js, session, slot }
}

async function openModule(path: string): Promise<Pick<Raw, 'js' | 'pkcs11'>> {
  const { js, pkcs11 } = await loadModule(path)
  try {
    pkcs11.C_Initialize()
  } catch {
    // SoftHSM does not start without its folder of tokens; that may come back, which a missing library won't.
    throw new StartError('noToken')
  }
  return { js, pkcs11 }
}

async function loadModule(path: string): Promise<Pick<Raw, 'js' | 'pkcs11'>> {
  try {
    const js = (await import('pkcs11js')).default
    const pkcs11 = new js.PKCS11()
    pkcs11.load(path)
    return { js, pkcs11 }
  } catch {
    throw new StartError('moduleNotFound')
  }
}

function logIn({ js, pkcs11, session }: Raw, pinFile: string): void {
  let pin: Buffer
  try {
    pin = readFileSync(pinFile)
  } catch {
    throw new StartError('badConfig')
  }
  try {
    pkcs11.C_Login(session, js.CKU_USER, pin.toString('latin1').trim())
  } catch {
    throw new StartError('loginRefused')
  } finally {
    pin.fill(0)
  }
}

function slotOf(pkcs11: Pkcs11Js.PKCS11, tokenLabel: string): Pkcs11Js.Handle {
  for (const slot of pkcs11.C_GetSlotList(true)) {
    if (pkcs11.C_GetTokenInfo(slot).label.replaceAll('\0', '').trim() === tokenLabel) return slot
  }
  throw new StartError('noToken')
}

/** One search over everything: a search costs milliseconds on a token of some hundred objects. */
export function listObjects(raw: Raw): TokenObject[] {
  const { js } = raw
  // What this process has lent itself is still there when the token is not.
  const stored = { type: js.CKA_TOKEN, value: true }
  return [js.CKO_SECRET_KEY, js.CKO_PRIVATE_KEY]
    .flatMap((value) => find(raw, [{ type: js.CKA_CLASS, value }, stored]))
    .map((handle) => describe(raw, handle))
}

function describe({ js, pkcs11, session }: Raw, handle: Pkcs11Js.Handle): TokenObject {
  const [label, id, type] = pkcs11.C_GetAttributeValue(session, handle, [
    { type: js.CKA_LABEL },
    { type: js.CKA_ID },
    { type: js.CKA_KEY_TYPE },
  ])
  const kind = kindOf[type!.value.readUIntLE(0, 4)] ?? 'generic'
  // Only keys of variable length have the attribute.
  const bytes =
    kind === 'AES' || kind === 'generic'
      ? pkcs11.C_GetAttributeValue(session, handle, [{ type: js.CKA_VALUE_LEN }])[0]!.value.readUIntLE(0, 4)
      : kind === 'DES3'
        ? 24
        : 16
  return { label: label!.value.toString('utf8'), id: id!.value.toString('utf8'), kind, bytes, handle }
}

const kindOf: Readonly<Record<number, ObjectKind>> = { 0x14: 'DES2', 0x15: 'DES3', 0x1f: 'AES', 0x03: 'EC' }

export function find(raw: Raw, template: Pkcs11Js.Template): Pkcs11Js.Handle[] {
  raw.pkcs11.C_FindObjectsInit(raw.session, template)
  try {
    const found: Pkcs11Js.Handle[] = []
    for (;;) {
      const some = raw.pkcs11.C_FindObjects(raw.session, 256)
      found.push(...some)
      if (some.length < 256) return found
    }
  } finally {
    raw.pkcs11.C_FindObjectsFinal(raw.session)
  }
}

const flagOf: Readonly<Record<Grant, string>> = {
  encrypt: 'CKA_ENCRYPT',
  decrypt: 'CKA_DECRYPT',
  sign: 'CKA_SIGN',
  derive: 'CKA_DERIVE',
  wrap: 'CKA_WRAP',
  unwrap: 'CKA_UNWRAP',
}

const keyTypes: Readonly<Record<ObjectKind, string>> = {
  DES2: 'CKK_DES2',
  DES3: 'CKK_DES3',
  AES: 'CKK_AES',
  generic: 'CKK_GENERIC_SECRET',
  EC: 'CKK_EC',
}

/** The OBJECT IDENTIFIER of P-256 in DER (RFC 5480 section 2.1.1.1), as PKCS#11 wants curves named. */
export const p256 = Buffer.from('06082A8648CE3D030107', 'hex')

/** Every flag is written out: what is left out of a template, SoftHSM mostly takes for yes. */
export function templateOf(
  js: typeof Pkcs11Js,
  object: Omit<ObjectSpec, 'value'> & { readonly value?: Buffer },
  onToken: boolean,
): Pkcs11Js.Template {
  const constants = js as unknown as Readonly<Record<string, number>>
  const ec = object.kind === 'EC'
  const granted = new Set(object.grants)
  const grants = (Object.keys(flagOf) as Grant[]).filter(
    (grant) => !ec || (grant !== 'encrypt' && grant !== 'wrap'),
  )
  return [
    { type: js.CKA_CLASS, value: ec ? js.CKO_PRIVATE_KEY : js.CKO_SECRET_KEY },
    { type: js.CKA_KEY_TYPE, value: constants[keyTypes[object.kind]]! },
    { type: js.CKA_TOKEN, value: onToken },
    { type: js.CKA_PRIVATE, value: true },
    { type: js.CKA_SENSITIVE, value: true },
    { type: js.CKA_EXTRACTABLE, value: object.extractable === true },
    { type: js.CKA_MODIFIABLE, value: false },
    { type: js.CKA_LABEL, value: object.label },
    { type: js.CKA_ID, value: Buffer.from(object.id, 'utf8') },
    ...grants.map((grant) => ({ type: constants[flagOf[grant]]!, value: granted.has(grant) })),
    ...(ec ? [] : [{ type: js.CKA_VERIFY, value: false }]),
    ...(object.mechanisms.length === 0
      ? []
      : [{ type: js.CKA_ALLOWED_MECHANISMS, value: allowed(object.mechanisms) }]),
    ...(ec ? [{ type: js.CKA_EC_PARAMS, value: p256 }] : []),
    ...(object.value === undefined ? [] : [{ type: js.CKA_VALUE, value: object.value }]),
  ]
}

/** The public half of an imported signing key, which no private object can be asked for. */
export function publicTemplateOf(js: typeof Pkcs11Js, object: ObjectSpec): Pkcs11Js.Template {
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(object.value)
  return [
    { type: js.CKA_CLASS, value: js.CKO_PUBLIC_KEY },
    { type: js.CKA_KEY_TYPE, value: js.CKK_EC },
    { type: js.CKA_TOKEN, value: true },
    { type: js.CKA_PRIVATE, value: false },
    { type: js.CKA_MODIFIABLE, value: false },
    { type: js.CKA_LABEL, value: object.label },
    { type: js.CKA_ID, value: Buffer.from(object.id, 'utf8') },
    { type: js.CKA_VERIFY, value: true },
    { type: js.CKA_ENCRYPT, value: false },
    { type: js.CKA_WRAP, value: false },
    { type: js.CKA_EC_PARAMS, value: p256 },
    // A DER octet string of the 65 bytes.
    { type: js.CKA_EC_POINT, value: Buffer.concat([Buffer.from([0x04, 0x41]), pair.getPublicKey()]) },
  ]
}

function allowed(mechanisms: readonly Mechanism[]): Buffer {
  const out = ownBytes(mechanisms.length * 8)
  mechanisms.forEach((mechanism, index) => {
    // Objects that are made here are of the standard's mechanisms; a vendor's own come by that vendor's ceremony.
    if (mechanism === 'retail-mac') throw new TokenError(mechanismInvalid)
    out.writeBigUInt64LE(BigInt(ckm[mechanism]), index * 8)
  })
  return out
}
