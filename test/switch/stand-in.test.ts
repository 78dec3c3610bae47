import { describe, expect, test } from 'vitest'
import { Secret } from '../../kernel/secret.ts'
import type { InboundRequest } from '../../switch/arrivals.ts'
import { type StandInRule, standInRules } from '../../switch/rules/stand-in-rules.ts'
import { standInFor } from '../../switch/stand-in.ts'
import type { StandIn, TransactionEvent } from '../../switch/transaction/events.ts'
import { obligationId } from '../../switch/transaction/owed.ts'
import { step } from '../../switch/transaction/step.ts'
import type { CardRequest } from '../../switch/transaction/transaction.ts'
import {
  arrival,
  intent as intentOf,
  profile,
  reversalId,
  request as purchase,
  when,
} from './transactions.ts'

const rule: StandInRule = {
  bin: '888888',
  kinds: ['purchase'],
  currency: 'KWD',
  perTransactionMinorMax: 20_000n,
  perCardMinorMax: 50_000n,
  perCardCountMax: 3,
  perEpisodeMinorMax: 40_000n,
  perHourMinorMax: 500_000n,
}

const request: CardRequest = { ...purchase, merchantType: '5411' }

function inbound(change: Partial<CardRequest> = {}, secrets: object = {}): InboundRequest {
  return {
    request: { ...request, ...change },
    secrets: new Secret({ pan: '8888880000000001', ...secrets }),
  } as InboundRequest
}

describe('whether we approve in an issuer place is asked of the rules', () => {
  const rules = standInRules([rule, { ...rule, bin: '8888', perTransactionMinorMax: 1n }])

  test('of which the longest range counts', () => {
    expect(standInFor(rules, inbound(), 'tok_a')).toBe(rule)
  })

  test.each<[string, InboundRequest]>([
    ['a PIN, which we cannot check', inbound({}, { pinBlock: new Uint8Array(8) })],
    ['a cryptogram, which we cannot check', inbound({}, { emv: new Uint8Array(8) })],
    ['more than one transaction may be', inbound({ amountMinor: 20_001n })],
    ['a kind that is not named', inbound({ kind: 'withdrawal' })],
    ['another currency', inbound({ currency: 'USD' })],
    ['cash beside the goods', inbound({ cashMinor: 1n })],
    ['a card of another range', inbound({}, { pan: '9999990000000014' })],
  ])('P2, P3: not with %s', (_what, asked) => {
    expect(standInFor(rules, asked, 'tok_a')).toBeUndefined()
  })

  test('P3: not for a card that is on the negative list, or that has no token, or at another trade', () => {
    const listed = standInRules([{ ...rule, negative: ['tok_a'], merchantTypes: ['5411'] }])
    expect(standInFor(listed, inbound(), 'tok_a')).toBeUndefined()
    expect(standInFor(listed, inbound(), undefined)).toBeUndefined()
    expect(standInFor(listed, inbound({ merchantType: '7995' }), 'tok_b')).toBeUndefined()
    expect(standInFor(listed, inbound(), 'tok_b')).toBeDefined()
  })

  test('that contradict themselves are refused', () => {
    expect(() => standInRules([rule, rule])).toThrow('stands twice')
    expect(() => standInRules([{ ...rule, kinds: ['withdrawal'] }])).toThrow('withdrawal is never approved')
    expect(() => standInRules([{ ...rule, perCardMinorMax: 10n }])).toThrow('not more than its card')
    expect(() => standInRules([{ ...rule, bin: '88x' }])).toThrow('range is 4 to 11 digits')
  })
})

const limits = {
  perCardMinorMax: 50_000n,
  perCardCountMax: 3,
  perEpisodeMinorMax: 40_000n,
  perHourMinorMax: 500_000n,
}
const settles = 'reversalThenAdvice'
const instead: StandIn = { kind: 'standIn', rule: '888888 KWD', authId: 'S00042', settles, limits }
const { id } = arrival
const adviceId = obligationId(`advice:${id}:stand-in`)
const intent = (): ReturnType<typeof intentOf> => intentOf(request)

const unsent: TransactionEvent = {
  kind: 'legEnded',
  outcome: { kind: 'notSent', reason: 'offline' },
  instead,
  ...when,
}
const silent: TransactionEvent = {
  kind: 'legEnded',
  outcome: { kind: 'maybeSent', reason: 'deadline', sent: '0200' },
  instead,
  ...when,
}

function cancelling(actualMinor: bigint): TransactionEvent {
  const reversal = { source: 'acq1', sourceKey: 'r', fingerprint: 'f', actualMinor }
  return { kind: 'cancel', reversal, ...when }
}

describe('an approval in an issuer place', () => {
  test('P1, P4, F11: of what never left is one commit: number, entries, exposure, and the advice', () => {
    const { transaction, unit, effects } = step(intent(), unsent, profile)
    expect(transaction).toMatchObject({
      state: 'approved',
      advice: 'owed',
      reversal: 'none',
      answer: { authId: 'S00042' },
    })
    expect(unit).toMatchObject({ onlyWhileApprovable: true, commands: [{ kind: 'post' }] })
    expect(unit.owe).toMatchObject([
      { kind: 'advice', id: adviceId, advice: { mti: '0220', amountMinor: 12_500n } },
    ])
    expect(unit.exposure).toMatchObject({
      kind: 'new',
      rule: '888888 KWD',
      cardToken: 'tok_a',
      amountMinor: 12_500n,
    })
    expect(effects[0]).toEqual({ kind: 'answer', answer: { responseCode: '00', authId: 'S00042' } })
  })

  test('P5, F17: of what may have left owes its reversal first, and the advice behind it', () => {
    const { transaction, unit } = step(intent(), silent, profile)
    expect(transaction).toMatchObject({ state: 'approved', advice: 'owed', reversal: 'owed' })
    expect(unit.owe.map(({ kind, cause }) => `${kind} ${cause}`)).toEqual([
      'reversal timeout',
      'advice standIn',
    ])
  })

  test('P1: is never given where the issuer declined', () => {
    const answer = { mti: '0210', responseCode: '51', described: '' }
    const declined = {
      kind: 'legEnded',
      outcome: { kind: 'answered', answer, sent: '' },
      instead,
      ...when,
    } as const
    expect(step(intent(), declined, profile).transaction.state).toBe('declined')
  })

  test('P6: stands whatever the issuer says later', () => {
    const approved = step(intent(), silent, profile).transaction
    const answer = { mti: '0210', responseCode: '51', described: '' }
    const late = step(approved, { kind: 'late', answer, ...when }, profile)
    expect([late.transaction.state, late.unit.commands, late.unit.owe]).toEqual(['approved', [], []])
    const parked = { kind: 'obligationAnswered', owed: 'advice', verdict: 'parked' } as const
    const refused = { ...parked, obligationId: adviceId, fence: 1n, responseCode: '05', ...when }
    expect(step(approved, refused, profile).transaction).toMatchObject({
      state: 'approved',
      advice: 'parked',
    })
  })

  test('P3: that its source reverses undoes the advice, and gives the exposure back', () => {
    const approved = step(intent(), unsent, profile).transaction
    const { transaction, unit } = step(approved, cancelling(0n), profile)
    expect(transaction.state).toBe('reversed')
    expect(unit.owe).toMatchObject([{ kind: 'reversal', adviceId }])
    expect(unit.owe[0]).not.toHaveProperty('legId')
    expect(unit.exposure).toEqual({ kind: 'change', amountMinor: 0n })
    const part = step(approved, cancelling(2_000n), profile)
    expect(part.unit.owe).toMatchObject([{ adviceId, actualMinor: 2_000n }])
    expect(part.unit.exposure).toEqual({ kind: 'change', amountMinor: 2_000n })
  })

  test('P1: is given where something before the issuer says that it could not ask it', () => {
    const answer = { mti: '0210', responseCode: '91', described: '' }
    const away = { kind: 'legEnded', outcome: { kind: 'answered', answer, sent: '' }, ...when } as const
    expect(step(intent(), away, profile).transaction).toMatchObject({ state: 'declined' })
    const { transaction, unit } = step(intent(), { ...away, instead }, profile)
    expect(transaction).toMatchObject({ state: 'approved', reversal: 'none', standIn: '888888 KWD' })
    expect(unit.owe.map(({ kind }) => kind)).toEqual(['advice'])
    // It is ours, though a leg was answered: its undoing is that of the advice.
    expect(step(transaction, cancelling(0n), profile).unit.owe).toMatchObject([
      { kind: 'reversal', adviceId },
    ])
  })

  test('P5: is told alone to a network that nets it with what it may have itself', () => {
    const nets = { ...silent, instead: { ...instead, settles: 'adviceOnly' } } as const
    const { transaction, unit } = step(intent(), nets, profile)
    expect([transaction.reversal, unit.owe.map(({ kind }) => kind)]).toEqual(['none', ['advice']])
  })

  test('is not disputed by a network that has nothing of the leg before it, but by one that has not the advice it took', () => {
    const approved = step(intent(), silent, profile).transaction
    const nothing = {
      kind: 'obligationAnswered',
      owed: 'reversal',
      verdict: 'acknowledged',
      responseCode: '25',
    } as const
    const ofLeg = { ...nothing, obligationId: reversalId, fence: 1n, ...when }
    const known = step(approved, ofLeg, profile).transaction
    expect(known.flag).toBeUndefined()
    const { transaction, unit } = step(known, cancelling(0n), profile)
    const ofAdvice = { ...nothing, obligationId: unit.owe[0]!.id, fence: 1n, ...when }
    expect(step(transaction, ofAdvice, profile).transaction.flag).toBe('undoingDisputed')
  })

  const accountsOf = (unit: { readonly commands: readonly object[] }): string[] =>
    (
      unit.commands as readonly {
        readonly legs?: readonly { account: string; side: string; amountMinor: bigint }[]
      }[]
    )
      .flatMap(({ legs }) => legs ?? [])
      .map(({ account, side, amountMinor }) => `${side} ${account} ${amountMinor}`)

  test('is what the issuer says it pays from its acknowledgement on, and so is what undoes it', () => {
    const approved = step(intent(), unsent, profile).transaction
    const acknowledged: TransactionEvent = {
      ...{ kind: 'obligationAnswered', owed: 'advice', verdict: 'acknowledged' },
      ...{ obligationId: adviceId, fence: 1n, responseCode: '00', ...when },
      settlement: { amountMinor: 4_068n, currencyNumeric: '840', rate: '40032541' },
    }
    const known = step(approved, acknowledged, profile)
    expect(accountsOf(known.unit)).toEqual([
      'debit net:knet:2026-11-22:USD 4068',
      'debit fx:position:KWD 12500',
      'credit standin:knet:KWD 12500',
      'credit fx:position:USD 4068',
    ])
    expect(known.unit.obligation).toMatchObject({ settlement: { amountMinor: 4_068n, currency: 'USD' } })
    expect(accountsOf(step(known.transaction, cancelling(0n), profile).unit)).toEqual([
      'debit merchant:000000000000001:KWD 12500',
      'debit fx:position:USD 4068',
      'credit net:knet:2026-11-22:USD 4068',
      'credit fx:position:KWD 12500',
    ])
    // Of what is left of it, in the same measure: KWD 5.000 of 12.500.
    const part = step(approved, cancelling(5_000n), profile).transaction
    expect(accountsOf(step(part, acknowledged, profile).unit)).toEqual([
      'debit net:knet:2026-11-22:USD 1627',
      'debit fx:position:KWD 5000',
      'credit standin:knet:KWD 5000',
      'credit fx:position:USD 1627',
    ])
    const undone = step(approved, cancelling(0n), profile).transaction
    const late = step(undone, acknowledged, profile).unit
    expect([late.commands, late.obligation]).toMatchObject([[], { settlement: { amountMinor: 4_068n } }])
  })

  test('is on our own account until the issuer acknowledges it, and then on the network’s of that day', () => {
    const approved = step(intent(), unsent, profile)
    expect(accountsOf(approved.unit)[0]).toBe('debit standin:knet:KWD 12500')
    const acknowledged: TransactionEvent = {
      kind: 'obligationAnswered',
      owed: 'advice',
      verdict: 'acknowledged',
      ...{ obligationId: adviceId, fence: 1n, responseCode: '00', ...when },
    }
    const tomorrow = { ...profile, days: { today: '2026-11-23', open: ['2026-11-22', '2026-11-23'] } }
    const known = step(approved.transaction, acknowledged, tomorrow)
    expect(accountsOf(known.unit)).toEqual([
      'debit net:knet:2026-11-23:KWD 12500',
      'credit standin:knet:KWD 12500',
    ])
    // The date's books were closed under it.
    const closed = { ...profile, days: { today: '2026-11-22', open: [] } }
    expect(accountsOf(step(approved.transaction, acknowledged, closed).unit)).toContain(
      'debit adjustment:knet:2026-11-22:KWD 12500',
    )
    expect(accountsOf(step(known.transaction, cancelling(0n), tomorrow).unit)).toContain(
      'credit net:knet:2026-11-23:KWD 12500',
    )
    // What was undone before is not the issuer's to answer for.
    const part = step(approved.transaction, cancelling(2_000n), profile)
    expect(accountsOf(part.unit)).toContain('credit standin:knet:KWD 10500')
    expect(accountsOf(step(part.transaction, acknowledged, profile).unit)).toContain(
      'credit standin:knet:KWD 2000',
    )
    const undone = step(approved.transaction, cancelling(0n), profile).transaction
    expect(step(undone, acknowledged, profile).unit.commands).toEqual([])
  })
})
