import { createPublicKey, verify } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm, IssuerHsm } from '../../hsm/hsm.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, issuerKeys, text, world } from './world.ts'
import type { World } from './world.ts'

const pan = '5555555551234567'
const pinBlock = hex('230B4C43B8BA2C5C') // PIN 1234, format 0
const refused = (why: string): object => ({ kind: 'refused', why })

describe.skipIf(softhsmMissing() !== undefined).each(['pkcs11', 'twin'] as const)(
  'the %s driver',
  (driver) => {
    let rooms: World
    let hsm: Hsm & IssuerHsm
    beforeAll(async () => {
      rooms = await world(issuerKeys)
      hsm = await rooms.open({ driver })
    })
    afterAll(async () => {
      await rooms[Symbol.asyncDispose]()
    })

    test('a PIN goes from format 0 to 4 and back under other keys', async () => {
      const aes = await hsm.movePin({ key: 'tpk.acq1.in', pinBlock, pan, to: 'zpk.net4.out', toFormat: 4 })
      expect(aes).toHaveLength(16)
      const again = await hsm.movePin({ key: 'tpk.acq1.in', pinBlock, pan, to: 'zpk.net4.out', toFormat: 4 })
      expect(text(again)).not.toBe(text(aes))
      const published = hex('210BA56623F039D6CEA7762451EB7ACE')
      const request = {
        key: 'zpk.acq4.in',
        fromFormat: 4,
        pinBlock: published,
        pan,
        to: 'zpk.knet.out',
      } as const
      expect(text(await hsm.movePin(request))).toBe('A5948F55D854BBA4')
    })

    test.each([
      ['to format 1', { toFormat: 1 }, refused('badRequest')],
      ['from format 2', { fromFormat: 2 as never }, refused('badRequest')],
      ['to format 4 under a TDES key', { toFormat: 4 }, refused('wrongUsage')],
      ['for another card', { pan: '5555555551234666' }, { kind: 'pinBlock' }],
    ] as const)('a PIN block of format 0 does not go %s', async (_, change, fault) => {
      const request = { key: 'tpk.acq1.in', pinBlock, pan, to: 'zpk.knet.out', ...change }
      expect(await faultOf(hsm.movePin(request))).toEqual(fault)
    })

    const ksn = hex('FFFF9876543210E00002')
    const dukptBlock = hex('10A01C8D02C69107') // X9.24-1:2009 A.4, PIN 1234
    const dukptPan = '4012345678909'

    test('a PIN under a DUKPT key moves to a zone key, and the same PIN verifies', async () => {
      const from = { key: 'bdk.acq2.both', ksn, pinBlock: dukptBlock, pan: dukptPan }
      expect(await hsm.movePin({ ...from, to: 'zpk.knet.out' })).toHaveLength(8)
      const method = { method: 'visaPvv', verificationKey: 'pvk.own.both', keyIndex: 1 } as const
      const reference = await hsm.pinReference({ ...from, ...method })
      expect(await hsm.verifyPin({ ...from, ...method, reference })).toBe(true)
      const other = ((Number(reference) + 1) % 10_000).toString().padStart(4, '0')
      expect(await hsm.verifyPin({ ...from, ...method, reference: other })).toBe(false)
    })

    test.each([
      ['too short', hex('FFFF9876543210E0')],
      ['of AES length', hex('123456789012345600000002')],
      ['with counter zero', hex('FFFF9876543210E00000')],
      ['with more ones than a device counts', hex('FFFF9876543210FFFFFF')],
    ])('a key serial number %s is refused', async (_, bad) => {
      const request = {
        key: 'bdk.acq2.both',
        ksn: bad,
        pinBlock: dukptBlock,
        pan: dukptPan,
        to: 'zpk.knet.out',
      }
      expect(await faultOf(hsm.movePin(request))).toEqual(refused('badRequest'))
    })

    test('an AES DUKPT PIN block opens for its card only', async () => {
      const from = { key: 'bdk.acq3.both', ksn: hex('123456789012345600000002'), fromFormat: 4 } as const
      const sealed = { pinBlock: hex('52A00503BD34BA1383F6A7EE9FE2547F'), to: 'zpk.knet.out' }
      expect(await hsm.movePin({ ...from, ...sealed, pan: '4111111111111111' })).toHaveLength(8)
      const another = hsm.movePin({ ...from, ...sealed, pan: '4111111111111112' })
      expect(await faultOf(another)).toEqual({ kind: 'pinBlock' })
    })

    test('an IBM 3624 offset verifies the PIN it was made of', async () => {
      const request = {
        key: 'tpk.acq1.in',
        pinBlock,
        pan,
        method: 'ibm3624',
        verificationKey: 'ibm.own.both',
        decimalisation: '1234567890123456',
        validation: `${pan.slice(0, 12)}FFFF`,
      } as const
      const reference = await hsm.pinReference(request)
      expect(await hsm.verifyPin({ ...request, reference })).toBe(true)
      expect(await hsm.verifyPin({ ...request, reference: reference === '0000' ? '1111' : '0000' })).toBe(
        false,
      )
      const weak = hsm.verifyPin({ ...request, reference, decimalisation: '0000000100000000' })
      expect(await faultOf(weak)).toEqual(refused('badRequest'))
    })

    test('card values of the three kinds differ, and each verifies as its own', async () => {
      const common = { key: 'cvk.own.both', pan: '4123456789012345', expiry: '8701' }
      expect(await hsm.generateCardValue({ ...common, kind: 'cvv2' })).toBe('636')
      expect(await hsm.generateCardValue({ ...common, kind: 'icvv' })).toBe('651')
      expect(await hsm.verifyCardValue({ ...common, kind: 'icvv', value: '651' })).toBe(true)
      expect(await hsm.verifyCardValue({ ...common, kind: 'cvv', serviceCode: '101', value: '651' })).toBe(
        false,
      )
    })

    const card = {
      key: 'imkac.own.both',
      pan: '9901234567890123',
      sequence: '45',
      diversifier: hex('1234567890123456'),
    } as const
    const arqc = hex('4B46013359B7A58B')

    test('a chip card’s cryptogram verifies and is answered', async () => {
      const data = hex('0123456789ABCDEF0123456789ABCDEF')
      expect(await hsm.verifyArqc({ ...card, data, arqc })).toBe(true)
      expect(await hsm.verifyArqc({ ...card, data: hex('00'), arqc })).toBe(false)
      const answer = { ...card, arqc, method: 1, responseCode: hex('0000'), under: 'card' } as const
      expect(text(await hsm.generateArpc(answer))).toBe('F8C9CECAABD55AD1')
      const short = await hsm.generateArpc({ ...card, arqc, method: 2, statusUpdate: hex('00000000') })
      expect(short).toHaveLength(4)
    })

    test('a script is sealed by the integrity key and by no other', async () => {
      const data = hex('8424000008')
      const script = { pan: '1234567890123456', sequence: '01', diversifier: hex('ABCDEF1234567890'), data }
      const mac = await hsm.scriptMac({ ...script, key: 'imksmi.own.both' })
      expect(text(mac)).toBe('CF323F09A0F6AB9E')
      const wrong = hsm.scriptMac({ ...script, key: 'imkac.own.both' })
      expect(await faultOf(wrong)).toEqual(refused('wrongUsage'))
    })

    test('a DUKPT MAC is made and checked, each way by its own key', async () => {
      const data = hex('3430313233343536373839303944393837')
      const message = { key: 'bdk.acq2.both', ksn, data } as const
      const sealed = await hsm.sealMessage({ ...message, direction: 'request', bytes: 4 })
      expect(text(sealed)).toBe('F608A9BC')
      expect(await hsm.checkMessage({ ...message, direction: 'request', mac: sealed })).toBe(true)
      expect(await hsm.checkMessage({ ...message, direction: 'response', mac: sealed })).toBe(false)
    })

    test('an HMAC key seals with up to 32 bytes', async () => {
      const data = Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First')
      const mac = await hsm.sealMessage({ key: 'hmac.own.both', data, bytes: 32 })
      expect(text(mac)).toBe('60E431591EE0B67F0D8A26AACBF5B77F8E0BC6213728C5140546040F0EE37F54')
    })

    test('a signature is checked with the public key by other software', async () => {
      const data = Buffer.from('checkpoint 1')
      const point = Buffer.from(await hsm.publicKey('sign.audit.both'))
      const signature = await hsm.sign({ key: 'sign.audit.both', data })
      const key = createPublicKey({
        format: 'jwk',
        key: {
          kty: 'EC',
          crv: 'P-256',
          x: point.toString('base64url', 1, 33),
          y: point.toString('base64url', 33, 65),
        },
      })
      const check = (message: Buffer): boolean =>
        verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
      expect(check(data)).toBe(true)
      expect(check(Buffer.from('checkpoint 2'))).toBe(false)
    })

    test('randomness comes in the length that is asked for', async () => {
      expect(await hsm.random(48)).toHaveLength(48)
      expect(text(await hsm.random(16))).not.toBe(text(await hsm.random(16)))
      expect(await faultOf(hsm.random(1_025))).toEqual(refused('badRequest'))
    })

    test('a request that names another command than its own is not obeyed', async () => {
      const request = { key: 'cvk.own.both', pan, expiry: '8701', kind: 'cvv2', command: 'random' } as const
      expect(await hsm.generateCardValue(request)).toMatch(/^[0-9]{3}$/)
    })

    test('each key does what it is for and nothing else', async () => {
      const uses: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
        opens: (key) => hsm.movePin({ key, pinBlock, pan, to: 'zpk.knet.out' }),
        seals: (key) => hsm.movePin({ key: 'tpk.acq1.in', pinBlock, pan, to: key }),
        macs: (key) => hsm.generateMac({ key, data: hex('00') }),
        values: (key) => hsm.generateCardValue({ key, pan, expiry: '8701', kind: 'cvv2' }),
        verifies: (key) =>
          hsm.pinReference({
            ...{ key: 'tpk.acq1.in', pinBlock, pan, verificationKey: key },
            ...{ method: 'visaPvv', keyIndex: 1 },
          }),
        chips: (key) => hsm.verifyArqc({ ...card, key, data: hex('00'), arqc }),
        signs: (key) => hsm.sign({ key, data: hex('00') }),
      }
      const allowed: Readonly<Record<string, string[]>> = {
        'tpk.acq1.in': ['opens'],
        'zpk.knet.out': ['seals'],
        'tak.acq1.both': ['macs'],
        'zak.knet.both': ['macs'],
        'fpk.vault.both': [],
        'kek.vault.both': [],
        'cvk.own.both': ['values'],
        'pvk.own.both': ['verifies'],
        'ibm.own.both': [],
        'imkac.own.both': ['chips'],
        'imksmi.own.both': [],
        'sign.audit.both': ['signs'],
      }
      for (const [key, expected] of Object.entries(allowed)) {
        const possible: string[] = []
        for (const [name, use] of Object.entries(uses)) {
          const fault = await use(key).then(
            () => undefined,
            (error: unknown) => (error as { fault: unknown }).fault,
          )
          if (fault === undefined) possible.push(name)
          else expect(fault, `${key} ${name}`).toEqual(refused('wrongUsage'))
        }
        expect(possible, key).toEqual(expected)
      }
    })
  },
)
