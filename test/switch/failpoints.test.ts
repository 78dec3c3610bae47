import { expect, test } from 'vitest'
import type { PinTranslation } from '../../hsm/hsm.ts'
import { FailpointError, failpointNames, Failpoints } from '../../switch/switch.ts'

test('every failpoint can be set to every action, at any passing', () => {
  for (const name of failpointNames) {
    for (const action of ['kill', 'throw', 'stall=3000', 'delay=50'])
      for (const nth of ['', '@7'])
        expect(new Failpoints(`${name}:${action}${nth}`, 'development')).toBeDefined()
  }
})

test.each([
  'P99.after:kill',
  'P8.after',
  'P8.after:burn',
  'P8.after:stall',
  'P8.after:kill=5',
  'P8.after:kill@',
  '',
])('a failpoint that makes no sense is refused with the names there are: %j', (text) => {
  expect(() => new Failpoints(text, 'development')).toThrow(FailpointError)
})

test('none can be set in production', () => {
  expect(() => new Failpoints('P8.after:kill', 'production')).toThrow('refused in production')
})

test('what waits at one point of the hsm waits there alone, and what it answers is the answer of what it stands for', async () => {
  const asked: string[] = []
  const hsm = new Failpoints('P4.after:delay=1@2', 'development').hsm({
    translatePin: (_request: PinTranslation) => {
      asked.push('translate')
      return Promise.resolve(new Uint8Array([1]))
    },
    movePin: (_request: object) => {
      asked.push('move')
      return Promise.resolve(new Uint8Array([2]))
    },
    verifyThenTokenise: () => Promise.resolve({ verified: false as const }),
  })
  const request = { from: 'a', to: 'b', pinBlock: new Uint8Array(8), pan: '' }
  expect(await hsm.translatePin(request)).toEqual(new Uint8Array([1]))
  expect(await hsm.translatePin(request)).toEqual(new Uint8Array([1]))
  const move = { key: 'a', to: 'b', pinBlock: new Uint8Array(8), pan: '', toFormat: 4 } as const
  expect(await hsm.movePin(move)).toEqual(new Uint8Array([2]))
  expect(asked).toEqual(['translate', 'translate', 'move'])
})
