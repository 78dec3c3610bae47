import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { match, type MatchItem, movesMoney, owedFor } from '../../switch/matching.ts'

const day = '2026-11-22'
const next = '2026-11-23'
const before = '2026-11-21'

function item(change: Partial<MatchItem> = {}): MatchItem {
  return {
    ...{ type: 'debit', isReversal: false, rrn: '632610983283', terminal: 'X0000001' },
    ...{ currency: 'KWD', minor: 2_500n, date: day },
    ...change,
  }
}

const reversal = item({ isReversal: true })

/** What is said of each difference. */
function told(report: ReturnType<typeof match>): string[] {
  return report.differing.map(({ state, rrn }) => `${state} ${rrn}`)
}

function states(sides: Parameters<typeof match>[0]): string[] {
  return match(sides).differing.map(({ state }) => state)
}

describe('an item', () => {
  test('that both sides have is matched, and its money is counted on both', () => {
    expect(match({ ours: [item()], theirs: [item()] })).toEqual({
      counts: [{ state: 'matched', currency: 'KWD', items: 1, oursMinor: 2_500n, theirsMinor: 2_500n }],
      differing: [],
      cameAndWent: 0,
    })
  })

  test('that one side has is that side’s only, a double one that is nowhere else twice so', () => {
    expect(states({ ours: [item()], theirs: [] })).toEqual(['oursOnly'])
    expect(states({ ours: [], theirs: [item()] })).toEqual(['theirsOnly'])
    expect(states({ ours: [], theirs: [item(), item()] })).toEqual(['theirsOnly', 'theirsOnly'])
  })

  test('of another amount or currency differs in its amount, and both are told', () => {
    const changed = item({ minor: 2_600n })
    expect(match({ ours: [item()], theirs: [changed] }).differing).toMatchObject([
      { state: 'amountDiffers', ours: { minor: 2_500n }, theirs: { minor: 2_600n } },
    ])
    expect(states({ ours: [item()], theirs: [item({ currency: 'USD' })] })).toEqual(['amountDiffers'])
  })

  test('of another date differs in its date', () => {
    expect(match({ ours: [item()], theirs: [item({ date: next })] }).differing).toMatchObject([
      { state: 'dateDiffers', ours: { date: day }, theirs: { date: next } },
    ])
  })

  test('that one side has more often than the other is duplicated there, as often as that', () => {
    const found = match({ ours: [item()], theirs: [item(), item(), item()] })
    expect(found.differing).toMatchObject([
      { state: 'duplicated', theirs: { minor: 2_500n } },
      { state: 'duplicated', theirs: { minor: 2_500n } },
    ])
    expect(found.differing.every(({ ours }) => ours === undefined)).toBe(true)
    expect(states({ ours: [item(), item()], theirs: [item()] })).toEqual(['duplicated'])
    expect(states({ ours: [item()], theirs: [item(), item({ date: next })] })).toEqual(['duplicated'])
    const twice = { minor: 2_600n }
    expect(states({ ours: [item()], theirs: [item(twice), item(twice)] }).toSorted()).toEqual([
      'amountDiffers',
      'duplicated',
    ])
  })

  test('is another one than its reversal, a credit, or that of another terminal', () => {
    for (const change of [{ isReversal: true }, { type: 'credit' }, { terminal: 'X0000002' }] as const)
      expect(states({ ours: [item()], theirs: [item(change)] }).toSorted()).toEqual([
        'oursOnly',
        'theirsOnly',
      ])
  })

  test('that was undone on its own date by one side, and is nowhere on the other, leaves nothing to explain', () => {
    const parts = [item({ isReversal: true, minor: 1_000n }), item({ isReversal: true, minor: 1_500n })]
    for (const all of [
      [item(), reversal],
      [item(), ...parts],
    ]) {
      for (const sides of [
        { ours: all, theirs: [] },
        { ours: [], theirs: all },
      ])
        expect(match(sides)).toMatchObject({ differing: [], cameAndWent: all.length })
    }
    expect(states({ ours: [item(), parts[0]!], theirs: [] })).toEqual(['oursOnly', 'oursOnly'])
    expect(states({ ours: [item(), item({ isReversal: true, date: next })], theirs: [] })).toHaveLength(2)
    expect(states({ ours: [item(), reversal], theirs: [reversal] })).toEqual(['oursOnly'])
  })
})

describe('of other dates', () => {
  const carried = { ours: [], theirs: [] }

  test('what no match has met yet is the other half of an item, and the item of the queue is named', () => {
    const theirs = [{ ...item({ date: before }), queued: '7' }]
    expect(match({ ours: [item()], theirs: [], carried: { ...carried, theirs } }).differing).toMatchObject([
      { state: 'dateDiffers', queued: '7', ours: { date: day }, theirs: { date: before } },
    ])
    const ours = [item({ date: before })]
    expect(states({ ours: [], theirs: [item()], carried: { ...carried, ours } })).toEqual(['dateDiffers'])
  })

  test('what was met there already makes a duplicate of the same again, and nothing of a first one', () => {
    expect(states({ ours: [], theirs: [item()], met: [item({ date: before })] })).toEqual(['duplicated'])
    expect(states({ ours: [item()], theirs: [item()], met: [item({ date: before })] })).toEqual([])
  })

  test('what is left open there is not of this date, and is not told again', () => {
    const theirs = [{ ...item({ rrn: '632610983284', date: before }), queued: '7' }]
    expect(match({ ours: [item()], theirs: [], carried: { ...carried, theirs } }).differing).toHaveLength(1)
  })
})

test('an inquiry or an authorization that one side does not know moves no money', () => {
  for (const type of ['inquiry', 'authorization', 'transfer'] as const) {
    const { counts, differing } = match({ ours: [item({ type })], theirs: [] })
    expect(differing.map(movesMoney)).toEqual([false])
    expect(counts).toMatchObject([{ state: 'oursOnly', oursMinor: 0n }])
  }
  expect(match({ ours: [item()], theirs: [] }).differing.map(movesMoney)).toEqual([true])
})

const anyItem = fc.record({
  type: fc.constantFrom('debit', 'credit', 'authorization'),
  isReversal: fc.boolean(),
  rrn: fc.constantFrom('A', 'B', 'C'),
  terminal: fc.constantFrom('T1', 'T2'),
  currency: fc.constantFrom('KWD', 'USD'),
  minor: fc.constantFrom(100n, 200n, 300n),
  date: fc.constantFrom(day, next),
})
const items = fc.array(anyItem, { maxLength: 12 })

describe('whatever the two sides have', () => {
  test('the order in which items come changes nothing', () => {
    const shuffled = fc
      .tuple(items, items)
      .chain(([ours, theirs]) =>
        fc.tuple(
          fc.constant({ ours, theirs }),
          fc.shuffledSubarray(ours, { minLength: ours.length }),
          fc.shuffledSubarray(theirs, { minLength: theirs.length }),
        ),
      )
    fc.assert(
      fc.property(shuffled, ([sides, ours, theirs]) => {
        expect(match({ ours, theirs })).toEqual(match(sides))
      }),
    )
  })

  test('no money gets lost: the sums of the states are the sums of the sides', () => {
    fc.assert(
      fc.property(items, items, (ours, theirs) => {
        const { counts } = match({ ours, theirs })
        for (const currency of ['KWD', 'USD']) {
          const of = counts.filter((one) => one.currency === currency)
          const sum = (side: readonly MatchItem[]): bigint =>
            side.reduce((all, one) => all + (one.currency === currency ? owedFor(one) : 0n), 0n)
          expect(of.reduce((all, { oursMinor }) => all + oursMinor, 0n)).toBe(sum(ours))
          expect(of.reduce((all, { theirsMinor }) => all + theirsMinor, 0n)).toBe(sum(theirs))
        }
      }),
    )
  })

  test('each item is in one state, and one that is in a pair is told once', () => {
    fc.assert(
      fc.property(items, items, (ours, theirs) => {
        const { cameAndWent, counts, differing } = match({ ours, theirs })
        const all = counts.reduce((sum, one) => sum + one.items, 0)
        const matched = counts.reduce((sum, one) => sum + (one.state === 'matched' ? one.items : 0), 0)
        expect(all).toBe(matched + differing.length)
        const pairs = differing.filter((one) => one.ours && one.theirs).length
        const alone = differing.length - pairs
        expect(2 * (matched - cameAndWent) + cameAndWent + 2 * pairs + alone).toBe(
          ours.length + theirs.length,
        )
      }),
    )
  })

  test('the two sides are equals: seen from the other one only the names of the sides change', () => {
    const names: Readonly<Record<string, string>> = { oursOnly: 'theirsOnly', theirsOnly: 'oursOnly' }
    const other = (state: string): string => names[state] ?? state
    fc.assert(
      fc.property(items, items, (ours, theirs) => {
        const seen = states({ ours: theirs, theirs: ours }).map(other)
        expect(seen.toSorted()).toEqual(states({ ours, theirs }).toSorted())
      }),
    )
  })

  test('what is the same on both sides matches, and one planted change is the only one that is told', () => {
    const distinct = fc.uniqueArray(fc.integer({ min: 0, max: 999_999 }), { minLength: 1, maxLength: 30 })
    const change = fc.constantFrom('removed', 'added', 'changed', 'doubled', 'moved')
    fc.assert(
      fc.property(distinct, fc.nat(), change, (numbers, at, kind) => {
        const ours = numbers.map((number) => item({ rrn: String(number), minor: BigInt(number + 1) }))
        expect(match({ ours, theirs: ours }).differing).toEqual([])
        const one = ours[at % ours.length]!
        const rest = ours.filter((other) => other !== one)
        const stranger = item({ rrn: 'Z' })
        const planted = {
          removed: { theirs: rest, told: `oursOnly ${one.rrn}` },
          added: { theirs: [stranger, ...ours], told: 'theirsOnly Z' },
          changed: { theirs: [...rest, { ...one, minor: one.minor + 1n }], told: `amountDiffers ${one.rrn}` },
          doubled: { theirs: [...ours, one], told: `duplicated ${one.rrn}` },
          moved: { theirs: [{ ...one, date: next }, ...rest], told: `dateDiffers ${one.rrn}` },
        }[kind]
        expect(told(match({ ours, theirs: planted.theirs }))).toEqual([planted.told])
      }),
    )
  })
})
