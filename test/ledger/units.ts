import fc from 'fast-check'
import type { AccountSpec, Command, Leg, Unit } from '../../ledger/ledger.ts'
import { noon } from './world.ts'

/** Few accounts, few ids and few amounts, so that units get in each other's way. */
export const modelAccounts: readonly AccountSpec[] = [
  { path: 'bank', currency: 'KWD', normalSide: 'debit', limit: 'none' },
  { path: 'cash', currency: 'KWD', normalSide: 'debit', limit: 'noOverdraft' },
  { path: 'wallet:a', currency: 'KWD', normalSide: 'credit', limit: 'noOverdraft' },
  { path: 'wallet:b', currency: 'KWD', normalSide: 'credit', limit: 'noOverdraft' },
  { path: 'merchant', currency: 'KWD', normalSide: 'credit', limit: 'none' },
  { path: 'spare', currency: 'KWD', normalSide: 'credit', limit: 'none' },
  { path: 'net:knet:2026-11-21:KWD', currency: 'KWD', normalSide: 'debit', limit: 'none' },
  { path: 'settlement:knet:KWD', currency: 'KWD', normalSide: 'debit', limit: 'none' },
  { path: 'fx:JPY', currency: 'JPY', normalSide: 'debit', limit: 'none' },
  { path: 'wallet:yen', currency: 'JPY', normalSide: 'credit', limit: 'noOverdraft' },
]

const amount = fc.oneof(
  { weight: 25, arbitrary: fc.bigInt({ min: 1n, max: 120n }) },
  { weight: 1, arbitrary: fc.constantFrom(0n, -3n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 62n) },
)

const paths = modelAccounts.map(({ path }) => path)
const account = fc.oneof(
  { weight: 30, arbitrary: fc.constantFrom(...paths) },
  { weight: 1, arbitrary: fc.constant('nobody') },
)

/** Mostly of one currency. */
const pair = fc.oneof(
  { weight: 20, arbitrary: fc.shuffledSubarray(paths.slice(0, 8), { minLength: 2, maxLength: 2 }) },
  { weight: 3, arbitrary: fc.shuffledSubarray(paths.slice(8), { minLength: 2, maxLength: 2 }) },
  { weight: 1, arbitrary: fc.tuple(account, account) },
)

function currencyOf(path: string): string {
  return modelAccounts.find((known) => known.path === path)?.currency ?? 'KWD'
}

/** From one account to another, sometimes with a fee taken on the way, sometimes out of balance or mislabelled. */
const legs: fc.Arbitrary<Leg[]> = fc
  .record({
    pair,
    amountMinor: amount,
    fee: fc.option(fc.bigInt({ min: 1n, max: 5n }), { nil: undefined }),
    slip: fc.integer({ min: 0, max: 90 }),
  })
  .map(({ pair: [from, to], amountMinor, fee, slip }) => {
    const currency = currencyOf(from)
    const made: Leg[] = [
      { account: from, side: 'debit', amountMinor, currency },
      { account: to, side: 'credit', amountMinor, currency: slip === 0 ? 'USD' : currency },
    ]
    if (fee !== undefined) {
      made.push({ account: from, side: 'debit', amountMinor: fee, currency })
      made.push({ account: 'spare', side: 'credit', amountMinor: fee, currency })
    }
    if (slip === 1) made.pop()
    return made
  })

/** Ids of one kind are mostly asked for as what they are; sometimes for something else, or taken twice. */
function named(kind: string, max: number): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min: 0, max }).map((number) => `${kind}-${number}`) },
    { weight: 1, arbitrary: fc.constantFrom('hold-0', 'post-0', 'end-0') },
  )
}

const holdId = named('hold', 3)
const postId = named('post', 8)
const endId = named('end', 200)
const expiresAt = fc.constantFrom(noon - 1, noon, noon + 1_000)
const conditions = fc.option(
  fc.array(
    fc.record(
      { account, availableMinor: fc.bigInt({ min: 0n, max: 30n }), version: fc.bigInt({ min: 0n, max: 4n }) },
      { requiredKeys: ['account'] },
    ),
    { maxLength: 1 },
  ),
  { nil: undefined, freq: 30 },
)

function present<T extends object>(record: T): T {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T
}

/** Today, and now and then the day before. */
const effectiveAt = fc.oneof(
  { weight: 12, arbitrary: fc.constant(noon) },
  { weight: 1, arbitrary: fc.constant(noon - 86_400_000) },
)

const command: fc.Arbitrary<Command> = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('post' as const), id: postId, legs, effectiveAt, conditions }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('authorize' as const),
        id: holdId,
        legs,
        effectiveAt,
        expiresAt,
        conditions,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('increment' as const), id: endId, holdId, legs, effectiveAt }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('capture' as const),
        id: endId,
        holdId,
        amountMinor: amount,
        final: fc.boolean(),
        effectiveAt,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('release' as const),
        id: endId,
        holdId,
        amountMinor: amount,
        effectiveAt,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('void' as const), id: endId, holdId, effectiveAt }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('expire' as const), id: endId, holdId, effectiveAt }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('reverse' as const),
        id: endId,
        reverses: fc.oneof({ weight: 8, arbitrary: postId }, { weight: 1, arbitrary: endId }),
        effectiveAt,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('close' as const), id: endId, account, effectiveAt }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('closePeriod' as const),
        id: endId,
        scope: fc.constantFrom('knet', 'visa', '*'),
        through: fc.constantFrom('2026-11-19', '2026-11-20', '2026-11-21'),
        effectiveAt,
      }),
    },
  )
  .map((made) => present(made) as Command)

/** Keys come again: with the same body when the whole unit is repeated, else mostly with another one. */
export const units: fc.Arbitrary<Unit[]> = fc
  .array(
    fc.record({
      key: fc.integer({ min: 0, max: 200 }),
      commands: fc.oneof(
        { weight: 4, arbitrary: command.map((one) => [one]) },
        { weight: 1, arbitrary: fc.array(command, { minLength: 2, maxLength: 3 }) },
      ),
      repeat: fc.integer({ min: 0, max: 9 }),
    }),
    { minLength: 1, maxLength: 60, size: 'max' },
  )
  .map((drawn) => {
    const made: Unit[] = []
    for (const { key, commands, repeat } of drawn) {
      const earlier = repeat === 0 ? made[key % Math.max(made.length, 1)] : undefined
      made.push(earlier ?? { key: `key-${key}`, commands, rows: [] })
    }
    return made
  })

/** Money to begin with. */
export const opening: Unit = {
  key: 'opening',
  commands: [
    {
      kind: 'post',
      id: 'opening',
      effectiveAt: noon,
      legs: [
        { account: 'bank', side: 'debit', amountMinor: 260n, currency: 'KWD' },
        { account: 'cash', side: 'debit', amountMinor: 40n, currency: 'KWD' },
        { account: 'wallet:a', side: 'credit', amountMinor: 200n, currency: 'KWD' },
        { account: 'wallet:b', side: 'credit', amountMinor: 100n, currency: 'KWD' },
        { account: 'fx:JPY', side: 'debit', amountMinor: 90n, currency: 'JPY' },
        { account: 'wallet:yen', side: 'credit', amountMinor: 90n, currency: 'JPY' },
      ],
    },
  ],
  rows: [],
}
