import { describe, expect, test } from 'vitest'
import { feesOf1993 } from '../../connectors/fees.ts'
import { issuerHostGeneric } from '../../connectors/issuer-host/dialect.ts'
import { compile } from '../../iso8583/iso8583.ts'
import { edition1993 } from '../../connectors/edition-1993.ts'
import type { SaidFee } from '../../connectors/connector.ts'
import type { Command } from '../../ledger/ledger.ts'
import { owedLeg, requestLeg } from '../../switch/outbound.ts'
import { netOf, reconciliationLeg, type Totals } from '../../switch/reconciliation.ts'
import { step } from '../../switch/transaction/step.ts'
import type { Transaction } from '../../switch/transaction/transaction.ts'
import { answered, cancelled, intent, leg, lost, profile, request, when } from './transactions.ts'

const processing: SaidFee = {
  kind: 'processing',
  form: 'transaction',
  sign: 'D',
  amountMinor: 50n,
  currencyNumeric: '414',
}
const settled = { ...processing, form: 'settlement', amountMinor: 16n, currencyNumeric: '840' } as const
const charging = { ...request, feeMinor: 250n }

/** `scheme debit 50 KWD`, without the date and the network. */
function linesOf(commands: readonly Command[] = []): string[] {
  return commands.flatMap((command) =>
    'legs' in command
      ? command.legs.map(
          ({ account, side, amountMinor, currency }) =>
            `${account.split(':')[0]} ${side} ${amountMinor} ${currency}`,
        )
      : [command.kind],
  )
}

function approvedWith(fees: unknown, extra: object = {}): ReturnType<typeof step> {
  return step(intent(), answered('00', { fees, ...extra }), profile)
}

const reversing = { ...profile, fees: { reversed: true } }
const beside = { ...profile, fees: { inAmount: false }, takesPartialApprovals: true }

describe('what a network charges for a transaction', () => {
  test('is an expense against what it owes us, as a line of its own beside those of the amount', () => {
    const { transaction, unit } = approvedWith([processing])
    expect(linesOf(unit.commands)).toEqual([
      'net debit 12500 KWD',
      'merchant credit 12500 KWD',
      'scheme debit 50 KWD',
      'net credit 50 KWD',
    ])
    expect(unit.commands[1]).toMatchObject({
      legs: [{ account: 'scheme:knet:KWD' }, { account: 'net:knet:2026-11-22:KWD' }],
    })
    expect(transaction.leg?.fees).toEqual([
      { kind: 'processing', sign: 'D', amountMinor: 50n, currency: 'KWD' },
    ])
  })

  test('is the other way round where it pays us, and a fee that nobody asked for is its own', () => {
    const paid = { ...processing, kind: 'transaction', sign: 'C' }
    expect(linesOf(approvedWith([paid]).unit.commands).slice(2)).toEqual([
      'net debit 50 KWD',
      'scheme credit 50 KWD',
    ])
  })

  test('counts once where it is said in both currencies: what is settled', () => {
    const { unit } = approvedWith([processing, settled])
    expect(linesOf(unit.commands).slice(2)).toEqual(['scheme debit 16 USD', 'net credit 16 USD'])
  })

  test('counts as often as it is charged', () => {
    const { unit } = approvedWith([processing, settled, { ...settled, amountMinor: 4n }])
    expect(linesOf(unit.commands).slice(2)).toEqual([
      'scheme debit 16 USD',
      'scheme debit 4 USD',
      'net credit 16 USD',
      'net credit 4 USD',
    ])
  })

  test('is flagged and not booked where its currency is not known, or it is no fee at all; the approval stands', () => {
    const { currencyNumeric: _, ...nowhere } = settled
    for (const fees of [[nowhere], [{ ...settled, currencyNumeric: '000' }], 'unreadable']) {
      const { transaction, unit } = approvedWith(fees)
      expect(transaction).toMatchObject({ state: 'approved', flag: 'feesUnread' })
      expect(unit.commands).toHaveLength(1)
    }
  })

  test('is nothing yet of what is only set aside, and nothing of what was declined', () => {
    const held = step(
      intent({ ...request, kind: 'authorization', mti: '0100' }),
      answered('00', { fees: [processing] }),
      profile,
    )
    expect(held.unit.commands.map(({ kind }) => kind)).toEqual(['authorize'])
    expect(step(intent(), answered('51', { fees: [processing] }), profile).unit.commands).toEqual([])
  })

  test('is charged for a question, too', () => {
    const asking = intent({ ...request, kind: 'balance', amountMinor: 0n })
    const { unit } = step(asking, answered('00', { fees: [processing] }), profile)
    expect(linesOf(unit.commands)).toEqual(['scheme debit 50 KWD', 'net credit 50 KWD'])
  })

  test('goes back with the whole of it, where the network says so, and nowhere else', () => {
    const { transaction } = approvedWith([processing])
    expect(linesOf(step(transaction, cancelled, profile).unit.commands)).toEqual(['reverse'])
    const back = step(transaction, cancelled, reversing)
    expect(linesOf(back.unit.commands)).toEqual(['reverse', 'net debit 50 KWD', 'scheme credit 50 KWD'])
    const undelivered = { kind: 'delivery', outcome: 'failed', ...when } as const
    expect(linesOf(step(transaction, undelivered, reversing).unit.commands)).toEqual([
      'reverse',
      'net debit 50 KWD',
      'scheme credit 50 KWD',
    ])
  })

  test('stays where a part is undone, and goes back with what was left', () => {
    const part = { ...cancelled, reversal: { ...cancelled.reversal, actualMinor: 5_000n } }
    const reduced = step(approvedWith([processing]).transaction, part, reversing)
    expect(linesOf(reduced.unit.commands)).toEqual(['merchant debit 7500 KWD', 'net credit 7500 KWD'])
    const whole = step(reduced.transaction, cancelled, reversing)
    expect(linesOf(whole.unit.commands)).toContain('scheme credit 50 KWD')
  })

  test('is owed for what its source undid before the answer came, unless it goes back', () => {
    const undone = step(intent(), cancelled, profile).transaction
    const answer = answered('00', { fees: [processing] })
    expect(linesOf(step(undone, answer, profile).unit.commands)).toEqual([
      'scheme debit 50 KWD',
      'net credit 50 KWD',
    ])
    expect(step(undone, answer, reversing).unit.commands).toEqual([])
  })
})

describe('what a terminal charges', () => {
  const confirmed: SaidFee = { ...processing, kind: 'transaction', amountMinor: 250n }

  test('is confirmed by its network, and booked once', () => {
    const { unit } = step(intent(charging), answered('00', { fees: [confirmed] }), profile)
    expect(linesOf(unit.commands)).toEqual([
      'net debit 12500 KWD',
      'merchant credit 12250 KWD',
      'fees credit 250 KWD',
    ])
  })

  test('is undone with all of it where the network charges its cardholder another', () => {
    for (const other of [{ amountMinor: 251n }, { sign: 'C' }, { currencyNumeric: '840' }]) {
      const fees = [{ ...confirmed, ...other }]
      const { transaction, unit } = step(intent(charging), answered('00', { fees }), profile)
      expect(transaction).toMatchObject({ state: 'unknown', answer: { responseCode: '96' } })
      expect(unit.owe[0]?.cause).toBe('wrongAmount')
    }
  })

  test('goes beside DE4 to a network that wants it so, and what that approves is compared in the same way', () => {
    const said = requestLeg({
      ...{ request: charging, leg, secrets: { pan: '8888880000000001' }, pinBlock: undefined },
      fees: { inAmount: false },
    })
    expect([said.fields[4], said.fields[28]]).toEqual([12_250n, { sign: 'D', amount: 250n }])
    const asked = intent(charging)
    expect(step(asked, answered('00', { amountMinor: 12_500n }), beside).transaction.state).toBe('unknown')
    const { transaction, unit } = step(asked, answered('00', { amountMinor: 12_250n }), beside)
    expect(transaction.state).toBe('approved')
    expect(linesOf(unit.commands)).toContain('net debit 12500 KWD')
  })

  test('is charged in full for a part, whether or not DE4 has it', () => {
    const { transaction, unit } = step(intent(charging), answered('10', { amountMinor: 6_000n }), beside)
    expect(transaction).toMatchObject({ approvedMinor: 6_250n, answer: { amountMinor: 6_250n } })
    expect(linesOf(unit.commands)).toEqual([
      'net debit 6250 KWD',
      'merchant credit 6000 KWD',
      'fees credit 250 KWD',
    ])
  })

  test('is settled beside the amount: as the network says, or by its rate; without either nobody knows it', () => {
    // KWD 12.250 at 3.2653 is USD 40.00, and 0.250 is USD 0.82.
    const settlement = { amountMinor: 4_000n, currencyNumeric: '840', rate: '40032653' }
    const end = (extra: object): Transaction =>
      step(intent(charging), answered('00', { amountMinor: 12_250n, ...extra }), beside).transaction
    expect(end({ settlement }).leg?.settlement).toMatchObject({ amountMinor: 4_082n, feeMinor: 82n })
    const fees = [{ ...settled, kind: 'transaction', amountMinor: 80n }]
    expect(end({ settlement, fees }).leg?.settlement).toMatchObject({ amountMinor: 4_080n, feeMinor: 80n })
    const { rate: _, ...plain } = settlement
    expect(end({ settlement: plain })).toMatchObject({ state: 'unknown', answer: { responseCode: '96' } })
  })

  test('is said again where a part is undone, beside what remains or in it', () => {
    const { transaction } = step(intent(charging), answered('00'), profile)
    const claimed = { kind: 'reversal', cause: 'partialReversal', attempts: 1, actualMinor: 5_000n }
    const named = {
      ...claimed,
      transaction,
      leg: transaction.leg,
      identity: { stan: '1', transmittedAt: '' },
    }
    const said = (inAmount: boolean): readonly unknown[] => {
      const rules = { reversalMti: '0420', fees: { inAmount } } as const
      const { 4: amount, 28: fee, 95: left } = owedLeg(named as never, rules, '8').fields
      return [amount, fee, left]
    }
    const fee = { sign: 'D', amount: 250n }
    const left = { transactionFee: 250n, transactionFeeSign: 'D' }
    expect(said(true)).toEqual([12_500n, fee, expect.objectContaining({ ...left, transaction: 5_000n })])
    expect(said(false)).toEqual([12_250n, fee, expect.objectContaining({ ...left, transaction: 4_750n })])
  })
})

describe('fees in the words of 1993', () => {
  const fields = { 4: 12_500n, 28: { sign: 'D', amount: 250n }, 49: '414' }
  const set = '00414D0000025000000000D00000000000'

  test('stand in DE46, and where a part is undone DE66 says what they were', () => {
    const asked = edition1993.say({ mti: '0200', fields }, 0).fields
    expect([asked[28], asked[46], asked[66]]).toEqual([undefined, set, undefined])
    const left = { transaction: 100n, transactionFee: 100n, transactionFeeSign: 'D' }
    const undone = edition1993.say({ mti: '0420', fields: { ...fields, 95: left } }, 0).fields
    expect([undone[4], undone[46], undone[66]]).toEqual([100n, set.replace('250', '100'), set])
  })

  test('are read of an answer in both its currencies, and are unreadable in any other form', () => {
    const codec = compile(issuerHostGeneric)
    const read = (sets: string): unknown =>
      feesOf1993(codec.decode(codec.encode({ mti: '1210', fields: { 3: '000000', 46: sets } })))
    const own = { form: 'transaction', currencyNumeric: '414' }
    expect(read(`${set}01414C0000005063250000C00000016840`)).toEqual([
      { ...own, kind: 'transaction', sign: 'D', amountMinor: 250n },
      { ...own, kind: 'processing', sign: 'C', amountMinor: 50n },
      { kind: 'processing', form: 'settlement', sign: 'C', amountMinor: 16n, currencyNumeric: '840' },
    ])
    for (const sets of [set.slice(1), set.replace('D', 'X'), `${set}0`]) expect(read(sets)).toBe('unreadable')
  })

  test('of totals stand in DE109 and DE110, one set for each type', () => {
    const totals = { 82: 1n, 83: 2n, 84: 3n, 85: 4n }
    const said = edition1993.say({ mti: '0500', fields: totals }, 0).fields
    expect([said[109], said[110]]).toEqual(['0000000000000201000000000001', '0000000000000401000000000003'])
    expect([82, 83, 84, 85].filter((de) => de in said)).toEqual([])
  })
})

describe('the totals of a date', () => {
  const totals = {
    ...{ creditMinor: 0n, creditReversalMinor: 0n, debitMinor: 10_000n, debitReversalMinor: 0n },
    ...{ creditProcessingFeeMinor: 5n, debitProcessingFeeMinor: 25n },
    ...{ creditTransactionFeeMinor: 10n, debitTransactionFeeMinor: 260n },
  } as Totals

  test('come to what is left of the amounts and of what the network charges; of what terminals charge where DE4 is without it', () => {
    expect(netOf(totals)).toBe(-9_980n)
    expect(netOf(totals, { inAmount: false })).toBe(-10_230n)
  })

  test('are told without fees where they were counted before there were any', () => {
    const { debitMinor, debitReversalMinor, creditMinor, creditReversalMinor } = totals
    const old = { debitMinor, debitReversalMinor, creditMinor, creditReversalMinor } as Totals
    const reconciliation = { date: '2026-11-22', currency: 'KWD', totals: old } as const
    const elements = { debitMinor: 88, debitProcessingFeeMinor: 84 }
    const { fields } = reconciliationLeg(
      { attempts: 1, identity: { stan: '1', transmittedAt: '' }, reconciliation },
      { mti: '0500', elements },
    )
    expect([fields[88], 84 in fields, fields[97]]).toEqual([10_000n, false, { sign: 'D', amount: 10_000n }])
  })
})

test('an exchange that nobody answered has no fee that is known', () => {
  expect(step(intent(), lost, profile).unit.commands).toEqual([])
})
