import { beforeEach, expect, test } from 'vitest'
import { KeySets, packHeldKey, readHeldKeys } from '../../hsm/key-sets.ts'
import type { HeldKey } from '../../hsm/key-sets.ts'

const key = (label: string, kcv: string, rest: Partial<HeldKey> = {}): HeldKey => ({
  ...{ label, id: `P0E:${kcv}`, state: 'active', listed: false, activeFrom: undefined },
  ...rest,
})
const one = key('zpk.knet.out.v001', 'AAAAAA')
const two = key('zpk.knet.out.v002', 'BBBBBB')
const other = key('zak.knet.both.v001', 'CCCCCC')

let sets: KeySets<string>
beforeEach(() => {
  sets = new KeySets(() => ['first', 'second', 'third'])
})
const differing = (): (readonly string[])[] =>
  ['first', 'second', 'third'].map((holder) => sets.differing(holder))

test('tokens with the same keys agree on all of them', () => {
  for (const holder of ['first', 'second', 'third']) sets.report(holder, [one, other])
  expect(differing()).toEqual([[], [], []])
  expect(sets.agrees('second', () => ['zpk.knet.out', 'zak.knet.both'])).toBe(true)
})

test('without an inventory the first token is right, whoever reported first', () => {
  sets.report('second', [{ ...one, id: 'P0E:DDDDDD' }, other])
  expect(differing()).toEqual([[], [], []])
  sets.report('first', [one, other])
  expect(differing()).toEqual([[], ['zpk.knet.out'], []])
  expect(sets.agrees('second', () => ['zak.knet.both'])).toBe(true)
  expect(sets.agrees('second', () => ['zak.knet.both', 'zpk.knet.out'])).toBe(false)
})

test('without an inventory a newer version on one token is a difference', () => {
  sets.report('first', [one])
  sets.report('second', [{ ...one, state: 'retired' }, two])
  expect(differing()).toEqual([[], ['zpk.knet.out'], []])
})

test('with an inventory, the token that lacks a version in use is the one that differs', () => {
  const listed = { listed: true }
  const previous = { ...one, ...listed, state: 'previous' }
  sets.report('first', [previous])
  sets.report('second', [previous, { ...two, ...listed }])
  expect(differing()).toEqual([['zpk.knet.out'], [], []])
  sets.report('first', [previous, { ...two, ...listed }])
  expect(differing()).toEqual([[], [], []])
})

test('a token that follows a rotation a moment later than another does not differ', () => {
  const listed = { listed: true }
  sets.report('first', [
    { ...one, ...listed, state: 'previous' },
    { ...two, ...listed },
  ])
  sets.report('second', [
    { ...one, ...listed },
    { ...two, ...listed, state: 'pending' },
  ])
  expect(differing()).toEqual([[], [], []])
})

test('a key that a token has no mechanism for counts as one that it has not', () => {
  sets.report('first', [{ ...one, state: 'unsupported' }, other])
  sets.report('second', [one, other])
  expect(differing()).toEqual([['zpk.knet.out'], [], []])
  expect(sets.has('first', ['zpk.knet.out'])).toBe(false)
  expect(sets.has('second', ['zpk.knet.out'])).toBe(true)
})

test('what was said to be missing is missing until the next report', () => {
  sets.report('first', [one])
  sets.report('second', [one])
  sets.missing('first', ['zpk.knet.out'])
  expect(differing()).toEqual([['zpk.knet.out'], [], []])
  sets.report('first', [one])
  expect(differing()).toEqual([[], [], []])
})

test('a token that is gone is compared with nobody', () => {
  sets.report('first', [one])
  sets.report('second', [two])
  sets.forget('first')
  expect(differing()).toEqual([[], [], []])
  expect(sets.keys()).toEqual([two])
})

test('a report comes out of its frame as it went in, and what is none of ours is left out', () => {
  const keys = [one, { ...two, listed: true, activeFrom: 1_700_000_000 }]
  expect(readHeldKeys({ keys: keys.map(packHeldKey) })).toEqual(keys)
  expect(readHeldKeys({ keys: ['one', 7, ''] })).toEqual([])
  expect(readHeldKeys({ keys: 'none' })).toEqual([])
})
