import { expect, test } from 'vitest'
import type { StanBlocks } from '../../connectors/connector.ts'
import { StanSource } from '../../connectors/stans.ts'
import { ManualClock } from '../support/manual-clock.ts'

interface World {
  readonly first?: number
  readonly inUse?: (stan: string) => boolean
  readonly reserve?: StanBlocks['reserve']
}

async function world({ first = 1, inUse = () => false, reserve }: World = {}) {
  const clock = new ManualClock()
  const reserved: number[] = []
  const faults: unknown[] = []
  let next = first
  const source = new StanSource({
    destination: 'net',
    clock,
    inUse,
    blockSize: 10,
    blocks: {
      reserve:
        reserve ??
        ((_, size) => {
          const block = { first: next }
          reserved.push(next)
          next = ((next - 1 + size) % 999_999) + 1
          return Promise.resolve(block)
        }),
    },
    onRefilled: () => undefined,
    onFault: (error) => faults.push(error),
  })
  await clock.pass(0)
  await new Promise((resolve) => setImmediate(resolve))
  return { source, clock, reserved, faults }
}

test('STANs are six digits, and 999999 is followed by 000001', async () => {
  const { source } = await world({ first: 999_998 })
  expect([source.next(), source.next(), source.next()]).toEqual(['999998', '999999', '000001'])
})

test('the next block is fetched when half of one is left, and not before', async () => {
  const { source, reserved } = await world()
  for (let n = 0; n < 4; n++) source.next()
  expect(reserved).toEqual([1])
  source.next()
  expect(reserved).toEqual([1, 11])
})

test('a thousand STANs in a row are a thousand different ones', async () => {
  const { source } = await world({ first: 999_500 })
  const stans = new Set<string>()
  for (let n = 0; n < 1_000; n++) {
    stans.add(source.next()!)
    await Promise.resolve()
  }
  expect(stans.size).toBe(1_000)
  expect(stans.has('000000')).toBe(false)
})

test('a STAN that is in use is skipped', async () => {
  const { source } = await world({ inUse: (stan) => stan === '000002' || stan === '000003' })
  expect([source.next(), source.next()]).toEqual(['000001', '000004'])
})

test('with all in use there is none to be had', async () => {
  const { source } = await world({ inUse: () => true })
  expect(source.next()).toBeUndefined()
})

test('dry, it says so at once, and tries again every second', async () => {
  let works = false
  let tries = 0
  const { source, clock, faults } = await world({
    reserve: () => {
      tries++
      return works ? Promise.resolve({ first: 42 }) : Promise.reject(new Error('database away'))
    },
  })
  expect(source.next()).toBeUndefined()
  expect(source.dry).toBe(true)
  await clock.pass(1_000)
  expect(tries).toBe(2)
  expect(faults).toHaveLength(2)
  works = true
  await clock.pass(1_000)
  expect(source.next()).toBe('000042')
})

test('stopped, it tries no more', async () => {
  const { source, clock } = await world({ reserve: () => Promise.reject(new Error('database away')) })
  source.stop()
  expect(clock.waiting).toBe(0)
})
