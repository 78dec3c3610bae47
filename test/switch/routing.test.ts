import { describe, expect, test } from 'vitest'
import { RouteError, type Route, type RouteQuestion, routingTable } from '../../switch/routing.ts'

const destinations = new Set(['knet', 'visa', 'host'])
const question: RouteQuestion = {
  pan: '8888880000000007',
  token: 'tok_a',
  kind: 'purchase',
  processingCode: '000000',
  merchantType: '5411',
  entryMode: '051',
  conditionCode: '00',
  source: 'acq1',
  currency: 'KWD',
  amountMinor: 10_000n,
}

function row(low: string, target: string, more: Partial<Route> = {}): Route {
  return { low, high: low, strategy: { kind: 'priority', targets: [target] }, ...more }
}

function targets(rows: readonly Route[], asked: Partial<RouteQuestion> = {}): readonly string[] | string {
  const routed = routingTable(rows, destinations).route({ ...question, ...asked })
  return routed.kind === 'targets' ? routed.targets : routed.kind
}

describe('which row a request goes by', () => {
  test('the narrowest range wins, however the rows are ordered', () => {
    const rows = [row('8', 'visa'), row('888888', 'knet'), row('8888', 'host')]
    expect(targets(rows)).toEqual(['knet'])
    expect(targets([...rows].reverse())).toEqual(['knet'])
    expect(targets(rows, { pan: '8888990000000000' })).toEqual(['host'])
  })

  test('a range goes from one number to another, both in it, at any length of card number', () => {
    const rows = [row('88888800', 'knet', { high: '88888809' })]
    expect(targets(rows, { pan: '888888000000' })).toEqual(['knet'])
    expect(targets(rows, { pan: '8888880999999999999' })).toEqual(['knet'])
    expect(targets(rows, { pan: '888888100000' })).toBe('noRoute')
  })

  test('between rows of one range the lower priority number goes first', () => {
    expect(targets([row('8', 'visa', { priority: 2 }), row('8', 'knet', { priority: 1 })])).toEqual(['knet'])
  })

  test.each<[string, Route['filters'] & object]>([
    ['kind', { kinds: ['refund'] }],
    ['processing code', { processingCodes: ['20'] }],
    ['merchant type', { merchantTypes: ['6011'] }],
    ['entry mode', { entryModes: ['07'] }],
    ['channel', { conditionCodes: ['08'] }],
    ['source', { sources: ['acq2'] }],
    ['currency', { currencies: ['USD'] }],
    ['amount', { amountMinorMin: 10_001n }],
    ['amount', { amountMinorMax: 9_999n }],
  ])('a row for another %s is passed over, and the explanation says so', (what, filters) => {
    const rows = [row('888888', 'visa', { filters }), row('8', 'knet')]
    expect(targets(rows)).toEqual(['knet'])
    const explained = routingTable(rows, destinations).explain(question)
    expect(explained.map(({ why }) => why)).toEqual([`another ${what}`, undefined])
  })

  test('F11: a card that no row is for goes nowhere', () => {
    expect(targets([row('4', 'visa')])).toBe('noRoute')
    expect(routingTable([row('4', 'visa')], destinations).serves(question.pan)).toBe(false)
  })

  test('where a range has Luhn digits a number without one is no card', () => {
    expect(targets([row('4', 'visa', { luhn: true })], { pan: '4111111111111111' })).toEqual(['visa'])
    expect(targets([row('4', 'visa', { luhn: true })], { pan: '4111111111111112' })).toBe('invalidCard')
    expect(targets([row('4', 'visa')], { pan: '4111111111111112' })).toEqual(['visa'])
  })
})

describe('what a row does', () => {
  test('by priority the targets are tried in the order they stand in', () => {
    const strategy = { kind: 'priority', targets: ['visa', 'knet'] } as const
    expect(targets([{ low: '8', high: '8', strategy }])).toEqual(['visa', 'knet'])
  })

  test('by percent each card goes the same way each time, and cards are shared out', () => {
    const shares = [
      { destination: 'knet', percent: 70 },
      { destination: 'visa', percent: 30 },
    ]
    const rows: Route[] = [{ low: '8', high: '8', strategy: { kind: 'percent', targets: shares } }]
    const first = Array.from({ length: 2_000 }, (_, index) => targets(rows, { token: `tok_${index}` })[0])
    const again = Array.from({ length: 2_000 }, (_, index) => targets(rows, { token: `tok_${index}` })[0])
    expect(again).toEqual(first)
    const share = first.filter((name) => name === 'knet').length / first.length
    expect(share).toBeGreaterThan(0.65)
    expect(share).toBeLessThan(0.75)
    expect(targets(rows)).toHaveLength(2)
  })

  test('by cost the cheapest for the amount goes first', () => {
    const strategy = {
      kind: 'leastCost',
      targets: [
        { destination: 'visa', feeMinor: 50n, feeBasisPoints: 10 },
        { destination: 'knet', feeMinor: 0n, feeBasisPoints: 100 },
      ],
    } as const
    const rows: Route[] = [{ low: '8', high: '8', strategy }]
    expect(targets(rows, { amountMinor: 1_000n })).toEqual(['knet', 'visa'])
    expect(targets(rows, { amountMinor: 100_000n })).toEqual(['visa', 'knet'])
  })

  test('cards of the house stay in the house', () => {
    const strategy = { kind: 'onUs', sources: ['acq1'], onUs: ['host'], offUs: ['knet'] } as const
    const rows: Route[] = [{ low: '8', high: '8', strategy }]
    expect(targets(rows)).toEqual(['host'])
    expect(targets(rows, { source: 'acq2' })).toEqual(['knet'])
  })
})

describe('a table is refused', () => {
  const refused =
    (...rows: Route[]): (() => unknown) =>
    () =>
      routingTable(rows, destinations)

  test('when two rows of one range may both fit and nothing says which goes first', () => {
    expect(refused(row('8', 'knet'), row('8', 'visa'))).toThrow(RouteError)
    expect(
      refused(
        row('8', 'knet', { filters: { amountMinorMax: 100n } }),
        row('8', 'visa', { filters: { amountMinorMin: 100n } }),
      ),
    ).toThrow(RouteError)
  })

  test('and not when their filters part them', () => {
    expect(
      refused(
        row('8', 'knet', { filters: { currencies: ['KWD'] } }),
        row('8', 'visa', { filters: { currencies: ['USD'] } }),
      ),
    ).not.toThrow()
  })

  test.each<[string, Route]>([
    ['a destination that is not there', row('8', 'nowhere')],
    ['a range that ends before it begins', row('9', 'knet', { high: '8' })],
    ['a range that is no number', row('8x', 'knet')],
    ['no target', { low: '8', high: '8', strategy: { kind: 'priority', targets: [] } }],
    [
      'shares that are not a hundred',
      { low: '8', high: '8', strategy: { kind: 'percent', targets: [{ destination: 'knet', percent: 99 }] } },
    ],
  ])('for %s', (_what, wrong) => {
    expect(refused(wrong)).toThrow(RouteError)
  })
})
