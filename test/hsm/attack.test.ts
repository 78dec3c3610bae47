import type * as Pkcs11Js from 'pkcs11js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSession } from '../../hsm/pkcs11/session.ts'
import type { Raw } from '../../hsm/pkcs11/session.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { issuerKeys, world } from './world.ts'
import type { World } from './world.ts'

/** What an attacker gets who has taken over the HSM process: the library, and a session that is logged in. */
describe.skipIf(softhsmMissing() !== undefined)('with a session on the token', () => {
  let rooms: World
  let raw: Raw
  let js: typeof Pkcs11Js
  const handles = new Map<string, Buffer>()
  beforeAll(async () => {
    rooms = await world(issuerKeys)
    process.env['SOFTHSM2_CONF'] = rooms.token.softhsmConf
    raw = await openSession(rooms.token)
    js = raw.js
    raw.pkcs11.C_FindObjectsInit(raw.session, [{ type: js.CKA_PRIVATE, value: true }])
    for (const handle of raw.pkcs11.C_FindObjects(raw.session, 500)) {
      const [label] = raw.pkcs11.C_GetAttributeValue(raw.session, handle, [{ type: js.CKA_LABEL }])
      handles.set(label!.value.toString('utf8'), handle)
    }
    raw.pkcs11.C_FindObjectsFinal(raw.session)
  })
  afterAll(async () => {
    raw.pkcs11.C_Finalize()
    await rooms[Symbol.asyncDispose]()
  })

  /** Runs an attack with a fresh session, so that none leaves an operation behind for the next. */
  function refused(attack: (session: Buffer) => void): boolean {
    const session = raw.pkcs11.C_OpenSession(raw.slot, js.CKF_SERIAL_SESSION | js.CKF_RW_SESSION)
    try {
      attack(session)
      return false
    } catch {
      return true
    } finally {
      raw.pkcs11.C_CloseSession(session)
    }
  }

  const flag = (handle: Buffer, type: number): boolean =>
    raw.pkcs11.C_GetAttributeValue(raw.session, handle, [{ type }])[0]!.value[0] === 1

  test('there is an object for each key, and those that stand in for what the token lacks', () => {
    expect(handles.size).toBe(issuerKeys.length + 3)
  })

  test('no key’s value can be read', () => {
    for (const [label, handle] of handles) {
      expect(
        refused((session) => raw.pkcs11.C_GetAttributeValue(session, handle, [{ type: js.CKA_VALUE }])),
        label,
      ).toBe(true)
    }
  })

  test('no key can be wrapped and then deciphered', () => {
    const kek = handles.get('kek.vault.both.v001')!
    for (const mechanism of [js.CKM_AES_KEY_WRAP, js.CKM_AES_KEY_WRAP_PAD, js.CKM_AES_CBC, js.CKM_AES_ECB]) {
      const by = { mechanism, parameter: mechanism === js.CKM_AES_CBC ? Buffer.alloc(16) : Buffer.alloc(0) }
      for (const [label, handle] of handles) {
        const wraps = (session: Buffer): void =>
          void raw.pkcs11.C_WrapKey(session, by, kek, handle, Buffer.alloc(256))
        expect(refused(wraps), `${label} by ${mechanism}`).toBe(true)
      }
      expect(refused((session) => raw.pkcs11.C_DecryptInit(session, by, kek))).toBe(true)
      expect(refused((session) => raw.pkcs11.C_EncryptInit(session, by, kek))).toBe(true)
    }
  })

  test('no key can both wrap and encipher, leave the token, or be changed', () => {
    for (const [label, handle] of handles) {
      const secret = !label.startsWith('sign.')
      const wraps = flag(handle, js.CKA_UNWRAP) || (secret && flag(handle, js.CKA_WRAP))
      const enciphers = flag(handle, js.CKA_DECRYPT) || (secret && flag(handle, js.CKA_ENCRYPT))
      expect(wraps && enciphers, label).toBe(false)
      expect(flag(handle, js.CKA_EXTRACTABLE), label).toBe(false)
      expect(flag(handle, js.CKA_SENSITIVE), label).toBe(true)
      for (const type of [js.CKA_DECRYPT, js.CKA_EXTRACTABLE, js.CKA_WRAP]) {
        const grants = (session: Buffer): void =>
          raw.pkcs11.C_SetAttributeValue(session, handle, [{ type, value: true }])
        expect(refused(grants), label).toBe(true)
      }
      expect(
        refused((session) =>
          raw.pkcs11.C_SetAttributeValue(session, handle, [{ type: js.CKA_SENSITIVE, value: false }]),
        ),
        label,
      ).toBe(true)
    }
  })

  test('a copy of a key has no more rights than the key', () => {
    const handle = handles.get('zpk.knet.out.v001')!
    for (const type of [js.CKA_EXTRACTABLE, js.CKA_DECRYPT]) {
      const copies = (session: Buffer): void => {
        const copy = raw.pkcs11.C_CopyObject(session, handle, [
          { type: js.CKA_TOKEN, value: false },
          { type, value: true },
        ])
        if (flag(copy, type)) raw.pkcs11.C_DestroyObject(session, copy)
        else throw new Error('the copy has not got it')
      }
      expect(refused(copies)).toBe(true)
    }
  })

  test('an outbound PIN key does not decipher, an inbound one does not encipher, a MAC key does neither', () => {
    const cbc = { mechanism: js.CKM_DES3_CBC, parameter: Buffer.alloc(8) }
    const aes = { mechanism: js.CKM_AES_CBC, parameter: Buffer.alloc(16) }
    const [inbound, outbound] = [handles.get('tpk.acq1.in.v001')!, handles.get('zpk.knet.out.v001')!]
    const mac = handles.get('zak.knet.both.v001')!
    expect(refused((session) => raw.pkcs11.C_DecryptInit(session, cbc, outbound))).toBe(true)
    expect(refused((session) => raw.pkcs11.C_EncryptInit(session, cbc, inbound))).toBe(true)
    expect(refused((session) => raw.pkcs11.C_EncryptInit(session, aes, mac))).toBe(true)
    expect(refused((session) => raw.pkcs11.C_DecryptInit(session, aes, mac))).toBe(true)
    // Each works for what it is for, so the refusals above are not of everything.
    expect(refused((session) => raw.pkcs11.C_DecryptInit(session, cbc, inbound))).toBe(false)
    expect(refused((session) => raw.pkcs11.C_EncryptInit(session, cbc, outbound))).toBe(false)
  })

  test('a key works by its own mechanisms only', () => {
    const outbound = handles.get('zpk.knet.out.v001')!
    const ecb = { mechanism: js.CKM_DES3_ECB }
    const padded = { mechanism: js.CKM_DES3_CBC_PAD, parameter: Buffer.alloc(8) }
    expect(refused((session) => raw.pkcs11.C_EncryptInit(session, ecb, outbound))).toBe(true)
    expect(refused((session) => raw.pkcs11.C_EncryptInit(session, padded, outbound))).toBe(true)
  })
})
