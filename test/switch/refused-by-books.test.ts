import { expect, test } from 'vitest'
import { seededRandom } from '../../kernel/random.ts'
import type { CommitOutcome, JournalUnit } from '../../switch/journal.ts'
import { Shell } from '../../switch/shell.ts'
import { obligationId } from '../../switch/transaction/owed.ts'
import type { Transaction } from '../../switch/transaction/transaction.ts'
import { after, answered, arrival, intent, request } from './transactions.ts'

/** A shell over a journal that answers as a test says, and keeps what it took. */
function world(outcomeOf: (unit: JournalUnit) => CommitOutcome, stored?: Transaction) {
  const taken: JournalUnit[] = []
  const tried: JournalUnit[] = []
  const alarms: string[] = []
  const nothing = (): void => undefined
  const refuse = (): never => {
    throw new Error('nobody asks for this here')
  }
  const observer = {
    ...{ moved: nothing, answered: nothing, duplicate: nothing, late: nothing, commitUnknown: nothing },
    ...{ reversal: nothing, cutover: nothing, refused: nothing },
    alarm: (what: string) => void alarms.push(what),
  }
  const clock = {
    ...{ wallMs: () => 1_000, monotonicMs: () => 1_000 },
    after: (_ms: number, run: () => void) => {
      queueMicrotask(run)
      return { cancel: nothing }
    },
  }
  const shell = new Shell({
    ...{ clock, observer, node: 'node-1', random: seededRandom(1), connectors: new Map(), wake: nothing },
    hsm: { translatePin: refuse, movePin: refuse },
    pinKeyOf: refuse,
    openAccounts: () => Promise.resolve(),
    days: {
      today: () => '2026-11-22',
      postingDays: () => ({ today: '2026-11-22', open: ['2026-11-22'] }),
      isClosed: () => Promise.resolve(false),
    },
    rules: { current: { sources: new Map(), destinations: new Map() } as never },
    journal: {
      available: true,
      sourceAct: () => Promise.resolve(undefined),
      transactionByKey: () => Promise.resolve(stored),
      commit: (unit: JournalUnit) => {
        tried.push(unit)
        const outcome = outcomeOf(unit)
        if (outcome.kind === 'committed') taken.push(unit)
        return Promise.resolve(outcome)
      },
    } as never,
  })
  return { shell, taken, tried, alarms }
}

const adviceId = obligationId(`advice:${arrival.id}:stand-in`)
const acknowledged = {
  kind: 'obligationAnswered',
  owed: 'advice',
  verdict: 'acknowledged',
  ...{ obligationId: adviceId, fence: 1n, responseCode: '00' },
} as const
const stoodIn: Transaction = { ...intent(), state: 'approved', standIn: '888888 KWD', advice: 'owed' }

test.each(['closed', 'books'] as const)(
  'an acknowledgement whose entries the books will never take (%s) is parked and flagged, and not told again for ever',
  async (reason) => {
    const { alarms, shell, taken, tried } = world(({ commands }) =>
      commands.length > 0 ? { kind: 'refused', reason } : { kind: 'committed' },
    )
    await shell.obligationAnswered(stoodIn, acknowledged)
    expect(taken).toMatchObject([
      {
        transaction: { state: 'approved', advice: 'parked', flag: 'refusedByBooks' },
        obligation: { kind: 'parked', id: adviceId, fence: 1n, responseCode: '00' },
        event: { cause: 'advice', detail: { verdict: 'refusedByBooks' } },
      },
    ])
    expect(tried.length).toBeLessThanOrEqual(6)
    expect(alarms).toEqual(['the books refuse the entries of what was acknowledged: it is parked'])
  },
)

test('a source whose reversal the books refuse hears that nothing was done, and may ask again', async () => {
  const approved = after(intent(), answered('00')).transaction
  const { alarms, shell, taken } = world(() => ({ kind: 'refused', reason: 'books' }), approved)
  const heard: string[] = []
  const waiter = ({ responseCode }: { readonly responseCode: string }): Promise<'written'> => {
    heard.push(responseCode)
    return Promise.resolve('written')
  }
  await shell.reversal(
    {
      ...{
        kind: 'reversal',
        source: { name: 'acq1' } as never,
        sourceKey: 'r',
        fingerprint: 'r',
        described: '0400',
      },
      ...{
        originalKey: arrival.sourceKey,
        amountMinor: request.amountMinor,
        actualMinor: 0n,
        rrn: request.rrn,
      },
      ...{ isAdvice: false, isVoid: false },
    },
    waiter,
  )
  expect([heard, taken]).toEqual([['96'], []])
  expect(alarms).toEqual(['a commit was refused by the books'])
})
