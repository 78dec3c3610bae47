import { expect, test } from 'vitest'
import type { Connector, LegOutcome } from '../../connectors/connector.ts'
import type { InboundRequest } from '../../switch/arrivals.ts'
import type { CommitOutcome, JournalUnit } from '../../switch/journal.ts'
import type { Answer } from '../../switch/transaction/transaction.ts'
import type { Bug } from './bugs/bug.ts'
import { preauthorization } from './kinds/preauthorization.ts'
import { type Stage, stage } from './stage.ts'
import type { Told } from './terminals.ts'

test('F08: a request whose first commit is refused is declined, and no network hears of it', async () => {
  const scene = await stage({ around: commits('request', refused) })
  const told = scene.buy()
  await scene.pass(1_000)
  expect(codes(told)).toEqual(['91'])
  expect(scene.networks[0]!.issuer.originalsOf.size).toBe(0)
  expect(scene.violations()).toEqual([])
})

test('F13: a request of whose first commit nothing is heard is sent only when the journal has it after all', async () => {
  for (const isMade of [false, true]) {
    const scene = await stage({ around: commits('request', unheard(isMade), 1) })
    const told = scene.buy()
    await scene.pass(3_900)
    expect(scene.networks[0]!.issuer.originalsOf.size).toBe(0)
    await scene.pass(5_000)
    expect(scene.networks[0]!.issuer.originalsOf.size).toBe(isMade ? 1 : 0)
    expect(codes(told)).toEqual([isMade ? '00' : '91'])
    expect(scene.violations()).toEqual([])
  }
})

test('F13: a first commit that shows up after its request was refused ends otherwise, and repeats hear the refusal', async () => {
  let asked: InboundRequest | undefined
  const scene = await stage({
    around: {
      ...commits('request', unheardUntil(6_000), 1),
      door: (door) => ({ ...door, request: (one, waiter) => door.request((asked ??= one), waiter) }),
    },
  })
  // By these rules silence is told as another code than a refusal for want of a record.
  const [node] = scene.nodes
  node!.reload(2)
  const told = scene.buy()
  await scene.pass(20_000)
  expect(codes(told)).toEqual(['91'])
  const [only] = scene.database.transactions.values()
  expect(only!.transaction).toMatchObject({ state: 'unknown', answer: { responseCode: '68' } })
  const heard: string[] = []
  const hear = ({ responseCode }: Answer): Promise<'written'> => {
    heard.push(responseCode)
    return Promise.resolve('written')
  }
  void node!.door!.request({ ...asked!, repeat: true }, hear)
  await scene.pass(1_000)
  expect(heard).toEqual(['91'])
  await scene.pass(60_000)
  expect(scene.violations()).toEqual([])
})

test('F13: a first commit that takes longer than the source waits lets nothing out', async () => {
  const scene = await stage({ around: commits('request', late(9_000)) })
  const told = scene.buy()
  await scene.pass(100_000)
  expect(scene.booksOf(told)).toEqual({ ledger: 0n, issuer: 0n })
  expect(scene.violations()).toEqual([])
})

test('F25: an approval that the books will not have is declined and reversed', async () => {
  const around = commits('legEnded', () => Promise.resolve({ kind: 'refused', reason: 'books' }), 1)
  const scene = await stage({ around })
  const told = scene.buy()
  await scene.pass(20_000)
  expect(codes(told)).toEqual(['96'])
  expect(scene.booksOf(told)).toEqual({ ledger: 0n, issuer: 0n })
  expect(scene.violations()).toEqual([])
})

test('F25: when nobody knows whether an approval was committed nothing is said, and the books decide', async () => {
  for (const isMade of [false, true]) {
    const scene = await stage({ around: commits('legEnded', unheard(isMade), 1) })
    const told = scene.buy()
    await scene.pass(7_000)
    expect(codes(told)).toEqual([])
    await scene.pass(100_000)
    const { ledger, issuer } = scene.booksOf(told)
    expect(ledger).toBe(issuer)
    expect(scene.violations()).toEqual([])
  }
})

test('a completion during whose commit the time of what it takes ends is looked at again, and taken as late', async () => {
  const scene = await stage({ around: commits('complete', late(30_000)) })
  for (let index = 0; index < 10; index++) scene.terminals.buy(index, preauthorization)
  await scene.pass(300_000)
  const firstOnes = scene.terminals.book.flatMap(({ completions }) => completions.slice(0, 1))
  expect(new Set(firstOnes.map(({ answer }) => answer))).toEqual(new Set(['00']))
  const flags = [...scene.database.transactions.values()].map(({ transaction }) => transaction.flag)
  expect(flags).toContain('afterExpiry')
  expect(scene.violations()).toEqual([])
})

test('F26: a crash between an approval and its commit leaves a reversal for the next life', async () => {
  const { scene, told } = await crashedAround('legEnded', 'before')
  expect(causes(scene)).toContain('recovered')
  expect(scene.booksOf(told)).toEqual({ ledger: 0n, issuer: 0n })
  expect(scene.violations()).toEqual([])
})

test('F27: a crash between the commit of an approval and its answer leaves it standing, for a repeat or a reversal to find', async () => {
  const { scene, told } = await crashedAround('legEnded', 'after')
  expect(causes(scene)).not.toContain('recovered')
  expect(scene.database.events.some(({ kind }) => kind === 'delivery')).toBe(true)
  const [only] = scene.database.transactions.values()
  expect(only!.transaction.delivery).toBe('unproven')
  expect(codes(told).includes('00') || told.reversalAcknowledged).toBe(true)
  expect(scene.violations()).toEqual([])
})

test('F28: a crash between an answer and the evidence of it leaves the approval standing', async () => {
  const { scene, told } = await crashedAround('delivery', 'before')
  expect(codes(told)).toEqual(['00'])
  expect(scene.booksOf(told).ledger).toBe(told.amountMinor)
  expect(scene.violations()).toEqual([])
})

test('F30: an approval that was given to the line and lost on it stands until its terminal says otherwise', async () => {
  const scene = await stage({
    around: {
      door: (door) => ({ ...door, request: (sent) => door.request(sent, () => Promise.resolve('written')) }),
    },
  })
  const told = scene.buy()
  await scene.pass(5_000)
  expect(scene.booksOf(told).ledger).toBe(told.amountMinor)
  await scene.pass(100_000)
  expect(told.reversalAcknowledged).toBe(true)
  expect(scene.booksOf(told)).toEqual({ ledger: 0n, issuer: 0n })
})

test('F35, F36: what is owed to a network that is away is delivered when it is back, once, however often it was said', async () => {
  const scene = await stage()
  const told = scene.buy()
  // The request is under way, and its answer will not come through.
  await scene.pass(30)
  scene.networks[0]!.goAway(40_000)
  await scene.pass(60_000)
  const [owed] = scene.database.obligations.values()
  expect(owed).toMatchObject({ state: 'acknowledged' })
  expect(scene.booksOf(told)).toEqual({ ledger: 0n, issuer: 0n })
  expect(scene.violations()).toEqual([])
})

test('F44: what a dead node left open is taken up by another, after its time is over and without the first coming back', async () => {
  const scene = await stage({ size: { nodes: 2 }, around: neverAnswered })
  const told = scene.buy()
  await scene.pass(500)
  for (const node of scene.nodes.filter((one) => one === scene.nodes[told.line])) node.crash()
  const [before] = scene.database.transactions.values()
  expect(before!.transaction.state).toBe('intent')
  await scene.pass(60_000)
  const [after] = scene.database.transactions.values()
  expect(after!.transaction.state).toBe('unknown')
  expect(scene.booksOf(told)).toEqual({ ledger: 0n, issuer: 0n })
})

test('F45: while the database is away a new request is refused fast and nothing is sent for it', async () => {
  const scene = await stage()
  scene.database.goAway(20_000)
  await scene.pass(2_000)
  const told = scene.buy()
  await scene.pass(1_000)
  expect(codes(told)).toEqual(['91'])
  expect(scene.networks[0]!.issuer.originalsOf.size).toBe(0)
  await scene.pass(60_000)
  expect(scene.violations()).toEqual([])
})

test('F47: a wall clock that jumps by an hour either way moves no deadline and doubles nothing', async () => {
  for (const byMs of [3_600_000, -3_600_000]) {
    const scene = await stage({ around: neverAnswered })
    const told = scene.buy()
    await scene.pass(1_000)
    scene.nodes[0]!.turnClock(byMs)
    await scene.pass(2_000)
    expect(codes(told)).toEqual([])
    await scene.pass(3_000)
    expect(codes(told)).toEqual(['91'])
  }
})

test('F48: what waited in the sockets of a node that stood still is not begun', async () => {
  const scene = await stage()
  scene.nodes[0]!.freeze(15_000)
  const told = scene.buy()
  await scene.pass(15_500)
  expect(scene.networks[0]!.issuer.originalsOf.size).toBe(0)
  await scene.pass(60_000)
  expect(scene.booksOf(told).ledger).toBe(scene.booksOf(told).issuer)
  expect(scene.violations()).toEqual([])
})

test('F48: an answer that came while its node stood still past the deadline is late, and never posted', async () => {
  const scene = await stage()
  const told = scene.buy()
  await scene.pass(25)
  scene.nodes[0]!.freeze(15_000)
  await scene.pass(90_000)
  const { ledger, issuer } = scene.booksOf(told)
  expect(ledger).toBe(issuer)
  expect(scene.violations()).toEqual([])
})

test('F49: while the disk is nearly full nothing new is taken in, and what was begun is ended and undone', async () => {
  let isKept = true
  const scene = await stage({ around: { takesNew: () => isKept } })
  const before = scene.buy()
  await scene.pass(30)
  isKept = false
  const refusedOne = scene.buy()
  await scene.pass(1_000)
  // What was under way has its outcome; of what is new no row was written.
  expect([codes(before), codes(refusedOne)]).toEqual([['00'], ['91']])
  expect(scene.database.transactions.size).toBe(1)
  expect(scene.networks[0]!.issuer.originalsOf.size).toBe(1)
  scene.terminals.reverse(before)
  await scene.pass(20_000)
  expect(before.reversalAcknowledged).toBe(true)
  expect(scene.booksOf(before)).toEqual({ ledger: 0n, issuer: 0n })
  isKept = true
  const after = scene.buy()
  await scene.pass(1_000)
  expect(codes(after)).toEqual(['00'])
  expect(scene.violations()).toEqual([])
})

test('F50: three times the load there is room for is refused at once, held in no memory, and over when it is over', async () => {
  // So many commits a tenth of a second, as a writer whose queue is full would have it.
  const room = { left: 0 }
  const scene = await stage({
    around: commits('request', (commit) => (room.left-- > 0 ? commit() : refused())),
  })
  const tick = (): void => {
    room.left = 10
    scene.world.afterUnnoticed(100, tick)
  }
  tick()
  const asked: Told[] = []
  let mostInFlight = 0
  for (let tenth = 0; tenth < 50; tenth++) {
    for (let one = 0; one < 30; one++) asked.push(scene.buy())
    await scene.pass(100)
    mostInFlight = Math.max(mostInFlight, scene.nodes[0]!.inFlight)
  }
  await scene.pass(200)
  const answers = asked.map((told) => codes(told)[0])
  expect(new Set(answers)).toEqual(new Set(['00', '91']))
  expect(answers.filter((code) => code === '00')).toHaveLength(500)
  // No more is held than what there is room for at a time, and soon nothing.
  expect(mostInFlight).toBeLessThanOrEqual(20)
  expect(scene.nodes[0]!.inFlight).toBe(0)
  const after = Array.from({ length: 10 }, () => scene.buy())
  await scene.pass(500)
  expect(after.map(codes)).toEqual(after.map(() => ['00']))
  await scene.pass(30_000)
  expect(scene.violations()).toEqual([])
})

test('F37: an advice that an issuer refuses leaves the approval and the exposure as they are, for people to see', async () => {
  const around: Bug = {
    connector: (connector): Connector => ({
      ...connector,
      availability: () => 'available',
      send: (prepared, deadline) =>
        prepared.leg.mti === '0200'
          ? Promise.resolve<LegOutcome>({ kind: 'notSent', reason: 'offline' })
          : connector.send(prepared, deadline).then((outcome) => refusedAdvice(outcome)),
    }),
  }
  const scene = await stage({ around, standIn: true })
  // The second has no PIN, so that somebody may stand in for its issuer.
  const [, told] = [scene.buy(), scene.buy()]
  await scene.pass(20_000)
  const [stored] = [...scene.database.transactions.values()].filter(
    ({ transaction }) => transaction.sourceKey === told.sourceKey,
  )
  expect(stored!.transaction).toMatchObject({ state: 'approved', advice: 'parked' })
  expect([...scene.database.obligations.values()]).toMatchObject([{ kind: 'advice', state: 'parked' }])
  expect(scene.database.exposures.leftOf(stored!.transaction.id)).toBe(told.amountMinor)
})

function refusedAdvice(outcome: LegOutcome): LegOutcome {
  return outcome.kind === 'answered'
    ? { ...outcome, answer: { ...outcome.answer, responseCode: '12' } }
    : outcome
}

/** Of the events of this kind, the first so many commits go another way. */
function commits(
  kind: string,
  otherwise: (commit: () => Promise<CommitOutcome>, clock: Ticking) => Promise<CommitOutcome>,
  times = Infinity,
): Bug {
  let left = times
  return {
    journal: (journal, clock) => ({
      ...journal,
      get available() {
        return journal.available
      },
      commit: (unit: JournalUnit) =>
        unit.event.kind === kind && left-- > 0
          ? otherwise(() => journal.commit(unit), clock)
          : journal.commit(unit),
    }),
  }
}

interface Ticking {
  after(delayMs: number, run: () => void): unknown
}

const refused = (): Promise<CommitOutcome> => Promise.resolve({ kind: 'refused', reason: 'overloaded' })

function unheard(isMade: boolean) {
  return async (commit: () => Promise<CommitOutcome>, clock: Ticking): Promise<CommitOutcome> => {
    if (isMade) await commit()
    return new Promise((resolve) => clock.after(4_000, () => resolve({ kind: 'unknown' })))
  }
}

/** Nothing is heard of it, and it is made when nobody waits for it any more. */
function unheardUntil(ms: number) {
  return (commit: () => Promise<CommitOutcome>, clock: Ticking): Promise<CommitOutcome> => {
    clock.after(ms, () => void commit())
    return unheard(false)(commit, clock)
  }
}

function late(ms: number) {
  return async (commit: () => Promise<CommitOutcome>, clock: Ticking): Promise<CommitOutcome> => {
    await new Promise<void>((resolve) => clock.after(ms, resolve))
    return commit()
  }
}

/** A network that takes everything and says nothing, until the deadline. */
const neverAnswered: Bug = {
  connector: (connector, clock): Connector => ({
    ...connector,
    send: (prepared, deadline) =>
      prepared.leg.mti.startsWith('04')
        ? connector.send(prepared, deadline)
        : new Promise<LegOutcome>((resolve) => {
            const end = (): void => resolve({ kind: 'maybeSent', reason: 'deadline', sent: prepared.leg.mti })
            clock.after(deadline - clock.monotonicMs(), end)
          }),
  }),
}

/** One purchase, during which the node dies around one commit; three seconds later it is back. */
async function crashedAround(kind: string, when: 'before' | 'after'): Promise<{ scene: Stage; told: Told }> {
  const die = (): Promise<CommitOutcome> => {
    scene.nodes[0]!.crash()
    scene.world.after(3_000, () => scene.nodes[0]!.startIfDown())
    return new Promise(() => undefined)
  }
  const around = commits(
    kind,
    async (commit) => {
      if (when === 'after') await commit()
      return die()
    },
    1,
  )
  const scene = await stage({ around })
  const told = scene.buy()
  await scene.pass(100_000)
  return { scene, told }
}

function codes({ answers }: Told): string[] {
  return answers.map(({ responseCode }) => responseCode)
}

function causes({ database }: Stage): string[] {
  return database.events.map(({ kind }) => kind)
}
