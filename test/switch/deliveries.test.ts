import { describe, expect, test } from 'vitest'
import type { Connector, DestinationRules, LegOutcome, OutboundLeg } from '../../connectors/connector.ts'
import { seededRandom } from '../../kernel/random.ts'
import { Deliveries } from '../../switch/deliveries.ts'
import type { ClaimedObligation, Journal, Postponement } from '../../switch/journal.ts'
import type { Observer } from '../../switch/observer.ts'
import type { TransactionEvent } from '../../switch/transaction/events.ts'
import type { Transaction } from '../../switch/transaction/transaction.ts'
import { ManualClock } from '../support/manual-clock.ts'

const rules: DestinationRules = {
  reversalMti: '0420',
  timeoutMs: 4_000,
  remainingMinMs: 500,
  acquirerId: '12345678901',
  approvals: ['00'],
  reversalAnswers: { acknowledged: ['00', '25', '94'], retry: ['91', '96'], spoiled: ['30', '63'] },
  retryAfterMs: [2_000, 5_000],
}

const transaction = {
  id: '01890000-0000-7000-8000-000000000001',
  card: { mask: '888888******0001', token: 'tok_a' },
  request: { rrn: '632609000001', processingCode: '000000', amountMinor: 1n, currency: 'KWD' },
} as Transaction

function owed(change: Partial<ClaimedObligation> = {}): ClaimedObligation {
  const leg = {
    id: 'l',
    destination: 'net',
    acquirerId: '1',
    stan: '000777',
    transmittedAt: '1122090001',
    state: 'maybeSent',
  }
  return {
    id: 'o',
    kind: 'reversal',
    cause: 'timeout',
    attempts: 1,
    refusals: 0,
    fence: 1n,
    transaction,
    leg: leg as NonNullable<ClaimedObligation['leg']>,
    ...change,
  }
}

function answered(responseCode: string): LegOutcome {
  return { kind: 'answered', answer: { mti: '0430', responseCode, described: '0430' }, sent: '0420' }
}

/** Of what somebody else claimed in the meantime. */
const overtakenFence = 7n

/** Deliveries over a list of what is due; every delivery ends as it is told, at once. */
function world(due: ClaimedObligation[], outcome: LegOutcome, perSecondMax = 100) {
  const clock = new ManualClock()
  const said: OutboundLeg[] = []
  const named: string[] = []
  const postponed: Postponement[] = []
  const closed: Partial<TransactionEvent & { kind: 'obligationAnswered' }>[] = []
  const alarms: string[] = []
  let stan = 0
  const connector = {
    name: 'net',
    rules: { ...rules, stored: { lanes: 4, perSecondMax } },
    availability: () => 'available',
    identify: () => ({ stan: String(++stan).padStart(6, '0'), transmittedAt: '1122090002' }),
    prepare: (leg: OutboundLeg) => Promise.resolve({ leg, message: Buffer.alloc(0) }),
    send({ leg }: { leg: OutboundLeg }) {
      said.push(leg)
      return Promise.resolve(outcome)
    },
    onAvailable: () => undefined,
  } as unknown as Connector
  const journal = {
    claim: ({ limit }: { limit: number }) => Promise.resolve(due.splice(0, limit)),
    name(claimed: readonly ClaimedObligation[]) {
      const kept = claimed.filter(({ fence }) => fence !== overtakenFence)
      for (const { identity } of kept) named.push(identity!.stan)
      return Promise.resolve(new Set(kept.map(({ id }) => id)))
    },
    postpone(_claimed: ClaimedObligation, postponement: Postponement) {
      postponed.push(postponement)
      return Promise.resolve()
    },
    overdue: () => Promise.resolve([{ destination: 'net', age: '10 min', count: 3 } as const]),
  } as unknown as Journal
  const observer = {
    reversal: () => undefined,
    alarm: (what: string, subject: string) => void alarms.push(`${what}: ${subject}`),
  }
  const deliveries = new Deliveries({
    clock,
    random: seededRandom(1),
    journal,
    hsm: { detokenise: () => Promise.resolve('8888880000000001') },
    connectors: new Map([['net', connector]]),
    shell: {
      obligationAnswered(_transaction, event) {
        closed.push(event)
        return Promise.resolve()
      },
    },
    observer: observer as unknown as Observer,
  })
  /** Lets everything happen that can without time passing. */
  const settle = () => new Promise((resolve) => setTimeout(resolve, 5))
  return { clock, deliveries, said, named, postponed, closed, alarms, settle }
}

describe('what is owed', () => {
  test('keeps its number before it is sent, and a repeat goes out under it', async () => {
    const identity = { stan: '000042', transmittedAt: '1122080000' }
    const { deliveries, named, said, settle } = world(
      [owed(), owed({ attempts: 2, identity })],
      answered('00'),
    )
    deliveries.wake('net')
    await settle()
    expect(named).toEqual(['000001'])
    expect(said.map(({ mti, identity: { stan } }) => `${mti} ${stan}`).sort()).toEqual([
      '0420 000001',
      '0421 000042',
    ])
  })

  test('is not sent by who stood still until another had the lease: it would be a second one to its network', async () => {
    const advice = { mti: '0220', amountMinor: 900n } as const
    const { deliveries, named, said, settle } = world(
      [owed({ id: 'lost', kind: 'advice', advice, fence: overtakenFence }), owed({ id: 'ours' })],
      answered('00'),
    )
    deliveries.wake('net')
    await settle()
    expect(named).toEqual(['000002'])
    expect(said.map(({ mti, identity: { stan } }) => `${mti} ${stan}`)).toEqual(['0420 000002'])
  })

  test('an advice is told as one: its amount, its repeat, nothing of a PIN', async () => {
    const advice = { mti: '0220', amountMinor: 900n, authId: 'S00001' } as const
    const { deliveries, said, settle } = world(
      [owed({ kind: 'advice', advice, attempts: 3 })],
      answered('00'),
    )
    deliveries.wake('net')
    await settle()
    expect(said).toMatchObject([{ mti: '0221', fields: { 4: 900n, 38: 'S00001', 37: '632609000001' } }])
    expect(Object.keys(said[0]!.fields)).not.toContain('52')
  })

  test.each([
    ['00', { verdict: 'acknowledged' }],
    ['25', { verdict: 'acknowledged' }],
    ['12', { verdict: 'parked', responseCode: '12' }],
  ])('F34: that is answered %s is closed as the dialect says', async (code, wanted) => {
    const { deliveries, closed, settle } = world([owed()], answered(code))
    deliveries.wake('net')
    await settle()
    expect(closed).toMatchObject([wanted])
  })

  test('that the destination wants again is tried on the schedule, give or take a fifth', async () => {
    const { deliveries, postponed, settle } = world(
      [owed(), owed({ attempts: 2 }), owed({ attempts: 9 })],
      answered('91'),
    )
    deliveries.wake('net')
    await settle()
    expect(postponed.map(({ kind, cause }) => `${kind} ${cause}`)).toEqual([
      'refused 91',
      'refused 91',
      'refused 91',
    ])
    for (const [index, wait] of [2_000, 5_000, 5_000].entries()) {
      expect(postponed[index]!.delayMs).toBeGreaterThanOrEqual(wait * 0.8)
      expect(postponed[index]!.delayMs).toBeLessThanOrEqual(wait * 1.2)
    }
  })

  test('that was refused twenty times is parked with an alarm; silence never parks', async () => {
    const poison = owed({ refusals: 19, attempts: 20 })
    const refused = world([poison], answered('96'))
    refused.deliveries.wake('net')
    await refused.settle()
    expect(refused.closed).toMatchObject([{ verdict: 'parked', responseCode: '96' }])
    expect(refused.alarms).toEqual(['a reversal was refused and parked: o'])
    const silent = world([poison], { kind: 'maybeSent', reason: 'deadline', sent: '0421' })
    silent.deliveries.wake('net')
    await silent.settle()
    expect([silent.closed, silent.postponed]).toMatchObject([[], [{ kind: 'silent', cause: 'deadline' }]])
  })

  test.each(['30', '63'])(
    'that arrived spoiled (%s) is told again, since the next copy may be sound, and parked when four were not',
    async (code) => {
      const early = world([owed(), owed({ refusals: 2, attempts: 3 })], answered(code))
      early.deliveries.wake('net')
      await early.settle()
      expect([early.closed, early.postponed]).toMatchObject([
        [],
        [
          { kind: 'refused', cause: code },
          { kind: 'refused', cause: code },
        ],
      ])
      const late = world([owed({ refusals: 3, attempts: 4 })], answered(code))
      late.deliveries.wake('net')
      await late.settle()
      expect(late.closed).toMatchObject([{ verdict: 'parked', responseCode: code }])
    },
  )

  test('ends with nothing done or not found where it undoes; what happened is parked, for the network does not have it', async () => {
    const advice = { mti: '0220', amountMinor: 900n } as const
    const told = owed({ kind: 'advice', cause: 'standIn', advice })
    for (const [obligation, code, verdict] of [
      [owed(), '25', 'acknowledged'],
      [told, '25', 'parked'],
      [told, '00', 'acknowledged'],
      // It can't have had what it hears for the first time: that was something else, under the same number.
      [told, '94', 'parked'],
      [owed(), '94', 'parked'],
      [{ ...told, attempts: 2 }, '94', 'acknowledged'],
      [owed({ attempts: 2 }), '94', 'acknowledged'],
    ] as const) {
      const { alarms, closed, deliveries, settle } = world([obligation], answered(code))
      deliveries.wake('net')
      await settle()
      expect([closed, alarms.length]).toMatchObject([
        [{ verdict, responseCode: code }],
        verdict === 'parked' ? 1 : 0,
      ])
    }
  })

  test('that could not leave has had no attempt', async () => {
    const { deliveries, postponed, settle } = world([owed()], { kind: 'notSent', reason: 'congested' })
    deliveries.wake('net')
    await settle()
    expect(postponed).toMatchObject([{ kind: 'unsent', cause: 'congested' }])
  })

  test('F35: is brought at a pace, however much of it there is', async () => {
    const { clock, deliveries, said, settle } = world(
      Array.from({ length: 100 }, () => owed()),
      answered('00'),
      10,
    )
    deliveries.wake('net')
    await settle()
    expect(said.length).toBe(1)
    for (let second = 1; second <= 3; second++) {
      for (let step = 0; step < 10; step++) {
        clock.advance(100)
        await settle()
      }
      expect(said.length).toBeGreaterThanOrEqual(second * 10 - 1)
      expect(said.length).toBeLessThanOrEqual(second * 10 + 1)
    }
  })

  test('for too long is told to people', async () => {
    const { alarms, deliveries } = world([], answered('00'))
    await deliveries.tellOverdue()
    expect(alarms).toEqual(['owed for more than 10 min: 3 to net'])
  })
})
