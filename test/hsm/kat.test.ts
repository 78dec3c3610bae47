import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runVectors } from '../../hsm/kat.ts'
import type { Vector } from '../../hsm/kat.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import type { Token } from '../../hsm/token.ts'
import { openTwin } from '../../hsm/twin/token.ts'
import { scratchToken, softhsmMissing } from '../support/softhsm.ts'
import type { ScratchToken } from '../support/softhsm.ts'

const file = JSON.parse(readFileSync(join(import.meta.dirname, '../vectors/hsm.json'), 'utf8')) as {
  vectors: Vector[]
}

test('the twin gives every known answer', () => {
  const result = runVectors(openTwin([]), file)
  expect(result).toMatchObject({ passed: file.vectors.length, failures: [], skips: [] })
})

test('a changed answer, an unknown function and a vector without inputs are failures', () => {
  const [first] = file.vectors
  const wrong = [
    { ...first, id: 'changed', expected: { block: '041261AAAAEDCBA8' } },
    { ...first, id: 'unknown', function: 'pin.guess' },
    { id: 'empty', function: 'mac.cmac.aes', inputs: {}, expected: { mac: '00' } },
  ]
  const result = runVectors(openTwin([]), wrong)
  expect(result.failures.map(({ id }) => id)).toEqual(['changed', 'unknown', 'empty'])
})

test.each([{}, [], [1], { vectors: 'none' }].slice(2))('%j is not a list of vectors', (bad) => {
  expect(() => runVectors(openTwin([]), bad)).toThrow(TypeError)
})

describe.skipIf(softhsmMissing() !== undefined)('on SoftHSM', () => {
  let scratch: ScratchToken
  let token: Token
  beforeAll(async () => {
    scratch = scratchToken()
    process.env['SOFTHSM2_CONF'] = scratch.softhsmConf
    token = await openPkcs11Token(scratch)
  })
  afterAll(() => {
    token.close()
    scratch.remove()
  })

  test('every known answer comes, but for HMAC keys that the token refuses for their length', () => {
    const result = runVectors(token, file)
    expect(result.failures).toEqual([])
    expect(result.skips.map(({ why }) => why)).toEqual(
      result.skips.map(() => 'the token refuses a key of this length'),
    )
    const shortHmacKeys = file.vectors.filter(
      (vector) => vector.function === 'mac.hmac.sha256' && vector.inputs.key.length < 64,
    )
    expect(result.skips.map(({ id }) => id)).toEqual(shortHmacKeys.map(({ id }) => id))
    expect(result.passed + result.skipped).toBe(file.vectors.length)
  })

  test('no key of a vector stays on the token', () => {
    expect(token.objects()).toEqual([])
  })
})
