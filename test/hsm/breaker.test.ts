import { beforeEach, expect, test } from 'vitest'
import { Breaker } from '../../hsm/breaker.ts'

const limits = { failuresMax: 5, windowMs: 10_000, openMs: 5_000 }
let now: number
let breaker: Breaker
beforeEach(() => {
  now = 100_000
  breaker = new Breaker(limits, () => now)
})

const fail = (times: number, how: 'late' | 'lost' = 'late'): void => {
  for (let index = 0; index < times; index++) breaker[how]()
}

test('five failures within ten seconds open it, four do not', () => {
  fail(4)
  expect(breaker.state).toBe('closed')
  breaker.lost()
  expect(breaker.state).toBe('open')
})

test('failures further apart do not open it', () => {
  for (let index = 0; index < 20; index++) {
    breaker.late()
    now += 2_500
  }
  expect(breaker.state).toBe('closed')
})

test('after five seconds there is one probe, and no second one while it is under way', () => {
  fail(5)
  now += 4_999
  expect(breaker.takeProbe()).toBe(false)
  now += 1
  expect(breaker.takeProbe()).toBe(true)
  expect(breaker.takeProbe()).toBe(false)
  breaker.probed(true)
  expect(breaker.state).toBe('closed')
})

test('a probe that fails keeps it open for as long again', () => {
  fail(5)
  now += 5_000
  breaker.takeProbe()
  breaker.probed(false)
  now += 4_999
  expect(breaker.takeProbe()).toBe(false)
  now += 1
  expect(breaker.takeProbe()).toBe(true)
  expect(breaker.openings).toBe(2)
})

test('a fresh process is probed at once when its predecessor was late', () => {
  fail(6)
  breaker.lost()
  breaker.renewed()
  expect(breaker.takeProbe()).toBe(true)
  breaker.probed(true)
  fail(4)
  expect(breaker.state).toBe('closed')
})

test('one that is lost again and again stays alone for its time, however fresh', () => {
  fail(5, 'lost')
  breaker.renewed()
  expect(breaker.takeProbe()).toBe(false)
  now += 5_000
  expect(breaker.takeProbe()).toBe(true)
})

test('a process that is lost during its probe opens it again', () => {
  fail(5)
  now += 5_000
  breaker.takeProbe()
  breaker.lost()
  breaker.probed(false)
  expect(breaker.state).toBe('open')
  expect(breaker.takeProbe()).toBe(false)
})
