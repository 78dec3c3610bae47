import { describe, expect, test } from 'vitest'
import type { NamedObligation } from '../../switch/journal.ts'
import { owedLeg } from '../../switch/outbound.ts'
import type { TransactionEvent } from '../../switch/transaction/events.ts'
import { obligationId } from '../../switch/transaction/owed.ts'
import { step } from '../../switch/transaction/step.ts'
import type { Transaction } from '../../switch/transaction/transaction.ts'
import { after, answered, arrival, intent, leg, profile, request, when } from './transactions.ts'

const held = { ...request, kind: 'preauthorization', mti: '0100', conditionCode: '06' } as const
const approved = after(intent(held), answered('00', { authId: 'A1B2C3' })).transaction

function taking(
  amountMinor: bigint,
  of: { readonly openMinor: bigint; readonly key: string; readonly isPart?: boolean },
): TransactionEvent {
  const { openMinor, key: sourceKey, isPart = true } = of
  const completion = {
    source: 'acq1',
    sourceKey,
    fingerprint: 'c',
    mti: '0220',
    amountMinor,
    isPart,
  } as const
  return { kind: 'complete', completion, hold: { state: 'open', openMinor }, ...when }
}

/** A reversal of the completion with this key, while so much is still set aside. */
function undoing(
  completionKey: string,
  openMinor?: bigint,
  more: { readonly actualMinor?: bigint; readonly isLateVoid?: boolean; readonly isAdvice?: boolean } = {},
): TransactionEvent {
  const asked = { source: 'acq1', sourceKey: `r ${completionKey}`, fingerprint: 'r', actualMinor: 0n }
  return {
    kind: 'cancel',
    reversal: { ...asked, completionKey, ...more },
    ...(openMinor === undefined ? {} : { hold: { state: 'open', openMinor } as const }),
    ...when,
  }
}

const two = after(
  approved,
  taking(4_000n, { key: 'c1', openMinor: 12_500n }),
  taking(5_000n, { key: 'c2', openMinor: 8_500n }),
).transaction
const taken = step(two, taking(3_500n, { key: 'c3', openMinor: 3_500n, isPart: false }), profile).transaction

const moves = (unit: ReturnType<typeof step>['unit']): string[] =>
  unit.commands.map((command) => `${command.kind} ${command.id.split(':')[1]}`)

/** The network acknowledges the advice of a completion, and says what it pays for it. */
function paidFor(number: number, settlement: object): TransactionEvent {
  const name = number === 1 ? 'completion' : `completion-${number}`
  return {
    ...{ kind: 'obligationAnswered', owed: 'advice', verdict: 'acknowledged', responseCode: '00', fence: 1n },
    obligationId: obligationId(`advice:${arrival.id}:${name}`),
    settlement: settlement as NonNullable<(TransactionEvent & { kind: 'obligationAnswered' })['settlement']>,
    ...when,
  } as const
}

/** Account, currency and amount of each entry, credits below zero. */
const entries = (unit: ReturnType<typeof step>['unit']): string[] =>
  unit.commands.flatMap((command) =>
    command.kind === 'post'
      ? command.legs.map(
          ({ account, amountMinor, side }) => `${account} ${side === 'debit' ? amountMinor : -amountMinor}`,
        )
      : [],
  )

// KWD 4.000 at 3.2541 are USD 13.0164.
const dollars = { amountMinor: 1_302n, currencyNumeric: '840', rate: '40032541' }

describe('what a network says it pays for a completion', () => {
  const paid = after(two, paidFor(1, dollars))

  test('takes the place of the claim, and stays with the completion', () => {
    expect(entries(paid.unit)).toEqual([
      'net:knet:2026-11-22:USD 1302',
      'fx:position:KWD 4000',
      'net:knet:2026-11-22:KWD -4000',
      'fx:position:USD -1302',
    ])
    expect(paid.unit.obligation).toMatchObject({ settlement: { amountMinor: 1_302n, currency: 'USD' } })
    expect(paid.transaction.completions![0]).toMatchObject({ settlement: { amountMinor: 1_302n } })
    expect(paid.transaction.completions![1]!.settlement).toBeUndefined()
  })

  test('in the same currency is a claim of that much, and the rest is between the two', () => {
    const { unit } = after(two, paidFor(1, { amountMinor: 3_900n, currencyNumeric: '414' }))
    expect(entries(unit)).toEqual(['fx:position:KWD 100', 'net:knet:2026-11-22:KWD -100'])
  })

  test('is given back with it, alone or with the others', () => {
    const back = ['net:knet:2026-11-22:KWD 4000', 'fx:position:USD 1302', 'net:knet:2026-11-22:USD -1302']
    expect(entries(step(paid.transaction, undoing('c1', 3_500n), profile).unit)).toEqual(
      expect.arrayContaining(back),
    )
    expect(entries(step(paid.transaction, undoing('c2', 3_500n), profile).unit).join()).not.toContain('USD')
    const whole = step(paid.transaction, wholly, profile)
    expect(entries(whole.unit)).toEqual(expect.arrayContaining(back))
  })

  test('is not exchanged where it was undone before it was told, and counted all the same', () => {
    const undone = step(two, undoing('c1', 3_500n), profile)
    const { transaction, unit } = step(undone.transaction, paidFor(1, dollars), profile)
    expect(unit.commands).toEqual([])
    expect(unit.obligation).toMatchObject({ settlement: { amountMinor: 1_302n } })
    expect(transaction.completions![0]!.settlement).toBeUndefined()
  })

  test.each([
    ['a rate that makes another amount', { ...dollars, amountMinor: 1_500n }],
    ['a currency that nobody knows', { ...dollars, currencyNumeric: '000' }],
  ])('is flagged, and taken for nothing, with %s', (_what, settlement) => {
    const { transaction, unit } = after(two, paidFor(1, settlement))
    expect(transaction).toMatchObject({ advice: 'acknowledged', flag: 'settlementDisputed' })
    expect([unit.commands, unit.obligation]).toEqual([
      [],
      expect.not.objectContaining({ settlement: expect.anything() as object }),
    ])
  })
})

const wholly: TransactionEvent = {
  kind: 'cancel',
  reversal: { source: 'acq1', sourceKey: 'r', fingerprint: 'r', actualMinor: 0n },
  hold: { state: 'open', openMinor: 3_500n },
  ...when,
}

describe('a reversal that names one of several completions', () => {
  test('undoes that one alone, and sets aside again what it took while others may follow', () => {
    const { transaction, unit, effects } = step(two, undoing('c1', 3_500n), profile)
    expect(transaction).toMatchObject({
      state: 'approved',
      completedMinor: 5_000n,
      capturedMinor: 5_000n,
      captures: 2,
      reversal: 'owed',
    })
    expect(unit.commands).toMatchObject([
      {
        kind: 'post',
        id: `${arrival.id}:undo-completion-1`,
        legs: [
          { account: 'merchant:000000000000001:KWD', side: 'debit', amountMinor: 4_000n },
          { account: 'net:knet:2026-11-22:KWD', side: 'credit', amountMinor: 4_000n },
        ],
      },
      {
        kind: 'increment',
        holdId: `${arrival.id}:hold`,
        legs: [
          { account: 'authorized:knet:KWD', side: 'debit', amountMinor: 4_000n },
          { account: 'merchant:000000000000001:KWD', side: 'credit', amountMinor: 4_000n },
        ],
      },
    ])
    expect(unit.owe).toMatchObject([
      {
        cause: 'completionReversal',
        adviceId: obligationId(`advice:${arrival.id}:completion`),
        undoneMinor: 4_000n,
      },
    ])
    expect(effects.at(-1)).toEqual({ kind: 'answerReversal', answer: { responseCode: '00' } })
  })

  test('leaves the others as they are where the last has let go of the rest', () => {
    const { transaction, unit } = step(taken, undoing('c2'), profile)
    expect(transaction).toMatchObject({ state: 'completed', completedMinor: 7_500n })
    expect(moves(unit)).toEqual(['post undo-completion-2'])
  })

  test('undoes the authorization with the last that stood, in that order (R7): no money waits for its time', () => {
    const { transaction, unit } = after(taken, undoing('c2'), undoing('c1'), undoing('c3'))
    expect(transaction).toMatchObject({ state: 'reversed', completedMinor: 0n, reversal: 'owed' })
    expect(unit.owe).toMatchObject([
      { cause: 'completionReversal', undoneMinor: 3_500n },
      { cause: 'sourceReversal', legId: leg.id, undoneMinor: 0n },
    ])
    expect(moves(unit)).toEqual(['post undo-completion-3'])
  })

  test.each(['acknowledged', 'parked'] as const)(
    'leaves an authorization whose time may end before its network has %s the completion that was undone',
    (verdict) => {
      const one = after(approved, taking(4_000n, { key: 'c1', openMinor: 12_500n }), undoing('c1', 8_500n))
      // As the books' sweep ends it: nothing is left of what completions took.
      const expired: Transaction = { ...one.transaction, state: 'expired' }
      const { transaction, unit } = step(
        expired,
        {
          ...{ kind: 'obligationAnswered', owed: 'advice', verdict, responseCode: '00' },
          ...{ obligationId: obligationId(`advice:${arrival.id}:completion`), fence: 1n, ...when },
        },
        profile,
      )
      expect(transaction).toMatchObject({ state: 'expired', advice: verdict })
      expect(unit.commands).toEqual([])
    },
  )

  test('that was undone before, together with the others or alone, has nothing to undo', () => {
    const alone = step(two, undoing('c1', 3_500n), profile).transaction
    const hold = { state: 'open', openMinor: 3_500n } as const
    const all = {
      kind: 'cancel',
      reversal: { source: 'acq1', sourceKey: 'x', fingerprint: 'x', actualMinor: 0n },
    }
    const together = step(two, { ...all, hold, ...when } as TransactionEvent, profile).transaction
    for (const before of [alone, together]) {
      const { unit, effects } = step(before, undoing('c1', 7_500n), profile)
      expect([unit.commands, unit.owe]).toEqual([[], []])
      expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '21' } }])
    }
  })

  test('gives nothing of a part back, nothing of what was refunded, and nothing after the cutover where it asks', () => {
    const refused: [Transaction, TransactionEvent][] = [
      [two, undoing('c1', 3_500n, { actualMinor: 1_000n })],
      [{ ...two, refundedMinor: 1n }, undoing('c1', 3_500n)],
      [two, undoing('c1', 3_500n, { isLateVoid: true })],
    ]
    for (const [before, event] of refused) {
      const { unit, effects } = step(before, event, profile)
      expect([unit.commands, unit.owe]).toEqual([[], []])
      expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '12' } }])
    }
    const told = step(two, undoing('c1', 3_500n, { isLateVoid: true, isAdvice: true }), profile)
    expect(told.transaction).toMatchObject({ flag: 'voidAfterCutover', completedMinor: 5_000n })
  })

  test('lets the same amount be completed again, and what is left be undone as a whole', () => {
    const again = after(two, undoing('c1', 3_500n), taking(7_500n, { key: 'c4', openMinor: 7_500n }))
    expect(again.transaction).toMatchObject({ state: 'completed', completedMinor: 12_500n, captures: 3 })
    expect(moves(again.unit)).toEqual(['capture capture-3', 'post completion-3'])
  })

  test('is told to the destination as the undoing of the advice that it had, for its amount', () => {
    const { transaction, unit } = step(two, undoing('c1', 3_500n), profile)
    const claimed = {
      ...{ ...unit.owe[0]!, attempts: 1, refusals: 0, fence: 1n, identity: leg, transaction },
      undone: { stan: '000800', transmittedAt: '1122090500', mti: '0220', amountMinor: 4_000n },
    } as NamedObligation
    const { fields } = owedLeg(claimed, { reversalMti: '0420' }, '8888')
    expect(fields).toMatchObject({
      4: 4_000n,
      38: 'A1B2C3',
      39: '17',
      90: { mti: '0220', stan: '000800', transmittedAt: '1122090500' },
    })
    expect(fields).not.toHaveProperty('95')
  })
})
