import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm } from '../../hsm/hsm.ts'
import { PinFaultThrottle } from '../../hsm/throttle.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, text, world } from './world.ts'
import type { World } from './world.ts'

const limits = { windowMs: 1_000, faultsMaxByKey: 5, faultsMaxBySource: 2, namesMax: 4 }

test('a source is stopped after its faults, and others are not', () => {
  const throttle = new PinFaultThrottle(limits, () => 0)
  for (let index = 0; index < 2; index++) throttle.fault('tpk.acq1.in', 'terminal-1')
  expect(throttle.allows('tpk.acq1.in', 'terminal-1')).toBe(false)
  expect(throttle.allows('tpk.acq1.in', 'terminal-2')).toBe(true)
})

test('a key is stopped after its faults, whoever sent them', () => {
  const throttle = new PinFaultThrottle(limits, () => 0)
  for (let index = 0; index < 5; index++) throttle.fault('tpk.acq1.in', undefined)
  expect(throttle.allows('tpk.acq1.in', 'terminal-9')).toBe(false)
  expect(throttle.allows('tpk.acq2.in', 'terminal-9')).toBe(true)
})

test('after its window a count starts anew', () => {
  let now = 0
  const throttle = new PinFaultThrottle(limits, () => now)
  for (let index = 0; index < 5; index++) throttle.fault('tpk.acq1.in', 'terminal-1')
  now = 1_000
  expect(throttle.allows('tpk.acq1.in', 'terminal-1')).toBe(true)
})

test('however many sources there are, only so many are remembered', () => {
  const throttle = new PinFaultThrottle(limits, () => 0)
  throttle.fault('tpk.acq1.in', 'terminal-0')
  throttle.fault('tpk.acq1.in', 'terminal-0')
  for (let index = 1; index < 7; index++) throttle.fault(`tpk.acq${index}.in`, undefined)
  expect(throttle.allows('tpk.acq9.in', 'terminal-0')).toBe(true)
})

describe.skipIf(softhsmMissing() !== undefined)('on a token', () => {
  let rooms: World
  let hsm: Hsm
  beforeAll(async () => {
    rooms = await world()
    hsm = await rooms.open()
  })
  afterAll(async () => {
    await rooms[Symbol.asyncDispose]()
  })

  test('whoever tries PIN blocks at random is shed after twenty, and an honest terminal still served', async () => {
    const request = { from: 'tpk.acq1.in', to: 'zpk.knet.out', pan: '5555555551234567' }
    const faults: unknown[] = []
    for (let index = 0; index < 30; index++) {
      const pinBlock = hex(index.toString(16).padStart(16, '0'))
      faults.push(await faultOf(hsm.translatePin({ ...request, pinBlock, source: 'terminal-1' })))
    }
    expect(faults.slice(0, 20)).toEqual(faults.slice(0, 20).map(() => ({ kind: 'pinBlock' })))
    expect(faults.slice(20)).toEqual(faults.slice(20).map(() => ({ kind: 'shed' })))
    const good = { ...request, pinBlock: hex('230B4C43B8BA2C5C') }
    expect(await faultOf(hsm.translatePin({ ...good, source: 'terminal-1' }))).toEqual({ kind: 'shed' })
    expect(text(await hsm.translatePin({ ...good, source: 'terminal-2' }))).toBe('A5948F55D854BBA4')
  })
})
