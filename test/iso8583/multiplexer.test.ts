import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Anomaly,
  compile,
  type ExchangeOutcome,
  iso87Bcd,
  type Link,
  type Message,
  Multiplexer,
} from '../../iso8583/iso8583.ts'
import { ManualClock } from '../support/manual-clock.ts'

const codec = compile(iso87Bcd)
const pan = '9999990000000014'

/** A link without a wire: what is sent is kept, and how sending ends is the test's choice. */
class PaperLink implements Link {
  readonly quietMs = 0
  readonly id: string
  readonly peer = 'paper:1'
  open = true
  outcome: 'written' | 'notSent' | 'failed' = 'written'
  readonly sent: Message[] = []

  constructor(id: string) {
    this.id = id
  }

  send(body: Uint8Array): Promise<'written' | 'notSent' | 'failed'> {
    this.sent.push(codec.decode(body))
    return Promise.resolve(this.outcome)
  }

  close(): void {
    this.open = false
  }
}

interface Purchase {
  readonly stan: string
  readonly mti?: string
  readonly terminal?: string
  readonly processing?: string
}

const fields = ({ stan, terminal = 'TERM0001', processing = '000000' }: Purchase) => ({
  2: pan,
  3: processing,
  4: 1_500n,
  7: '0115093000',
  11: stan,
  32: '41400001',
  37: '601509123456',
  41: terminal,
  49: '414',
})

const request = (purchase: Purchase): Buffer =>
  codec.encode({ mti: purchase.mti ?? '0200', fields: fields(purchase) })

interface Answer extends Purchase {
  readonly responseCode?: string | null
  readonly card?: string
}

const answer = ({ mti = '0210', responseCode = '00', card = pan, ...purchase }: Answer): Buffer =>
  codec.encode({
    mti,
    fields: { ...fields(purchase), 2: card, ...(responseCode !== null && { 39: responseCode }) },
  })

type Seal = 'good' | 'bad' | 'unknown'

function world({ tombstonesMax = 1_000, lateMs = 60_000 } = {}) {
  const clock = new ManualClock()
  const anomalies: Anomaly[] = []
  const late: [string, string | undefined][] = []
  const requests: Message[] = []
  const seal: { now: Seal; hold: Promise<null> | undefined } = { now: 'good', hold: undefined }
  const multiplexer = new Multiplexer({
    codec,
    clock,
    correlation: { key: [7, 11, 32, 37, 41], networkManagementKey: [7, 11], echoCheck: [2, 3] },
    limits: { lateMs, tombstonesMax },
    checkSeal: async () => {
      await seal.hold
      if (seal.now === 'unknown') throw new Error('HSM away')
      return seal.now === 'good'
    },
    events: {
      onLate: ({ stan }, message) => late.push([stan, message.text(39)]),
      onAnomaly: (anomaly) => anomalies.push(anomaly),
    },
  })
  const connect = (id: string) => {
    const link = new PaperLink(id)
    const handlers = multiplexer.attach(link, (message) => requests.push(message))
    return {
      link,
      deliver: async (...bodies: Buffer[]) => {
        for (const body of bodies) handlers.onMessage(body)
        await clock.pass(0)
        await new Promise((resolve) => setImmediate(resolve))
      },
      lose: () => {
        link.open = false
        handlers.onClose({ kind: 'ended' })
      },
    }
  }
  const first = connect('first')
  const send = (purchase: Purchase, timeoutMs = 1_000, link: Link = first.link) => {
    const exchange: { outcome: ExchangeOutcome | undefined; settled: Promise<ExchangeOutcome> } = {
      outcome: undefined,
      settled: multiplexer.exchange(link, request(purchase), clock.monotonicMs() + timeoutMs),
    }
    void exchange.settled.then((outcome) => {
      exchange.outcome = outcome
    })
    return exchange
  }
  const kinds = () => anomalies.map(({ kind }) => kind)
  return { clock, multiplexer, anomalies, kinds, late, requests, seal, connect, ...first, send }
}

const maybeSent = (reason: string) => ({ kind: 'maybeSent', reason })

describe('an answer', () => {
  test('F53: goes to its request, in whatever order the answers come', async () => {
    const order = fc.shuffledSubarray(
      Array.from({ length: 12 }, (_, n) => n),
      { minLength: 12 },
    )
    await fc.assert(
      fc.asyncProperty(order, async (turns) => {
        const { send, deliver, multiplexer } = world()
        const stans = turns.map((n) => String(n + 1).padStart(6, '0')).toSorted()
        const exchanges = stans.map((stan) => send({ stan }))
        await deliver(...turns.map((n) => answer({ stan: stans[n]!, responseCode: String(n + 10) })))
        const codes = await Promise.all(exchanges.map(({ settled }) => settled))
        expect(codes.map((outcome) => outcome.kind === 'answered' && outcome.message.text(39))).toEqual(
          stans.map((_, n) => String(n + 10)),
        )
        expect(multiplexer.inFlight).toBe(0)
      }),
      { numRuns: 20 },
    )
  })

  test('F20: with the STAN of one terminal does not go to another terminal with that STAN', async () => {
    const { send, deliver } = world()
    const one = send({ stan: '000001', terminal: 'TERM0001' })
    const two = send({ stan: '000001', terminal: 'TERM0002' })
    await deliver(answer({ stan: '000001', terminal: 'TERM0002', responseCode: '51' }))
    expect(one.outcome).toBeUndefined()
    expect(two.outcome).toMatchObject({ kind: 'answered' })
  })

  test('to nothing that was asked is an orphan', async () => {
    const { deliver, kinds } = world()
    await deliver(answer({ stan: '000007' }))
    expect(kinds()).toEqual(['orphan'])
  })

  test('F20: for another card or another kind of transaction is not delivered, and the waiter waits on', async () => {
    const { send, deliver, anomalies } = world()
    const exchange = send({ stan: '000001' })
    await deliver(
      answer({ stan: '000001', card: '9999990000000022' }),
      answer({ stan: '000001', processing: '200000' }),
      answer({ stan: '000001', mti: '0230' }),
    )
    expect(anomalies).toMatchObject([
      { kind: 'crossMatch', de: 2 },
      { kind: 'crossMatch', de: 3 },
      { kind: 'crossMatch', de: 0 },
    ])
    expect(exchange.outcome).toBeUndefined()
    await deliver(answer({ stan: '000001', responseCode: '51' }))
    expect(exchange.outcome).toMatchObject({ kind: 'answered' })
  })

  test('on another session is not delivered', async () => {
    const { send, connect, anomalies } = world()
    const exchange = send({ stan: '000001' })
    await connect('second').deliver(answer({ stan: '000001' }))
    expect(anomalies).toMatchObject([{ kind: 'crossMatch', de: 0 }])
    expect(exchange.outcome).toBeUndefined()
  })

  test('of another class does not match', async () => {
    const { send, deliver, kinds } = world()
    const exchange = send({ stan: '000001' })
    await deliver(answer({ stan: '000001', mti: '0410' }))
    expect(kinds()).toEqual(['orphan'])
    expect(exchange.outcome).toBeUndefined()
  })

  test('F21: that came twice is dropped; a second one that differs is a contradiction, and the first stands', async () => {
    const { send, deliver, kinds } = world()
    const exchange = send({ stan: '000001' })
    await deliver(answer({ stan: '000001' }), answer({ stan: '000001' }))
    await deliver(answer({ stan: '000001', responseCode: '51' }))
    expect(kinds()).toEqual(['duplicate', 'contradictory'])
    expect(exchange.outcome?.kind === 'answered' && exchange.outcome.message.text(39)).toBe('00')
  })

  test('that is no message at all disturbs nobody', async () => {
    const { send, deliver, kinds, link } = world()
    const exchange = send({ stan: '000001' })
    await deliver(Buffer.from('garbage'), Buffer.alloc(40), request({ stan: '000001' }).subarray(0, 20))
    expect(kinds()).toEqual(['unparseable', 'unparseable', 'unparseable'])
    expect(link.open).toBe(true)
    await deliver(answer({ stan: '000001' }))
    expect(exchange.outcome).toMatchObject({ kind: 'answered' })
  })
})

describe('an answer that cannot be believed is no answer', () => {
  test.each([
    ['bad' as const, 'badSeal'],
    ['unknown' as const, 'sealUnchecked'],
  ])('%s seal: the waiter is told at its deadline, not before', async (now, reason) => {
    const { send, deliver, clock, seal, kinds } = world()
    const exchange = send({ stan: '000001' })
    seal.now = now
    await deliver(answer({ stan: '000001' }))
    expect(kinds()).toEqual([reason])
    await clock.pass(999)
    expect(exchange.outcome).toBeUndefined()
    await clock.pass(1)
    expect(exchange.outcome).toEqual(maybeSent(reason))
  })

  test('a good answer after a bad one is taken', async () => {
    const { send, deliver, seal } = world()
    const exchange = send({ stan: '000001' })
    seal.now = 'bad'
    await deliver(answer({ stan: '000001', responseCode: '51' }))
    seal.now = 'good'
    await deliver(answer({ stan: '000001' }))
    expect(exchange.outcome?.kind === 'answered' && exchange.outcome.message.text(39)).toBe('00')
  })

  test('F22: one without a response code', async () => {
    const { send, deliver, clock, kinds } = world()
    const exchange = send({ stan: '000001' })
    await deliver(answer({ stan: '000001', responseCode: null }))
    expect(kinds()).toEqual(['incomplete'])
    await clock.pass(1_000)
    expect(exchange.outcome).toEqual(maybeSent('unparseable'))
  })

  test('F22: a late one with a wrong seal reaches nobody', async () => {
    const { send, deliver, clock, seal, late } = world()
    send({ stan: '000001' })
    await clock.pass(1_000)
    seal.now = 'bad'
    await deliver(answer({ stan: '000001' }))
    expect(late).toEqual([])
  })
})

describe('after the deadline', () => {
  test('F19: an answer is late: recorded once, and never an answer', async () => {
    const { send, deliver, clock, late, kinds } = world()
    const exchange = send({ stan: '000001' })
    await clock.pass(1_000)
    expect(exchange.outcome).toEqual(maybeSent('deadline'))
    await deliver(answer({ stan: '000001' }), answer({ stan: '000001' }))
    await deliver(answer({ stan: '000001', responseCode: '51' }))
    expect(late).toEqual([['000001', '00']])
    expect(kinds()).toEqual(['duplicate', 'contradictory'])
    expect(exchange.outcome).toEqual(maybeSent('deadline'))
  })

  test('an answer is late even when the timer has not run yet', async () => {
    const { send, deliver, clock, late } = world()
    const exchange = send({ stan: '000001' }, 1_000)
    const monotonicMs = clock.monotonicMs.bind(clock)
    // The event loop stood still: the clock went on, and the timers did not run.
    clock.monotonicMs = () => monotonicMs() + 1_500
    await deliver(answer({ stan: '000001' }))
    expect(exchange.outcome).toEqual(maybeSent('deadline'))
    expect(late).toEqual([['000001', '00']])
  })

  test('an answer is late when its seal took too long to check', async () => {
    const { send, deliver, clock, late, seal } = world()
    const exchange = send({ stan: '000001' })
    const checked = Promise.withResolvers<null>()
    seal.hold = checked.promise
    await deliver(answer({ stan: '000001' }))
    await clock.pass(1_000)
    expect(exchange.outcome).toEqual(maybeSent('deadline'))
    checked.resolve(null)
    await clock.pass(0, 1)
    await new Promise((resolve) => setImmediate(resolve))
    expect(late).toEqual([['000001', '00']])
  })

  test('an answer after the tombstone is gone is an orphan', async () => {
    const { send, deliver, clock, late, kinds } = world({ lateMs: 5_000 })
    send({ stan: '000001' })
    await clock.pass(6_000)
    await deliver(answer({ stan: '000001' }))
    expect(late).toEqual([])
    expect(kinds()).toEqual(['orphan'])
  })

  test('a late answer may come on another session', async () => {
    const { send, connect, lose, late } = world()
    send({ stan: '000001' })
    lose()
    await connect('second').deliver(answer({ stan: '000001' }))
    expect(late).toEqual([['000001', '00']])
  })
})

describe('sending', () => {
  test('over a closed link, or without time, sends nothing', async () => {
    const { send, link } = world()
    expect(await send({ stan: '000001' }, 0).settled).toEqual({ kind: 'notSent', reason: 'noTime' })
    link.close()
    expect(await send({ stan: '000001' }).settled).toEqual({ kind: 'notSent', reason: 'closed' })
    expect(link.sent).toEqual([])
  })

  test('F15: that the socket refuses is not sent, and leaves its STAN free', async () => {
    const { send, link, multiplexer, clock } = world()
    link.outcome = 'notSent'
    expect(await send({ stan: '000001' }).settled).toEqual({ kind: 'notSent', reason: 'congested' })
    expect(multiplexer).toMatchObject({ inFlight: 0 })
    expect(multiplexer.inUse('000001')).toBe(false)
    expect(clock.waiting).toBe(0)
  })

  test('F16: that failed half-way may have been sent', async () => {
    const { send, link, multiplexer } = world()
    link.outcome = 'failed'
    expect(await send({ stan: '000001' }).settled).toEqual(maybeSent('linkLost'))
    expect(multiplexer.inUse('000001')).toBe(true)
  })

  test('the same key twice at once is refused', async () => {
    const { send, deliver, link } = world()
    const first = send({ stan: '000001' })
    expect(await send({ stan: '000001' }).settled).toEqual({ kind: 'notSent', reason: 'malformed' })
    await deliver(answer({ stan: '000001' }))
    expect(first.outcome).toMatchObject({ kind: 'answered' })
    expect(link.sent).toHaveLength(1)
  })

  test('a repeat after a silence is answered by an answer to either', async () => {
    const { send, deliver, clock, late } = world()
    const original = send({ stan: '000001', mti: '0420' })
    await clock.pass(1_000)
    const repeat = send({ stan: '000001', mti: '0421' })
    await deliver(answer({ stan: '000001', mti: '0430' }))
    expect(original.outcome).toEqual(maybeSent('deadline'))
    expect(repeat.outcome).toMatchObject({ kind: 'answered' })
    expect(late).toEqual([])
  })
})

describe('a link that is lost', () => {
  test('F18: settles at once what was in flight on it, and nothing else', async () => {
    const { send, connect, lose, deliver, multiplexer } = world()
    const second = connect('second')
    const mine = [send({ stan: '000001' }), send({ stan: '000002' })]
    const other = send({ stan: '000003' }, 1_000, second.link)
    lose()
    expect(await Promise.all(mine.map(({ settled }) => settled))).toEqual([
      maybeSent('linkLost'),
      maybeSent('linkLost'),
    ])
    await deliver()
    expect(other.outcome).toBeUndefined()
    expect(multiplexer.inFlight).toBe(1)
  })

  test.each([
    ['good' as const, { kind: 'answered' }],
    ['bad' as const, maybeSent('linkLost')],
  ])('waits for the seal of an answer that is already here: %s', async (now, expected) => {
    const { send, deliver, lose, seal } = world()
    const checked = Promise.withResolvers<null>()
    seal.hold = checked.promise
    seal.now = now
    const exchange = send({ stan: '000001' })
    await deliver(answer({ stan: '000001' }))
    lose()
    await deliver()
    expect(exchange.outcome).toBeUndefined()
    checked.resolve(null)
    expect(await exchange.settled).toMatchObject(expected)
  })
})

describe('a STAN', () => {
  test('is in use while its request is in flight and for as long as an answer may come', async () => {
    const { send, deliver, clock, multiplexer } = world({ lateMs: 5_000 })
    send({ stan: '000001' })
    expect(multiplexer.inUse('000001')).toBe(true)
    await deliver(answer({ stan: '000001' }))
    clock.advance(4_999)
    expect(multiplexer.inUse('000001')).toBe(true)
    clock.advance(1)
    expect(multiplexer.inUse('000001')).toBe(false)
  })

  test('of the oldest tombstone is free again when there are too many', async () => {
    const { send, deliver, multiplexer } = world({ tombstonesMax: 2 })
    for (const stan of ['000001', '000002', '000003']) {
      send({ stan })
      await deliver(answer({ stan }))
    }
    expect(['000001', '000002', '000003'].map((stan) => multiplexer.inUse(stan))).toEqual([false, true, true])
  })
})

test('a request of the peer is handed up only with a good seal', async () => {
  const { deliver, requests, seal, kinds } = world()
  await deliver(request({ stan: '000001' }))
  seal.now = 'bad'
  await deliver(request({ stan: '000002' }))
  expect(requests.map((message) => message.text(11))).toEqual(['000001'])
  expect(kinds()).toEqual(['badSeal'])
})

test('whatever happens, every request is settled exactly once and nothing stays behind', async () => {
  const event = fc.oneof(
    fc.record({ do: fc.constant('send' as const), stan: fc.integer({ min: 1, max: 6 }) }),
    fc.record({
      do: fc.constant('answer' as const),
      stan: fc.integer({ min: 1, max: 6 }),
      seal: fc.constantFrom<Seal>('good', 'bad', 'unknown'),
      responseCode: fc.constantFrom('00', '51', null),
      processing: fc.constantFrom('000000', '200000'),
    }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 1_500 }) }),
    fc.record({
      do: fc.constant('refuse' as const),
      outcome: fc.constantFrom('written', 'notSent', 'failed'),
    }),
    fc.record({ do: fc.constant('lose' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 30, size: 'max' }), async (events) => {
      const all = world({ lateMs: 3_000 })
      let peer: Pick<typeof all, 'link' | 'deliver' | 'lose'> = all
      const settled: number[] = []
      let sent = 0
      for (const happening of events) {
        const stan = 'stan' in happening ? String(happening.stan).padStart(6, '0') : ''
        if (happening.do === 'send') {
          const turn = sent++
          void all.send({ stan }, 1_000, peer.link).settled.then(() => settled.push(turn))
        } else if (happening.do === 'answer') {
          all.seal.now = happening.seal
          const { responseCode, processing } = happening
          await peer.deliver(answer({ stan, responseCode, processing }))
        } else if (happening.do === 'pass') await all.clock.pass(happening.ms)
        else if (happening.do === 'refuse') peer.link.outcome = happening.outcome
        else {
          peer.lose()
          peer = all.connect('next')
        }
      }
      await all.clock.pass(1_000)
      expect(settled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, turn) => turn))
      all.clock.advance(3_000)
      expect(all.multiplexer.inFlight).toBe(0)
      for (let n = 1; n <= 6; n++) expect(all.multiplexer.inUse(String(n).padStart(6, '0'))).toBe(false)
      expect(all.clock.waiting).toBe(0)
    }),
    { numRuns: 100 },
  )
})
