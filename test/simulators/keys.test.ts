import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  aesCmac,
  decryptPin,
  encryptPin,
  keyNamed,
  pinBlock0,
  pinOfBlock0,
  readKeyFile,
  retailMac,
  seal,
  sealHolds,
  type TestKey,
} from '../../simulators/keys.ts'
import { newFolder } from './folder.ts'

interface Vector {
  id: string
  function: string
  inputs: Record<string, string | number>
  expected: Record<string, string>
}

const { vectors } = JSON.parse(readFileSync('test/vectors/hsm.json', 'utf8')) as { vectors: Vector[] }
const of = (name: string): Vector[] => vectors.filter((vector) => vector.function === name)
const hex = (value: unknown): Buffer => Buffer.from(value as string, 'hex')

describe('against published vectors', () => {
  const retail = of('mac.iso9797_3').filter(({ inputs }) => inputs['padding'] === 1)
  test.each(retail)('the retail MAC of $id', ({ inputs, expected }) => {
    expect(retailMac(hex(inputs['key']), hex(inputs['data']))).toEqual(hex(expected['mac']))
  })

  test.each(of('mac.cmac.aes'))('the AES-CMAC of $id', ({ inputs, expected }) => {
    expect(aesCmac(hex(inputs['key']), hex(inputs['data']))).toEqual(hex(expected['mac']))
  })

  const format0 = of('pinblock.encode').filter(({ inputs }) => inputs['format'] === 0)
  test.each(format0)('the PIN block of $id, and back', ({ inputs, expected }) => {
    const [pin, pan] = [inputs['pin'] as string, inputs['pan'] as string]
    expect(pinBlock0({ pin, pan })).toEqual(hex(expected['block']))
    expect(pinOfBlock0(hex(expected['block']), pan)).toBe(pin)
  })

  test('there are vectors of each kind', () => {
    expect([retail.length, of('mac.cmac.aes').length, format0.length].every((count) => count > 0)).toBe(true)
  })
})

const des: TestKey = { ref: 'a', algorithm: 'DES2', value: hex('0123456789ABCDEFFEDCBA9876543210') }
const aes: TestKey = { ref: 'b', algorithm: 'AES128', value: hex('2B7E151628AED2A6ABF7158809CF4F3C') }
const pan = '8888880000000001'

test('a PIN comes back from its own key and card', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9]{4,12}$/), (pin) => {
      expect(decryptPin(des, { block: encryptPin(des, { pin, pan }), pan })).toBe(pin)
    }),
  )
})

test('a PIN block under another key, of another size, or of noise is not a PIN', () => {
  const other = { ...des, value: hex('FEDCBA98765432100123456789ABCDEF') }
  expect(decryptPin(other, { block: encryptPin(des, { pin: '1234', pan }), pan })).toBeUndefined()
  expect(decryptPin(des, { block: Buffer.alloc(7), pan })).toBeUndefined()
  expect(decryptPin(des, { block: Buffer.alloc(8), pan })).toBeUndefined()
})

test('a seal holds for its data and key, and for nothing else', () => {
  const data = Buffer.from('0200 something worth sealing')
  for (const key of [des, aes]) {
    const mac = seal(key, data)
    expect(mac).toHaveLength(8)
    expect(sealHolds(key, data, mac)).toBe(true)
    expect(sealHolds(key, Buffer.concat([data, Buffer.from('x')]), mac)).toBe(false)
    expect(sealHolds(key, data, mac.subarray(0, 4))).toBe(false)
  }
  expect(sealHolds(aes, data, seal(des, data))).toBe(false)
})

describe('the key file', () => {
  const write = async (text: string): Promise<string> => {
    const path = join(await newFolder(), 'keys.json')
    await writeFile(path, text)
    return path
  }
  const value = '0123456789ABCDEFFEDCBA9876543210'

  test('gives keys by name, and a fault for a name it lacks', async () => {
    const keys = await readKeyFile(
      await write(JSON.stringify({ keys: [{ ref: 'tpk.acq1.in', algorithm: 'DES2', value }] })),
    )
    expect(keyNamed(keys, 'tpk.acq1.in').value).toEqual(hex(value))
    expect(() => keyNamed(keys, 'tpk.acq2.in')).toThrow('key tpk.acq2.in: unknown')
  })

  test.each([
    ['text that is not JSON', '{'],
    ['no list of keys', '{}'],
    ['an entry without a value', JSON.stringify({ keys: [{ ref: 'a', algorithm: 'DES2' }] })],
    ['an unknown algorithm', JSON.stringify({ keys: [{ ref: 'a', algorithm: 'ROT13', value }] })],
    ['a key of the wrong size', JSON.stringify({ keys: [{ ref: 'a', algorithm: 'AES256', value }] })],
    [
      'a value that is not hex',
      JSON.stringify({ keys: [{ ref: 'a', algorithm: 'DES2', value: `${value}z` }] }),
    ],
  ])('is refused with %s, without its values in the error', async (_, text) => {
    const refused = await readKeyFile(await write(text)).catch((error: unknown) => error)
    expect(refused).toMatchObject({ name: 'SimulatorError' })
    expect(String(refused)).not.toContain(value)
  })
})
