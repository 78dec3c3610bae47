import { describe, expect, test } from 'vitest'
import { moves } from '../../switch/transaction/moves.ts'
import type { Profile, TransactionEvent } from '../../switch/transaction/events.ts'
import { adviceOf, obligationId } from '../../switch/transaction/owed.ts'
import { step } from '../../switch/transaction/step.ts'
import type { Leg, Transaction } from '../../switch/transaction/transaction.ts'
import {
  after,
  answered,
  arrival,
  cancelled,
  intent,
  leg,
  lost,
  notCommitted,
  profile,
  request,
  reversalId,
  when,
} from './transactions.ts'

describe('the life of a transaction', () => {
  test('nothing is sent before the intent is committed: sending is an effect of that commit', () => {
    const card = { mask: '888888******0001' }
    const { unit, effects } = step(
      undefined,
      { kind: 'request', arrival, card, request, verdict: { kind: 'forward', leg }, ...when },
      profile,
    )
    expect(unit).toMatchObject({ expectedVersion: undefined, transaction: { state: 'intent' } })
    expect(effects).toEqual([{ kind: 'send', leg }])
  })

  test('an approval is committed with its entries, only while it can be approved, and answered after that', () => {
    const { transaction, unit, effects } = after(intent(), answered('00', { authId: 'A1B2C3' }))
    expect(transaction).toMatchObject({ state: 'approved', answer: { responseCode: '00', authId: 'A1B2C3' } })
    expect(unit.onlyWhileApprovable).toBe(true)
    expect(unit.commands).toMatchObject([
      {
        kind: 'post',
        legs: [
          { account: 'net:knet:2026-11-22:KWD', side: 'debit', amountMinor: 12_500n },
          { account: 'merchant:000000000000001:KWD', side: 'credit', amountMinor: 12_500n },
        ],
      },
    ])
    expect(effects).toEqual([{ kind: 'answer', answer: { responseCode: '00', authId: 'A1B2C3' } }])
  })

  test('silence declines the source and owes the reversal in one commit', () => {
    const { transaction, unit } = after(intent(), lost)
    expect(transaction).toMatchObject({ state: 'unknown', answer: { responseCode: '91' }, reversal: 'owed' })
    expect(unit.owe).toMatchObject([{ key: `reversal:${leg.id}`, cause: 'timeout', delayMs: 0 }])
    expect(unit.commands).toEqual([])
  })

  test('F23: an approval for another amount or currency is undone whole and answered 96', () => {
    for (const extra of [{ amountMinor: 12_501n }, { amountMinor: 12_499n }, { currencyNumeric: '840' }]) {
      const { transaction, unit } = after(intent(), answered('00', extra))
      expect(transaction).toMatchObject({ state: 'unknown', answer: { responseCode: '96' } })
      expect(unit.owe[0]?.cause).toBe('wrongAmount')
    }
  })

  test('what was not sent owes nothing', () => {
    const result = after(intent(), {
      kind: 'legEnded',
      outcome: { kind: 'notSent', reason: 'pinBlock' },
      ...when,
    })
    expect(result.transaction).toMatchObject({
      state: 'refused',
      answer: { responseCode: '63' },
      reversal: 'none',
    })
    expect(result.unit.owe).toEqual([])
  })

  test('an approval that comes too late to commit is declined and reversed', () => {
    const answer = { mti: '0210', responseCode: '00', described: '0210' }
    const { transaction, unit } = after(intent(), notCommitted(answer))
    expect(transaction).toMatchObject({ state: 'unknown', answer: { responseCode: '91' } })
    expect(unit.commands).toEqual([])
    expect(unit.owe[0]?.cause).toBe('timeout')
  })

  test('an approval of a part that comes too late to commit is undone, and counted, as that part', () => {
    const answer = { mti: '0210', responseCode: '10', amountMinor: 10_000n, described: '0210' }
    const settlement = { amountMinor: 3_265n, currencyNumeric: '840' }
    const { transaction } = step(intent(), notCommitted({ ...answer, settlement }), {
      ...profile,
      takesPartialApprovals: true,
    })
    expect(transaction).toMatchObject({
      ...{ state: 'unknown', answer: { responseCode: '91' }, approvedMinor: 10_000n },
      leg: { state: 'answered', responseCode: '10', settlement: { amountMinor: 3_265n, currency: 'USD' } },
    })
  })

  test('an approval that comes too late to commit is undone on the date that it named', () => {
    const answer = { mti: '0210', responseCode: '00', described: '0210' }
    const at = Date.UTC(2026, 10, 22, 20)
    const { businessDate } = intent()
    const next = new Date(Date.parse(businessDate) + 86_400_000).toISOString().slice(0, 10)
    const settlementDate = next.slice(5).replace('-', '')
    const { transaction } = after(intent(), { ...notCommitted({ ...answer, settlementDate }), at })
    expect(transaction.businessDate).toBe(next)
    expect(after(intent(), { ...notCommitted(answer), at }).transaction.businessDate).toBe(businessDate)
    // Who was faster decided it on its date, which may be frozen since.
    const decided = after(intent(), lost).transaction
    const again = step(decided, { ...notCommitted({ ...answer, settlementDate }), at }, profile)
    expect(again.transaction).toEqual({ ...decided, version: decided.version + 1 })
    expect(again.unit).toMatchObject({ owe: [], commands: [] })
  })

  test('a late approval changes nothing but the record', () => {
    const before = after(intent(), lost).transaction
    const answer = { mti: '0210', responseCode: '00', described: '0210' }
    const { transaction, unit, effects } = step(before, { kind: 'late', answer, ...when }, profile)
    expect({ ...transaction, version: before.version }).toEqual(before)
    expect([unit.commands, effects, unit.owe]).toEqual([[], [], []])
  })

  test("the source's reversal of an approval posts the opposite entries and owes one reversal", () => {
    const { transaction, unit, effects } = after(intent(), answered('00'), cancelled)
    expect(transaction.state).toBe('reversed')
    expect(unit.commands).toMatchObject([{ kind: 'reverse', reverses: `${arrival.id}:purchase` }])
    expect(unit.owe[0]?.key).toBe(`reversal:${leg.id}`)
    expect(effects).toEqual([
      { kind: 'wake', destination: 'knet' },
      { kind: 'answerReversal', answer: { responseCode: '00' } },
    ])
  })

  test("the source's reversal in flight waits for the leg, and joins the one owed already", () => {
    const cancelling = after(intent(), cancelled)
    expect(cancelling.transaction).toMatchObject({ state: 'reversing', answer: { responseCode: '17' } })
    expect(cancelling.unit.owe[0]?.delayMs).toBe(arrival.approvableForMs)
    const ended = after(cancelling.transaction, answered('00'))
    expect(ended.unit).toMatchObject({ commands: [], obligation: { kind: 'due', id: reversalId } })
    expect(ended.transaction).toMatchObject({ state: 'reversed', answer: { responseCode: '17' } })
    expect(after(ended.transaction, cancelled).unit.owe).toEqual([])
  })

  test('a reversal of what was never seen is remembered, and the request is declined when it comes', () => {
    const { transaction, effects } = step(
      undefined,
      {
        kind: 'cancelUnknown',
        arrival,
        reversal: { source: 'acq1', sourceKey: 'r', fingerprint: 'r', actualMinor: 0n },
        ...when,
      },
      profile,
    )
    expect(transaction.state).toBe('tombstone')
    expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '25' } }])
    const declined = step(transaction, { kind: 'overtaken', ...when }, profile)
    expect(declined.effects).toEqual([{ kind: 'answer', answer: { responseCode: '12' } }])
  })

  test('F29: an approval known not to have reached its source is undone, and its repeats are declined', () => {
    const { transaction, unit, effects } = after(intent(), answered('00'), {
      kind: 'delivery',
      outcome: 'failed',
      ...when,
    })
    expect(transaction).toMatchObject({
      state: 'reversed',
      delivery: 'failed',
      answer: { responseCode: '91' },
    })
    expect(unit).toMatchObject({ owe: [{ cause: 'undelivered' }], commands: [{ kind: 'reverse' }] })
    expect(effects).toEqual([{ kind: 'wake', destination: 'knet' }])
  })

  test('F29: an approval that a repeat was told on another node is not undone because the first answer did not leave', () => {
    for (const outcome of ['unproven', 'delivered'] as const) {
      const told = { kind: 'delivery', outcome, ...when } as const
      const failed = { kind: 'delivery', outcome: 'failed', ...when } as const
      const { transaction, unit } = after(intent(), answered('00'), told, failed)
      expect(transaction).toMatchObject({
        state: 'approved',
        delivery: outcome,
        answer: { responseCode: '00' },
      })
      expect([unit.owe, unit.commands]).toEqual([[], []])
    }
  })

  test('F27, F28: an approval of an earlier life without evidence of delivery stays approved', () => {
    const { transaction, unit } = after(intent(), answered('00'), {
      kind: 'delivery',
      outcome: 'unproven',
      ...when,
    })
    expect(transaction).toMatchObject({ state: 'approved', delivery: 'unproven' })
    expect(unit.owe).toEqual([])
  })

  test('F14, F26: what an earlier life left open is reversed, never sent again', () => {
    const { transaction, unit, effects } = after(intent(), { kind: 'recovered', ...when })
    expect(transaction).toMatchObject({ state: 'unknown', reversal: 'owed' })
    expect(unit.owe[0]?.cause).toBe('recovered')
    expect(effects.some(({ kind }) => kind === 'send')).toBe(false)
  })

  test('every event moves the version by one, whatever it is', () => {
    const events = [lost, cancelled, answered('00'), { kind: 'recovered', ...when }] as const
    for (const event of events) {
      const { transaction, unit } = after(intent(), event)
      expect(transaction.version).toBe(2)
      expect(unit).toMatchObject({ expectedVersion: 1, event: { sequence: 2 } })
    }
  })

  test('a state out of which no purchase is approved twice: only an intent can be approved', () => {
    const approving = Object.entries(moves).filter(([, row]) => row.approve === 'approved')
    expect(approving.map(([state]) => state)).toEqual(['intent'])
  })
})

describe('a refund', () => {
  const refund = { ...request, kind: 'refund', processingCode: '200000' } as const

  test('posts the mirror of a purchase, and its reversal the mirror of that', () => {
    const approved = after(intent(refund), answered('00'))
    expect(approved.unit.commands).toMatchObject([
      {
        id: `${arrival.id}:refund`,
        legs: [
          { account: 'merchant:000000000000001:KWD', side: 'debit', amountMinor: 12_500n },
          { account: 'net:knet:2026-11-22:KWD', side: 'credit', amountMinor: 12_500n },
        ],
      },
    ])
    const undone = after(approved.transaction, cancelled)
    expect(undone.unit.commands).toMatchObject([{ kind: 'reverse', reverses: `${arrival.id}:refund` }])
  })

  test('of which nobody knows the end is reversed like a purchase', () => {
    expect(after(intent(refund), lost).unit.owe[0]?.cause).toBe('timeout')
  })
})

describe('an approval of a part', () => {
  const part = answered('10', { amountMinor: 5_000n, authId: 'A1B2C3' })
  const takes: Profile = { ...profile, takesPartialApprovals: true }

  test('is posted and told as far as it goes, where the source can do with a part', () => {
    const { transaction, unit, effects } = step(intent(), part, takes)
    expect(transaction).toMatchObject({ state: 'approved', approvedMinor: 5_000n })
    expect(unit.commands).toMatchObject([{ legs: [{ amountMinor: 5_000n }, { amountMinor: 5_000n }] }])
    expect(effects).toEqual([
      { kind: 'answer', answer: { responseCode: '10', authId: 'A1B2C3', amountMinor: 5_000n } },
    ])
  })

  test('F24: is undone and declined where the source can do with all of it only', () => {
    const { transaction, unit } = step(intent(), part, profile)
    expect(transaction).toMatchObject({
      state: 'unknown',
      answer: { responseCode: '51' },
      approvedMinor: 5_000n,
    })
    expect(unit.owe[0]?.cause).toBe('partialApproval')
    expect(unit.commands).toEqual([])
  })

  test('F23: that says no part, or all of it, or more, is undone whole and answered 96', () => {
    for (const extra of [{}, { amountMinor: 0n }, { amountMinor: 12_500n }, { amountMinor: 12_501n }]) {
      const { transaction } = step(intent(), answered('10', extra), takes)
      expect(transaction).toMatchObject({ state: 'unknown', answer: { responseCode: '96' } })
    }
    const other = answered('10', { amountMinor: 5_000n, currencyNumeric: '840' })
    expect(step(intent(), other, takes).transaction.answer).toEqual({ responseCode: '96' })
  })

  test('of a purchase with cash is taken only if the cash is in it', () => {
    const cashback = intent({ ...request, kind: 'cashback', processingCode: '090000', cashMinor: 5_001n })
    expect(step(cashback, part, takes).transaction).toMatchObject({
      state: 'unknown',
      answer: { responseCode: '51' },
    })
    const smaller = intent({ ...request, kind: 'cashback', processingCode: '090000', cashMinor: 5_000n })
    expect(step(smaller, part, takes).unit.commands).toMatchObject([
      { legs: [{ amountMinor: 5_000n }, { account: 'cashback:000000000000001:KWD', amountMinor: 5_000n }] },
    ])
  })

  test('measures what is reversed later', () => {
    const approved = step(intent(), part, takes).transaction
    const keep = (actualMinor: bigint): TransactionEvent => ({
      kind: 'cancel',
      reversal: { source: 'acq1', sourceKey: 'r', fingerprint: 'r', actualMinor },
      ...when,
    })
    expect(step(approved, keep(5_000n), takes).effects).toEqual([
      { kind: 'answerReversal', answer: { responseCode: '21' } },
    ])
    expect(step(approved, keep(4_900n), takes).unit.commands).toMatchObject([
      { legs: [{ amountMinor: 100n }, { amountMinor: 100n }] },
    ])
  })
})

describe('an authorization', () => {
  const held = { ...request, kind: 'preauthorization', mti: '0100', conditionCode: '06' } as const

  test('sets aside what it approves until its time comes, and posts nothing', () => {
    expect(after(intent(held), answered('00')).unit.commands).toMatchObject([
      {
        kind: 'authorize',
        id: `${arrival.id}:hold`,
        expiresAt: when.at + profile.holdForMs,
        legs: [
          { account: 'authorized:knet:KWD', side: 'debit', amountMinor: 12_500n },
          { account: 'merchant:000000000000001:KWD', side: 'credit', amountMinor: 12_500n },
        ],
      },
    ])
  })

  test('that is reversed, or did not arrive, lets go of it', () => {
    const undelivered = { kind: 'delivery', outcome: 'failed', ...when } as const
    for (const event of [cancelled, undelivered]) {
      const { transaction, unit } = after(intent(held), answered('00'), event)
      expect(transaction.state).toBe('reversed')
      expect(unit.commands).toMatchObject([{ kind: 'void', holdId: `${arrival.id}:hold` }])
      expect(unit.owe[0]?.key).toBe(`reversal:${leg.id}`)
    }
  })

  test('of which a part is given back lets go of that part', () => {
    const part: TransactionEvent = {
      kind: 'cancel',
      reversal: { source: 'acq1', sourceKey: 'p', fingerprint: 'p', actualMinor: 12_000n },
      hold: { state: 'open', openMinor: 12_500n },
      ...when,
    }
    expect(after(intent(held), answered('00'), part).unit.commands).toMatchObject([
      { kind: 'release', holdId: `${arrival.id}:hold`, amountMinor: 500n },
    ])
  })
})

describe('a completion', () => {
  const held = { ...request, kind: 'preauthorization', mti: '0100', conditionCode: '06' } as const
  const approved = after(intent(held), answered('00', { authId: 'A1B2C3' })).transaction
  const completing = (
    amountMinor: bigint,
    hold: { state: 'open' | 'captured' | 'voided' | 'expired'; openMinor: bigint } = {
      state: 'open',
      openMinor: 12_500n,
    },
  ): TransactionEvent & { kind: 'complete' } => ({
    kind: 'complete',
    completion: {
      source: 'acq1',
      sourceKey: 'c',
      fingerprint: 'c',
      mti: '0220',
      amountMinor,
    },
    hold,
    ...when,
  })

  test('takes what was set aside, lets the rest go, and owes the destination an advice, in one commit', () => {
    const { transaction, unit, effects } = step(approved, completing(10_000n), profile)
    expect(transaction).toMatchObject({ state: 'completed', completedMinor: 10_000n, advice: 'owed' })
    expect(transaction.flag).toBeUndefined()
    expect(unit.commands).toMatchObject([
      { kind: 'capture', holdId: `${arrival.id}:hold`, amountMinor: 10_000n, final: true },
      {
        kind: 'post',
        legs: [
          { account: 'net:knet:2026-11-22:KWD', side: 'debit', amountMinor: 10_000n },
          { account: 'authorized:knet:KWD', side: 'credit', amountMinor: 10_000n },
        ],
      },
    ])
    expect(unit.owe).toMatchObject([
      {
        kind: 'advice',
        cause: 'completion',
        advice: { mti: '0220', amountMinor: 10_000n, authId: 'A1B2C3' },
      },
    ])
    expect(unit.sourceAct).toMatchObject({ kind: 'completion', answer: { responseCode: '00' } })
    expect(effects).toContainEqual({ kind: 'answerReversal', answer: { responseCode: '00' } })
  })

  test('may take more within the tolerance of its trade', () => {
    const { transaction, unit } = step(approved, completing(15_000n), { ...profile, tolerancePercent: 20 })
    expect(transaction).toMatchObject({ state: 'completed', completedMinor: 15_000n, capturedMinor: 12_500n })
    expect(transaction.flag).toBeUndefined()
    expect(unit.commands).toMatchObject([
      { kind: 'capture', amountMinor: 12_500n },
      {
        legs: [
          { amountMinor: 15_000n },
          { amountMinor: 12_500n },
          { account: 'merchant:000000000000001:KWD', amountMinor: 2_500n },
        ],
      },
    ])
  })

  test('beyond it, or after the time has ended, is a forced post with a flag, or refused and forwarded to nobody', () => {
    const flagging: Profile = { ...profile, forcedPost: 'flag' }
    const expired = { ...approved, state: 'expired' } as const
    const gone = { state: 'expired', openMinor: 0n } as const
    for (const [before, event, flag, code] of [
      [approved, completing(12_501n), 'overTolerance', '13'],
      [approved, completing(5n, gone), 'afterExpiry', '12'],
      [expired, completing(5n), 'afterExpiry', '12'],
    ] as const) {
      const forced = step(before, event, flagging)
      expect(forced.transaction).toMatchObject({ state: 'completed', flag })
      expect(forced.unit.owe).toMatchObject([{ kind: 'advice' }])
      const refused = step(before, event, profile)
      expect(refused.transaction.state).toBe(before.state)
      expect([refused.unit.owe, refused.unit.commands]).toEqual([[], []])
      expect(refused.effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: code } }])
    }
  })

  test('of what was taken already, undone, declined, or sets nothing aside is refused', () => {
    const taken = step(approved, completing(10_000n), profile).transaction
    const declined = after(intent(held), answered('51')).transaction
    const purchase = after(intent(), answered('00')).transaction
    const undone = after(approved, cancelled).transaction
    for (const before of [taken, declined, purchase, undone]) {
      const { transaction, unit, effects } = step(before, completing(1_000n), {
        ...profile,
        forcedPost: 'flag',
      })
      expect(transaction.state).toBe(before.state)
      expect([unit.owe, unit.commands]).toEqual([[], []])
      expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '12' } }])
    }
  })

  test('that comes late again, or behind the undoing of what had expired, is refused: it was taken once', () => {
    const flagging: Profile = { ...profile, forcedPost: 'flag' }
    const expired = { ...approved, state: 'expired' } as const
    const late = completing(5n, { state: 'expired', openMinor: 0n })
    const forced = step(expired, late, flagging).transaction
    const undone = step(expired, cancelled, flagging).transaction
    for (const before of [forced, undone]) {
      const { transaction, unit, effects } = step(before, late, flagging)
      expect(transaction.state).toBe(before.state)
      expect([unit.owe, unit.commands]).toEqual([[], []])
      expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '12' } }])
    }
  })

  test('that came late is undone after the cutover, and no other takes its place', () => {
    const flagging: Profile = { ...profile, forcedPost: 'flag' }
    const gone = { state: 'expired', openMinor: 0n } as const
    // A part had been taken in time, so that undoing the late one leaves it completed.
    const part = {
      ...completing(5_000n),
      completion: { ...completing(5_000n).completion, sourceKey: 'c1', isPart: true },
    }
    const taken = step(approved, part, flagging).transaction
    const forced = step({ ...taken, state: 'completed' }, completing(7n, gone), flagging).transaction
    expect(forced).toMatchObject({ state: 'completed', flag: 'afterExpiry', captures: 2 })
    const voided = {
      ...cancelled,
      reversal: { ...cancelled.reversal, completionKey: 'c', isLateVoid: true, isAdvice: true },
    } as const
    const undone = step(forced, voided, flagging).transaction
    expect(undone).toMatchObject({ state: 'completed', flag: 'afterExpiry voidAfterCutover' })
    const once = { ...completing(7n, gone), completion: { ...completing(7n).completion, sourceKey: 'c3' } }
    const { unit, effects } = step(undone, once, flagging)
    expect([unit.owe, unit.commands]).toEqual([[], []])
    expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '12' } }])
  })

  test('of nothing lets go of everything', () => {
    const { transaction, unit } = step(approved, completing(0n), profile)
    expect(transaction).toMatchObject({ state: 'completed', completedMinor: 0n })
    expect(unit.commands).toMatchObject([{ kind: 'void' }])
  })

  test('is undone before its authorization is, when that is reversed (R7)', () => {
    const taken = step(approved, completing(10_000n), profile).transaction
    const { transaction, unit } = after(taken, cancelled)
    expect(transaction.state).toBe('reversed')
    expect(unit.commands).toMatchObject([
      {
        kind: 'post',
        legs: [
          { account: 'merchant:000000000000001:KWD', side: 'debit', amountMinor: 10_000n },
          { account: 'net:knet:2026-11-22:KWD', side: 'credit', amountMinor: 10_000n },
        ],
      },
    ])
    expect(unit.owe).toMatchObject([{ kind: 'reversal', key: `reversal:${leg.id}` }])
    expect(after(transaction, cancelled).unit.commands).toEqual([])
  })
})

describe('several completions of one authorization', () => {
  const held = { ...request, kind: 'preauthorization', mti: '0100', conditionCode: '06' } as const
  const approved = after(intent(held), answered('00', { authId: 'A1B2C3' })).transaction
  const taking = (
    amountMinor: bigint,
    openMinor: bigint,
    number: number,
    isPart = true,
  ): TransactionEvent => ({
    kind: 'complete',
    completion: {
      ...{ source: 'acq1', sourceKey: `c${number}`, fingerprint: 'c', mti: '0220', amountMinor, isPart },
      part: { number: `000${number}`, ...(isPart ? {} : { last: `000${number}` }) },
    },
    hold: { state: 'open', openMinor },
    ...when,
  })
  const first = step(approved, taking(4_000n, 12_500n, 1), profile)
  const second = step(first.transaction, taking(5_000n, 8_500n, 2), profile)

  test('take a part each, under names of their own, and leave the rest set aside until the last', () => {
    expect(first.transaction).toMatchObject({ state: 'approved', completedMinor: 4_000n, captures: 1 })
    expect(first.unit.commands).toMatchObject([
      { kind: 'capture', id: `${arrival.id}:capture`, amountMinor: 4_000n, final: false },
      { kind: 'post', id: `${arrival.id}:completion` },
    ])
    expect(second.transaction).toMatchObject({ state: 'approved', completedMinor: 9_000n, captures: 2 })
    expect(second.unit.owe).toMatchObject([
      {
        key: `advice:${arrival.id}:completion-2`,
        advice: { amountMinor: 5_000n, part: { number: '0002' } },
      },
    ])
    const last = step(second.transaction, taking(1_000n, 3_500n, 3, false), profile)
    expect(last.transaction).toMatchObject({ state: 'completed', completedMinor: 10_000n, captures: 3 })
    expect(last.unit.commands).toMatchObject([
      { kind: 'capture', id: `${arrival.id}:capture-3`, amountMinor: 1_000n, final: true },
      { kind: 'post', id: `${arrival.id}:completion-3` },
    ])
    expect(last.unit.event.cause).toBe('completion 3, the last')
  })

  test('end with the one that takes all that is left, whatever it says', () => {
    const last = step(second.transaction, taking(3_500n, 3_500n, 3), profile)
    expect(last.transaction.state).toBe('completed')
    expect(last.unit.commands[0]).toMatchObject({ kind: 'capture', final: true })
  })

  test('that come after the time of the rest are a forced post, the last of them, or refused', () => {
    const rested = { ...first.transaction, state: 'completed' } as const
    const late = { ...taking(3_000n, 0n, 2), hold: { state: 'expired', openMinor: 0n } } as TransactionEvent
    const flagging: Profile = { ...profile, forcedPost: 'flag' }
    const forced = step(rested, late, flagging)
    expect(forced.transaction).toMatchObject({
      ...{ state: 'completed', flag: 'afterExpiry', completedMinor: 7_000n, capturedMinor: 4_000n },
      captures: 2,
    })
    expect(forced.unit.commands).toMatchObject([{ kind: 'post', id: `${arrival.id}:completion-2` }])
    expect(forced.unit.owe).toMatchObject([{ key: `advice:${arrival.id}:completion-2` }])
    expect(step(forced.transaction, late, flagging).effects).toEqual([
      { kind: 'answerReversal', answer: { responseCode: '12' } },
    ])
    expect(step(rested, late, profile).transaction.captures).toBe(1)
  })

  test('of nothing are none, and no part goes back by a reversal of a part', () => {
    for (const event of [
      taking(0n, 8_500n, 2),
      { ...cancelled, reversal: { ...cancelled.reversal, actualMinor: 1_000n } },
    ] as TransactionEvent[]) {
      const { transaction, unit } = step(first.transaction, event, profile)
      expect(transaction).toMatchObject({ state: 'approved', completedMinor: 4_000n })
      expect([unit.owe, unit.commands]).toEqual([[], []])
    }
  })

  test('are measured by all that was set aside where their trade may take more', () => {
    const tolerant = { ...profile, tolerancePercent: 20 }
    const last = step(second.transaction, taking(6_000n, 3_500n, 3, false), tolerant)
    expect(last.transaction).toMatchObject({
      state: 'completed',
      completedMinor: 15_000n,
      capturedMinor: 12_500n,
    })
    expect(last.transaction.flag).toBeUndefined()
    const beyond = step(second.transaction, taking(6_001n, 3_500n, 3, false), tolerant)
    expect(beyond.effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '13' } }])
  })

  test('are undone together, with what is still set aside', () => {
    const undone = step(
      second.transaction,
      { ...cancelled, hold: { state: 'open', openMinor: 3_500n } },
      profile,
    )
    expect(undone.transaction.state).toBe('reversed')
    expect(undone.unit.commands).toMatchObject([
      { kind: 'post', legs: [{ amountMinor: 9_000n }, { account: 'net:knet:2026-11-22:KWD' }] },
      { kind: 'void', holdId: `${arrival.id}:hold` },
    ])
  })
})

describe('a completion of no authorization that we know', () => {
  const ghost = { ...request, kind: 'completion', mti: '0220', authId: 'G1' } as const
  const unsent = { ...leg, state: 'notSent' } as const
  const told: TransactionEvent = {
    kind: 'completeUnknown',
    arrival,
    card: { mask: '888888******0001', token: 'tok_a' },
    request: ghost,
    completion: {
      ...{ source: 'acq1', sourceKey: arrival.sourceKey, fingerprint: 'f', mti: '0220' },
      amountMinor: 12_500n,
    },
    leg: unsent,
    ...when,
  }
  const forced = step(undefined, told, profile)

  test('is posted, flagged, and its destination told', () => {
    expect(forced.transaction).toMatchObject({
      state: 'completed',
      flag: 'unknownAuthorization',
      leg: unsent,
    })
    expect(forced.unit.owe).toMatchObject([{ kind: 'advice', destination: 'knet' }])
  })

  test('is exchanged for what the network says it pays for it, and given back in that', () => {
    const taken: TransactionEvent = {
      ...{ kind: 'obligationAnswered', owed: 'advice', verdict: 'acknowledged' },
      ...{ obligationId: forced.unit.owe[0]!.id, fence: 1n, responseCode: '00', ...when },
      settlement: { amountMinor: 4_068n, currencyNumeric: '840', rate: '40032541' },
    }
    const known = step(forced.transaction, taken, profile)
    const entries = (unit: typeof known.unit): string[] =>
      unit.commands.flatMap((command) =>
        'legs' in command
          ? command.legs.map(({ account, amountMinor, side }) => `${side} ${account} ${amountMinor}`)
          : [command.kind],
      )
    expect(entries(known.unit)).toEqual([
      'debit net:knet:2026-11-22:USD 4068',
      'debit fx:position:KWD 12500',
      'credit net:knet:2026-11-22:KWD 12500',
      'credit fx:position:USD 4068',
    ])
    expect(entries(step(known.transaction, cancelled, profile).unit)).toEqual([
      'debit merchant:000000000000001:KWD 12500',
      'debit fx:position:USD 4068',
      'credit net:knet:2026-11-22:USD 4068',
      'credit fx:position:KWD 12500',
    ])
    const undone = step(forced.transaction, cancelled, profile).transaction
    expect(step(undone, taken, profile).unit.commands).toEqual([])
  })

  test('goes to the adjustments of a date whose books were closed under it', () => {
    const closed: Profile = { ...profile, days: { today: '2026-11-22', open: [] } }
    const { unit } = step(undefined, told, closed)
    expect(unit.commands).toMatchObject([
      { legs: [{ account: 'adjustment:knet:2026-11-22:KWD' }, { account: 'merchant:000000000000001:KWD' }] },
    ])
  })

  test('is undone by its source like anything else: the destination hears of it behind the advice', () => {
    const { transaction, unit, effects } = step(forced.transaction, cancelled, profile)
    expect(transaction).toMatchObject({ state: 'reversed', reversal: 'owed' })
    expect(unit.commands).toMatchObject([{ kind: 'reverse', reverses: `${arrival.id}:completion` }])
    expect(unit.owe).toMatchObject([
      { kind: 'reversal', destination: 'knet', adviceId: obligationId(`advice:${arrival.id}:completion`) },
    ])
    expect(unit.exposure).toBeUndefined()
    expect(effects).toContainEqual({ kind: 'answerReversal', answer: { responseCode: '00' } })
    expect(step(transaction, cancelled, profile).unit.commands).toEqual([])
  })
})

describe('a raise of an authorization', () => {
  const parentId = '01890000-0000-7000-8000-0000000000aa'
  const asked = { ...request, kind: 'incremental', mti: '0100' } as const
  const open = { state: 'open', openMinor: 30_000n } as const
  const raised = {
    ...after({ ...intent(asked), parentId }, answered('00', { authId: 'I1' })),
  }

  test('sets more aside with what is set aside already, in the commit of its approval', () => {
    expect(raised.transaction).toMatchObject({ state: 'approved', parentId })
    expect(raised.unit.commands).toMatchObject([
      { kind: 'increment', id: `${arrival.id}:incremental`, holdId: `${parentId}:hold` },
    ])
  })

  test('is undone alone, and what it raised stays', () => {
    const { transaction, unit } = step(raised.transaction, { ...cancelled, hold: open }, profile)
    expect(transaction.state).toBe('reversed')
    expect(unit.commands).toMatchObject([
      { kind: 'release', holdId: `${parentId}:hold`, amountMinor: 12_500n },
    ])
    expect(unit.owe).toMatchObject([{ key: `reversal:${leg.id}` }])
  })

  test('is undone in part like an authorization', () => {
    const part = { ...cancelled, reversal: { ...cancelled.reversal, actualMinor: 10_000n }, hold: open }
    const { unit } = step(raised.transaction, part, profile)
    expect(unit.commands).toMatchObject([{ kind: 'release', amountMinor: 2_500n }])
  })

  test('has nothing to undo once a completion took it', () => {
    const hold = { state: 'captured', openMinor: 0n } as const
    const { transaction, unit, effects } = step(raised.transaction, { ...cancelled, hold }, profile)
    expect(transaction.state).toBe('approved')
    expect([unit.owe, unit.commands]).toEqual([[], []])
    expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '21' } }])
  })

  test('that the books refuse, because what it raises is gone, is declined and undone', () => {
    const { transaction, unit } = after(
      { ...intent(asked), parentId },
      notCommitted({ mti: '0110', responseCode: '00', described: '' }, 'books'),
    )
    expect(transaction).toMatchObject({ state: 'unknown', answer: { responseCode: '96' } })
    expect(unit.owe).toMatchObject([{ cause: 'postingRefused' }])
  })
})

describe('a refund of what was paid', () => {
  const parentId = '01890000-0000-7000-8000-0000000000bb'
  const asked = { ...request, kind: 'refund', processingCode: '200000' } as const
  const verdict = { kind: 'forward', leg } as const
  const begun = step(
    undefined,
    {
      kind: 'request',
      arrival: { ...arrival, parentId },
      card: { mask: '' },
      request: asked,
      verdict,
      ...when,
    },
    profile,
  )

  test('claims its part before it leaves, and keeps it when it is approved', () => {
    expect(begun.unit.parent).toMatchObject({ id: parentId, refundMinor: 12_500n, child: arrival.id })
    expect(after(begun.transaction, answered('00')).unit.parent).toBeUndefined()
  })

  test('gives it up when it comes to nothing, and the part that was not approved or was given back', () => {
    const given = (...events: TransactionEvent[]): bigint | undefined =>
      after(begun.transaction, ...events).unit.parent?.refundMinor
    expect(given(answered('51'))).toBe(-12_500n)
    expect(given(lost)).toBe(-12_500n)
    expect(given(cancelled)).toBe(-12_500n)
    expect(given(answered('00'), cancelled)).toBe(-12_500n)
    const part = {
      ...cancelled,
      reversal: { ...cancelled.reversal, actualMinor: 10_000n },
    } as TransactionEvent
    expect(given(answered('00'), part)).toBe(-2_500n)
    expect(given(answered('51'), cancelled)).toBeUndefined()
  })

  test('that is refused claims nothing', () => {
    const refused = { kind: 'refuse', responseCode: '13', cause: 'more than was taken' } as const
    const { unit } = step(
      undefined,
      {
        kind: 'request',
        arrival: { ...arrival, parentId },
        card: { mask: '' },
        request: asked,
        verdict: refused,
        ...when,
      },
      profile,
    )
    expect(unit.parent).toBeUndefined()
  })

  test('keeps what it gave back from going back again: its parent is not reversed any more', () => {
    const paid = { ...after(intent(), answered('00')).transaction, refundedMinor: 1n }
    for (const actualMinor of [0n, 10_000n]) {
      const event = { ...cancelled, reversal: { ...cancelled.reversal, actualMinor } } as TransactionEvent
      const { transaction, unit, effects } = step(paid, event, profile)
      expect(transaction.state).toBe('approved')
      expect([unit.owe, unit.commands]).toEqual([[], []])
      expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '12' } }])
    }
    const failed = { kind: 'delivery', outcome: 'failed', ...when } as const
    expect(step(paid, failed, profile).transaction).toMatchObject({ state: 'approved', delivery: 'unproven' })
  })
})

describe('a void after the cutover', () => {
  const approved = after(intent(), answered('00')).transaction
  const voiding = (isAdvice: boolean): TransactionEvent => ({
    kind: 'cancel',
    reversal: {
      source: 'acq1',
      sourceKey: 'v',
      fingerprint: 'v',
      actualMinor: 0n,
      isAdvice,
      isLateVoid: true,
    },
    ...when,
  })

  test('is refused where it asks', () => {
    const { transaction, unit, effects } = step(approved, voiding(false), profile)
    expect(transaction.state).toBe('approved')
    expect([unit.owe, unit.commands]).toEqual([[], []])
    expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '12' } }])
  })

  test('is taken and flagged where it tells', () => {
    const { transaction, unit } = step(approved, voiding(true), profile)
    expect(transaction).toMatchObject({ state: 'reversed', flag: 'voidAfterCutover' })
    expect(unit.commands).toMatchObject([{ kind: 'reverse' }])
  })
})

describe('a look at a card', () => {
  const look = intent({ ...request, kind: 'verification', mti: '0100', amountMinor: 0n })

  test.each(['00', '85'])(
    'that finds it good (%s) is approved, sets nothing aside and owes nothing',
    (code) => {
      const { transaction, unit } = after(look, answered(code))
      expect(transaction).toMatchObject({ state: 'approved', answer: { responseCode: code } })
      expect([unit.commands, unit.owe]).toEqual([[], []])
      expect(after(look, lost).unit.owe).toEqual([])
    },
  )

  test('85 approves nothing else', () => {
    expect(after(intent(), answered('85')).transaction.state).toBe('declined')
  })
})

describe('a question for a balance', () => {
  const inquiry = intent({ ...request, kind: 'balance', processingCode: '310000', amountMinor: 0n })
  const additionalAmounts = '0002414C000000012500'

  test('is answered with the balance, posts nothing, and keeps the answer for repeats', () => {
    const { transaction, unit, effects } = after(inquiry, answered('00', { additionalAmounts }))
    expect(unit.commands).toEqual([])
    expect(transaction.answer).toEqual({ responseCode: '00', additionalAmounts })
    expect(effects).toEqual([{ kind: 'answer', answer: { responseCode: '00', additionalAmounts } }])
  })

  test.each(['0002414X000000012500', '0002414C00000001250', additionalAmounts.repeat(7), ''])(
    'is not answered with what is no balance: %s',
    (written) => {
      const { transaction } = after(inquiry, answered('00', { additionalAmounts: written }))
      expect(transaction.answer).toEqual({ responseCode: '00' })
    },
  )

  test('owes nothing, whatever becomes of it', () => {
    const approved = answered('00', { additionalAmounts })
    const undelivered = { kind: 'delivery', outcome: 'failed', ...when } as const
    const ends = [
      [lost],
      [{ kind: 'recovered', ...when }],
      [cancelled],
      [approved, cancelled],
      [lost, cancelled],
    ]
    for (const events of [...ends, [approved, undelivered], [cancelled, approved]] as TransactionEvent[][]) {
      const { transaction, unit } = after(inquiry, ...events)
      expect([unit.owe, unit.obligation, unit.commands]).toEqual([[], undefined, []])
      expect(['none', 'notNeeded']).toContain(transaction.reversal)
    }
  })

  test('that its source reverses is answered all the same: there is nothing to undo', () => {
    const { transaction, effects } = after(inquiry, cancelled)
    expect(transaction.state).toBe('intent')
    expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '21' } }])
    expect(after(transaction, answered('00')).transaction.state).toBe('approved')
  })

  test('answered in vain stays answered: its repeat hears the balance', () => {
    const { transaction } = after(inquiry, answered('00', { additionalAmounts }), {
      kind: 'delivery',
      outcome: 'failed',
      ...when,
    })
    expect(transaction).toMatchObject({
      state: 'approved',
      delivery: 'failed',
      answer: { additionalAmounts },
    })
  })
})

test('a purchase does not carry the additional amounts of its approval back', () => {
  const { transaction } = after(intent(), answered('00', { additionalAmounts: '0002414C000000012500' }))
  expect(transaction.answer).toEqual({ responseCode: '00' })
})

describe("a source's partial reversal", () => {
  const keeping = (actualMinor: bigint): TransactionEvent => ({
    kind: 'cancel',
    reversal: { source: 'acq1', sourceKey: `keep ${actualMinor}`, fingerprint: 'r', actualMinor },
    ...when,
  })
  const acknowledgement: TransactionEvent = {
    kind: 'obligationAnswered',
    owed: 'reversal',
    verdict: 'acknowledged',
    obligationId: reversalId,
    fence: 1n,
    responseCode: '00',
    ...when,
  }

  test('gives back the rest, keeps the approval, and owes the destination what remains', () => {
    const { transaction, unit, effects } = after(intent(), answered('00'), keeping(12_000n))
    expect(transaction).toMatchObject({ state: 'approved', actualMinor: 12_000n, reversal: 'owed' })
    expect(unit.owe).toMatchObject([
      { actualMinor: 12_000n, undoneMinor: 500n, cause: 'partialReversal', delayMs: 0 },
    ])
    expect(unit.commands).toMatchObject([
      {
        id: `${arrival.id}:partial-3`,
        legs: [
          { account: 'merchant:000000000000001:KWD', side: 'debit', amountMinor: 500n },
          { account: 'net:knet:2026-11-22:KWD', side: 'credit', amountMinor: 500n },
        ],
      },
    ])
    expect(effects).toEqual([
      { kind: 'wake', destination: 'knet' },
      { kind: 'answerReversal', answer: { responseCode: '00' } },
    ])
  })

  test('may come again for less: it is told behind the first, and counts what it gives back beyond that', () => {
    for (const between of [[], [acknowledgement]]) {
      const { transaction, unit } = after(intent(), answered('00'), keeping(12_000n), ...between, keeping(1n))
      expect(transaction).toMatchObject({ state: 'approved', actualMinor: 1n, reversal: 'owed' })
      const version = 4 + between.length
      expect(unit.owe).toMatchObject([
        { key: `reversal:${leg.id}:${version}`, actualMinor: 1n, undoneMinor: 11_999n },
      ])
      expect(unit.commands).toMatchObject([{ legs: [{ amountMinor: 11_999n }, { amountMinor: 11_999n }] }])
    }
  })

  test('is still owed while one behind it is, and settled with the latest', () => {
    const both = after(intent(), answered('00'), keeping(12_000n), keeping(1n))
    const one = step(both.transaction, acknowledgement, profile)
    expect(one.transaction.reversal).toBe('owed')
    const obligationId = both.unit.owe[0]!.id
    const all = step(one.transaction, { ...acknowledgement, obligationId }, profile)
    expect(all.transaction.reversal).toBe('acknowledged')
  })

  test('that wants as much as is left, or more, has nothing to do and says so', () => {
    for (const late of [keeping(12_000n), keeping(12_400n)]) {
      const { transaction, unit, effects } = after(intent(), answered('00'), keeping(12_000n), late)
      expect(transaction.actualMinor).toBe(12_000n)
      expect([unit.owe, unit.commands]).toEqual([[], []])
      expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '21' } }])
    }
  })

  test('behind which everything is undone leaves only the rest to post, and no amount at the destination', () => {
    const { transaction, unit } = after(intent(), answered('00'), keeping(12_000n), cancelled)
    expect(transaction.state).toBe('reversed')
    expect(unit.commands).toMatchObject([
      { kind: 'post', legs: [{ amountMinor: 12_000n }, { amountMinor: 12_000n }] },
    ])
    expect(unit.owe).toMatchObject([{ undoneMinor: 12_000n, cause: 'sourceReversal' }])
    expect(unit.owe[0]).not.toHaveProperty('actualMinor')
    expect(after(transaction, keeping(11_000n)).effects).toEqual([
      { kind: 'answerReversal', answer: { responseCode: '21' } },
    ])
  })

  test('of what was not approved is refused and changes nothing', () => {
    const declined = answered('51')
    for (const events of [[], [lost], [declined], [cancelled]]) {
      const { transaction, unit, effects } = after(intent(), ...events, keeping(12_000n))
      expect(transaction.actualMinor).toBeUndefined()
      expect([unit.owe, unit.commands]).toEqual([[], []])
      expect(effects).toEqual([{ kind: 'answerReversal', answer: { responseCode: '12' } }])
    }
  })

  test('of a refund gives back to the merchant', () => {
    const refund = intent({ ...request, kind: 'refund', processingCode: '200000' })
    const { unit } = after(refund, answered('00'), keeping(12_000n))
    expect(unit.commands).toMatchObject([
      {
        legs: [{ account: 'net:knet:2026-11-22:KWD', side: 'debit', amountMinor: 500n }, { side: 'credit' }],
      },
    ])
  })
})

describe('an advice', () => {
  const approved = after(intent(), answered('00')).transaction
  const owed = adviceOf(approved, {
    name: 'completion-1',
    cause: 'completion',
    advice: { mti: '0220', amountMinor: 12_000n },
  })
  const told = (verdict: 'acknowledged' | 'parked'): TransactionEvent => ({
    kind: 'obligationAnswered',
    owed: 'advice',
    verdict,
    obligationId: owed.id,
    fence: 1n,
    responseCode: '00',
    ...when,
  })

  test('has a name of its own, which is the same however often it is made', () => {
    expect(owed).toMatchObject({
      kind: 'advice',
      legId: leg.id,
      destination: 'knet',
      delayMs: 0,
    })
    expect(owed.id).toBe(obligationId(`advice:${arrival.id}:completion-1`))
    expect(owed.id).not.toBe(reversalId)
    expect(owed.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test.each(['acknowledged', 'parked'] as const)(
    'that is %s leaves the approval and its reversal alone',
    (verdict) => {
      const { transaction, unit } = after({ ...approved, advice: 'owed' }, told(verdict))
      expect(transaction).toMatchObject({ state: 'approved', advice: verdict, reversal: 'none' })
      expect(unit.obligation).toMatchObject({ kind: verdict, id: owed.id, fence: 1n })
      expect([unit.owe, unit.commands]).toEqual([[], []])
    },
  )
})

describe('a reversal of which the network says that there is nothing to undo', () => {
  const told = (responseCode: string, obligationId = reversalId): TransactionEvent => ({
    ...{
      kind: 'obligationAnswered',
      owed: 'reversal',
      verdict: 'acknowledged',
      obligationId,
      fence: 1n,
      responseCode,
    },
    ...when,
  })
  const flagAfter = (before: Transaction, event: TransactionEvent): unknown => {
    const { transaction } = step(before, event, profile)
    expect(transaction.reversal).toBe('acknowledged')
    return transaction.flag
  }
  const undone = after(intent(), answered('00'), cancelled).transaction

  test.each(['21', '25'])('is closed and flagged where it had approved (%s)', (code) => {
    expect(flagAfter(undone, told(code))).toBe('undoingDisputed')
  })

  test('is no surprise of what nobody answered, or it declined', () => {
    expect(flagAfter(after(intent(), lost).transaction, told('25'))).toBeUndefined()
    expect(flagAfter(after(intent(), cancelled, answered('51')).transaction, told('21'))).toBeUndefined()
  })

  test('is not said by a code that it was done, now or before', () => {
    for (const code of ['00', '400', '94', '913']) expect(flagAfter(undone, told(code))).toBeUndefined()
  })

  test('keeps what it was flagged with before', () => {
    expect(flagAfter({ ...undone, flag: 'voidAfterCutover' }, told('25'))).toBe(
      'voidAfterCutover undoingDisputed',
    )
  })
})

describe('business dates', () => {
  const turned: Profile = { ...profile, days: { today: '2026-11-23', open: ['2026-11-22', '2026-11-23'] } }
  const approved = (): Transaction => after(intent(), answered('00')).transaction
  const accountsIn = ({ unit }: ReturnType<typeof step>): string[] =>
    unit.commands.flatMap((command) =>
      command.kind === 'post' ? command.legs.map(({ account }) => account) : [],
    )

  test('F38: an approval that comes after the cutover is posted on the date its request was routed on', () => {
    const result = step(intent(), answered('00'), turned)
    expect(result.transaction.businessDate).toBe('2026-11-22')
    expect(accountsIn(result)).toContain('net:knet:2026-11-22:KWD')
    expect(result.unit.event.businessDate).toBe('2026-11-22')
  })

  test('the date in the answer stands over ours, before anything is posted', () => {
    const at = Date.parse('2026-11-22T20:59:00Z')
    const result = step(intent(), { ...answered('00', { settlementDate: '1123' }), at }, profile)
    expect(result.transaction.businessDate).toBe('2026-11-23')
    expect(accountsIn(result)).toContain('net:knet:2026-11-23:KWD')
  })

  test('a reversal on the same date is the opposite of the posting', () => {
    expect(step(approved(), cancelled, profile).unit.commands).toMatchObject([{ kind: 'reverse' }])
  })

  test('a reversal after the cutover is posted on the date of the reversal, and the original keeps its own', () => {
    const result = step(approved(), cancelled, turned)
    expect(result.unit.commands).toMatchObject([
      {
        kind: 'post',
        legs: [
          { account: 'merchant:000000000000001:KWD', side: 'debit', amountMinor: 12_500n },
          { account: 'net:knet:2026-11-23:KWD', side: 'credit', amountMinor: 12_500n },
        ],
      },
    ])
    expect(result.transaction.businessDate).toBe('2026-11-22')
    expect(result.unit.event.businessDate).toBe('2026-11-23')
  })

  test('what comes for a date whose totals are frozen goes to the adjustments of that date', () => {
    const frozen: Profile = { ...profile, days: { today: '2026-11-23', open: ['2026-11-23'] } }
    expect(accountsIn(step(intent(), answered('00'), frozen))).toContain('adjustment:knet:2026-11-22:KWD')
  })

  const at = Date.parse('2026-11-22T18:00:00Z')

  test('what goes to the adjustments of a closed date counts for a date whose books are open', () => {
    const frozen: Profile = { ...profile, days: { today: '2026-11-23', open: ['2026-11-23'] } }
    const [posted] = step(intent(), { ...answered('00'), at }, frozen).unit.commands
    expect(posted).toMatchObject({ effectiveAt: Date.parse('2026-11-23T00:00:00+03:00') })
  })

  test('a date after ours that the books have closed takes adjustments only', () => {
    const ahead: Profile = {
      ...profile,
      days: { today: '2026-11-22', open: ['2026-11-22'], closed: ['2026-11-23'] },
    }
    const result = step(intent(), { ...answered('00', { settlementDate: '1123' }), at }, ahead)
    expect(result.transaction.businessDate).toBe('2026-11-23')
    expect(accountsIn(result)).toContain('adjustment:knet:2026-11-23:KWD')
  })
})

describe('a leg that did not leave', () => {
  const other: Leg = {
    ...leg,
    id: '01890000-0000-7000-8000-000000000009',
    destination: 'visa',
    stan: '000001',
  }
  const unsent = (instead?: object): TransactionEvent =>
    ({
      kind: 'legEnded',
      outcome: { kind: 'notSent', reason: 'offline' },
      ...(instead === undefined ? {} : { instead }),
      ...when,
    }) as TransactionEvent
  const elsewhere = { kind: 'forward', leg: other, businessDate: '2026-11-23' }

  test('F15: goes another way under a new name, committed before it leaves, on the date of that destination', () => {
    const { transaction, unit, effects } = step(intent(), unsent(elsewhere), profile)
    expect(transaction).toMatchObject({ state: 'intent', leg: other, businessDate: '2026-11-23' })
    expect(transaction.answer).toBeUndefined()
    expect(unit.ended).toMatchObject({ id: leg.id, state: 'notSent' })
    expect(effects).toEqual([{ kind: 'send', leg: other }])
  })

  test('F12: without another way the source is declined, and nothing is owed', () => {
    const { transaction, unit } = step(intent(), unsent(), profile)
    expect(transaction).toMatchObject({ state: 'refused', answer: { responseCode: '91' }, reversal: 'none' })
    expect(unit.owe).toEqual([])
  })

  test('that its source reversed meanwhile goes nowhere', () => {
    const { transaction, effects } = after(intent(), cancelled, unsent(elsewhere))
    expect(transaction).toMatchObject({ state: 'reversed', leg: { id: leg.id, state: 'notSent' } })
    expect(effects).toEqual([])
  })

  test('and is followed by one that nobody answers: that one is reversed', () => {
    const { transaction, unit } = after(intent(), unsent(elsewhere), lost)
    expect(transaction).toMatchObject({ state: 'unknown', reversal: 'owed' })
    expect(unit.owe).toMatchObject([{ destination: 'visa', legId: other.id }])
  })
})

describe('what a destination says becomes an outcome, and that what the source is told', () => {
  test('a code that nobody knows is a decline, 05', () => {
    const { transaction, unit } = after(intent(), answered('ZZ'))
    expect([transaction.state, transaction.answer?.responseCode]).toEqual(['declined', '05'])
    expect([transaction.leg?.responseCode, unit.event.cause]).toEqual(['ZZ', 'ZZ doNotHonour'])
  })

  test('a code that approves elsewhere, and is not on the list of this destination, is declined and undone', () => {
    const { transaction, unit } = after(intent(), answered('08'))
    expect([transaction.state, transaction.answer?.responseCode]).toEqual(['unknown', '05'])
    expect(unit.owe).toMatchObject([{ kind: 'reversal', cause: 'badAnswer' }])
  })

  test('a host of 1993 is understood by a terminal of 1987', () => {
    const of1993 = { ...profile, edition: '1993', approvals: ['000'], partialApprovals: ['002'] } as const
    expect(step(intent(), answered('116'), of1993).transaction.answer?.responseCode).toBe('51')
    expect(step(intent(), answered('000'), of1993).transaction).toMatchObject({
      state: 'approved',
      answer: { responseCode: '00' },
    })
  })

  test('a source is told as it wants to be', () => {
    const own = { ...profile, told: { insufficientFunds: '61' } } as const
    expect(step(intent(), answered('51'), own).transaction.answer?.responseCode).toBe('61')
  })
})
