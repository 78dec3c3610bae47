import { afterAll, beforeAll, expect, test } from 'vitest'
import { verifyLedger } from '../../ledger/ledger.ts'
import type { UnitOutcome } from '../../ledger/ledger.ts'
import { authorize, balanceOf, countOf, noon, openWorld, ownedBy, transfer, unit } from './world.ts'
import type { World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await openWorld()
})

afterAll(() => world.close())

const committed: UnitOutcome = { kind: 'committed' }
const refused = (reason: string): UnitOutcome => ({ kind: 'refused', reason })

test('a posting moves money between two accounts', async () => {
  expect(await world.ledger.commit(unit(transfer('bank', 'merchant:1', 12_500n)))).toEqual(committed)
  expect(await ownedBy(world, 'merchant:1')).toBe(12_500n)
  expect(await ownedBy(world, 'bank')).toBe(-12_500n)
})

test('of 400 debits of 100 at once on a balance of 5,000 exactly 50 are accepted', async () => {
  await world.ledger.commit(unit(transfer('bank', 'wallet:amal', 5_000n)))
  const outcomes = await Promise.all(
    Array.from({ length: 400 }, () => world.ledger.commit(unit(transfer('wallet:amal', 'merchant:1', 100n)))),
  )
  expect(outcomes.filter(({ kind }) => kind === 'committed')).toHaveLength(50)
  expect(
    outcomes.filter((outcome) => outcome.kind === 'refused' && outcome.reason === 'insufficientFunds'),
  ).toHaveLength(350)
  expect(await ownedBy(world, 'wallet:amal')).toBe(0n)
})

test('a full batch, with a posting of a thousand sides in it, is written whole and holds', async () => {
  const before = await countOf(world, 'ledger.entry')
  const side = (account: string, side: 'debit' | 'credit') =>
    ({ account, side, amountMinor: 1n, currency: 'KWD' }) as const
  const legs = Array.from({ length: 500 }, () => [side('bank', 'debit'), side('merchant:1', 'credit')]).flat()
  const small = Array.from({ length: 600 }, () => unit(transfer('bank', 'merchant:1', 1n)))
  const many = [
    ...small.slice(0, 100),
    unit(transfer('bank', 'merchant:1', 1n, { legs })),
    ...small.slice(100),
  ]
  const outcomes = await Promise.all(many.map((each) => world.ledger.commit(each)))
  expect(outcomes).toEqual(many.map(() => committed))
  expect(await countOf(world, 'ledger.entry')).toBe(before + 1_000 + 1_200)
  expect((await verifyLedger(world.url)).bad).toBeUndefined()
})

test('the same unit a hundred times at once has one effect and one answer', async () => {
  const before = await countOf(world, 'ledger.posting')
  const same = unit(transfer('bank', 'merchant:1', 7n))
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => world.ledger.commit(same)))
  expect(outcomes).toEqual(Array.from({ length: 100 }, () => committed))
  expect(await countOf(world, 'ledger.posting')).toBe(before + 1)
})

test('a key with another body is refused, and the first body keeps its answer', async () => {
  const first = unit(transfer('bank', 'merchant:1', 3n))
  const other = unit(transfer('bank', 'merchant:1', 4n), { key: first.key })
  expect(await world.ledger.commit(first)).toEqual(committed)
  expect(await world.ledger.commit(other)).toEqual(refused('keyReused'))
  expect(await world.ledger.commit(first)).toEqual(committed)
})

test('a refusal by the books is the answer to every repeat, also by another writer', async () => {
  const tooMuch = unit(transfer('wallet:badr', 'merchant:1', 100n))
  expect(await world.ledger.commit(tooMuch)).toEqual(refused('insufficientFunds'))
  await world.ledger.commit(unit(transfer('bank', 'wallet:badr', 1_000n)))
  expect(await world.ledger.commit(tooMuch)).toEqual(refused('insufficientFunds'))
  const other = await world.open()
  expect(await other.commit(tooMuch)).toEqual(refused('insufficientFunds'))
})

test('a unit that is wrong in itself is refused and leaves its key free', async () => {
  const right = transfer('bank', 'merchant:1', 5n)
  const wrong = { ...right, legs: [right.legs[0]!, { ...right.legs[1]!, amountMinor: 6n }] }
  expect(await world.ledger.commit(unit(wrong, { key: 'mended' }))).toEqual(refused('unbalanced'))
  expect(await world.ledger.commit(unit(right, { key: 'mended' }))).toEqual(committed)
})

test('a hold is captured in two parts and the rest of it let go', async () => {
  await world.ledger.commit(unit(transfer('bank', 'wallet:yen', 1n, { id: 'not-yen' }))) // refused: another currency
  const hold = authorize('wallet:badr', 'merchant:1', 500n)
  expect(await world.ledger.commit(unit(hold))).toEqual(committed)
  expect((await balanceOf(world, 'wallet:badr')).debitsPending).toBe(500n)
  const capture = (amountMinor: bigint, final: boolean) =>
    world.ledger.commit(
      unit({
        kind: 'capture',
        id: `capture-${amountMinor}`,
        holdId: hold.id,
        amountMinor,
        final,
        effectiveAt: noon,
      }),
    )
  const owned = await ownedBy(world, 'wallet:badr')
  expect(await capture(501n, false)).toEqual(refused('overCapture'))
  expect(await capture(200n, false)).toEqual(committed)
  expect((await balanceOf(world, 'wallet:badr')).debitsPending).toBe(300n)
  expect(await capture(100n, true)).toEqual(committed)
  expect((await balanceOf(world, 'wallet:badr')).debitsPending).toBe(0n)
  expect(await ownedBy(world, 'wallet:badr')).toBe(owned - 300n)
  expect(await capture(1n, true)).toEqual(refused('holdNotOpen'))
})

test('of a capture, a void and an expiry at once exactly one wins', async () => {
  await world.ledger.commit(unit(transfer('bank', 'wallet:badr', 10_000n)))
  for (let round = 0; round < 10; round++) {
    const hold = authorize('wallet:badr', 'merchant:1', 10n)
    await world.ledger.commit(unit(hold))
    const [first, second] = [world.ledger, await (round === 0 ? world.open() : world.ledger)]
    const ends = await Promise.all([
      first.commit(unit({ kind: 'void', id: `v${round}`, holdId: hold.id, effectiveAt: noon })),
      second.commit(
        unit({
          kind: 'capture',
          id: `c${round}`,
          holdId: hold.id,
          amountMinor: 10n,
          final: true,
          effectiveAt: noon,
        }),
      ),
      second.commit(unit({ kind: 'expire', id: `e${round}`, holdId: hold.id, effectiveAt: hold.expiresAt })),
    ])
    expect(ends.map((end) => (end.kind === 'refused' ? end.reason : end.kind)).sort()).toEqual([
      'committed',
      'holdNotOpen',
      'holdNotOpen',
    ])
  }
})

test('a hold and its capture may come in one unit', async () => {
  const hold = authorize('wallet:badr', 'merchant:1', 20n)
  const both = unit([
    hold,
    { kind: 'capture', id: 'at-once', holdId: hold.id, amountMinor: 20n, final: true, effectiveAt: noon },
  ])
  expect(await world.ledger.commit(both)).toEqual(committed)
})

test('linked postings are written all or none', async () => {
  const before = await countOf(world, 'ledger.posting')
  const linked = unit([
    transfer('bank', 'merchant:1', 1n),
    transfer('wallet:amal', 'merchant:1', 1n), // amal has nothing
  ])
  expect(await world.ledger.commit(linked)).toEqual(refused('insufficientFunds'))
  expect(await countOf(world, 'ledger.posting')).toBe(before)
})

test('a posting is reversed once', async () => {
  const sale = transfer('bank', 'merchant:1', 42n)
  await world.ledger.commit(unit(sale))
  const owned = await ownedBy(world, 'merchant:1')
  const reverse = (id: string) =>
    world.ledger.commit(unit({ kind: 'reverse', id, reverses: sale.id, effectiveAt: noon }))
  expect(await reverse('reversal')).toEqual(committed)
  expect(await reverse('reversal-again')).toEqual(refused('alreadyReversed'))
  expect(await ownedBy(world, 'merchant:1')).toBe(owned - 42n)
})

test('an id names one posting, whatever unit it comes in', async () => {
  const sale = transfer('bank', 'merchant:1', 8n)
  expect(await world.ledger.commit(unit(sale))).toEqual(committed)
  expect(await world.ledger.commit(unit(sale))).toEqual(refused('duplicateId'))
})

test('more than the queue holds is refused and not kept', async () => {
  const small = await world.open({ waitingMax: 10 })
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, () => small.commit(unit(transfer('bank', 'merchant:1', 1n)))),
  )
  expect(outcomes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => committed))
  expect(outcomes.slice(10)).toEqual(Array.from({ length: 40 }, () => refused('overloaded')))
  await expect.poll(() => small.status()).toEqual({ waiting: 0, writing: 0, state: 'up' })
})

test('two writers at once leave books in which nothing is missing', async () => {
  const before = await ownedBy(world, 'merchant:1')
  const writers = [world.ledger, await world.open()]
  const outcomes = await Promise.all(
    Array.from({ length: 600 }, (_, index) =>
      writers[index % 2]!.commit(unit(transfer('bank', 'merchant:1', 1n))),
    ),
  )
  expect(outcomes.every(({ kind }) => kind === 'committed')).toBe(true)
  expect(await ownedBy(world, 'merchant:1')).toBe(before + 600n)
})

test('accounts are opened once, and never with other terms', async () => {
  const terms = { path: 'wallet:amal', currency: 'KWD', normalSide: 'credit', limit: 'noOverdraft' } as const
  await world.ledger.openAccounts([terms])
  await expect(world.ledger.openAccounts([{ ...terms, limit: 'none' }])).rejects.toThrow(/other terms/)
})

test('what waits when the ledger is closed is still written', async () => {
  const other = await world.open()
  const outcomes = Array.from({ length: 20 }, () => other.commit(unit(transfer('bank', 'merchant:1', 1n))))
  await other.close()
  expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 20 }, () => committed))
  expect(await other.commit(unit(transfer('bank', 'merchant:1', 1n)))).toEqual(refused('unavailable'))
})
