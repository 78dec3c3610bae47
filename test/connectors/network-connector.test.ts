import { describe, expect, test, vi } from 'vitest'
import type { Sealer, StanBlocks } from '../../connectors/connector.ts'
import { seededRandom } from '../../kernel/random.ts'
import { type PeerRequest, testSealer } from './scripted-peer.ts'
import { maybeSent, notSent, pan, sendOn, silence, world } from './world.ts'

describe('a leg', () => {
  test('is sent with what is the network’s own business, and its answer comes back', async () => {
    const { online, send, peer, connector } = await world()
    await online()
    const outcome = await send().settled
    const { message, sealed } = peer.of('0200')[0]!
    expect(sealed).toBe(true)
    expect([message.text(7), message.text(11), message.text(32)]).toEqual([
      '0115093000',
      '000002',
      '41400001',
    ])
    expect(outcome).toMatchObject({
      kind: 'answered',
      answer: {
        mti: '0210',
        responseCode: '00',
        authId: 'A00001',
        amountMinor: 12_500n,
        currencyNumeric: '414',
      },
    })
    expect(connector.status()).toEqual({
      name: 'knet',
      anomalies: { badSeal: 0, crossMatch: 0, orphan: 0 },
      dialect: 'knet-placeholder',
      session: 'online',
      sessions: [{ state: 'online', peer: `127.0.0.1:${peer.port}`, inFlight: 0 }],
      breaker: 'closed',
      inFlight: 0,
      credits: { window: 300, borrowed: 0, waiting: 0 },
    })
  })

  test('leaves no card number in its answer’s dump or in any log line', async () => {
    const { online, send, peer, log } = await world()
    await online()
    peer.script = (request) => request.answer({ 39: '00' })
    const outcome = await send().settled
    peer.script = (request) => request.answer({ 39: '00' }, { sealer: testSealer('other') })
    void send()
    await vi.waitFor(() => expect(log.some(({ text }) => text === 'anomaly')).toBe(true))
    const said = JSON.stringify([log, outcome], (_, value: unknown) =>
      typeof value === 'bigint' ? value.toString() : value,
    )
    expect(said).toContain('999999')
    expect(said).not.toContain(pan)
  })

  test('that nobody answers may have been sent, at its deadline; what comes then is late', async () => {
    const { online, send, peer, clock, late, heard } = await world()
    await online()
    peer.script = silence
    const sending = send()
    await heard(1, '0200')
    await clock.pass(24_999)
    expect(sending.outcome).toBeUndefined()
    await clock.pass(1)
    expect(sending.outcome).toEqual(maybeSent('deadline'))
    await peer.of('0200')[0]!.answer({ 39: '00', 38: 'LATE01' })
    await vi.waitFor(() => expect(late).toMatchObject([['000002', { responseCode: '00', authId: 'LATE01' }]]))
  })

  test.each<[string, (request: PeerRequest) => unknown, string]>([
    ['a wrong seal', (request) => request.answer({ 39: '00' }, { sealer: testSealer('other') }), 'badMac'],
    ['no seal', (request) => request.answer({ 39: '00' }, { sealer: 'none' }), 'badMac'],
    ['no response code', (request) => request.answer(), 'unparseable'],
    ['another terminal', (request) => request.answer({ 39: '00', 41: 'TERM0002' }), 'deadline'],
    ['another card', (request) => request.answer({ 39: '00', 2: '9999990000000022' }), 'deadline'],
    ['no STAN', (request) => request.answer({ 39: '00', 11: null }), 'deadline'],
  ])('whose answer has %s has none, at its deadline', async (_, script, reason) => {
    const { online, send, peer, clock, log } = await world()
    await online()
    peer.script = script
    const sending = send()
    await vi.waitFor(() => expect(log.some(({ text }) => text === 'anomaly')).toBe(true))
    expect(sending.outcome).toBeUndefined()
    await clock.pass(25_000)
    expect(sending.outcome).toEqual(maybeSent(reason))
  })

  test('F18: whose connection is lost may have been sent, at once', async () => {
    const { online, send, peer, heard } = await world()
    await online()
    peer.script = silence
    const sendings = [send(), send(), send()]
    await heard(3, '0200')
    peer.link.close('test')
    const outcomes = await Promise.all(sendings.map(({ settled }) => settled))
    expect(outcomes).toEqual([maybeSent('linkLost'), maybeSent('linkLost'), maybeSent('linkLost')])
  })

  test('F09: is not sent when it cannot be sealed, and that is not the network’s fault', async () => {
    const sealer: Sealer = { ...testSealer('word'), seal: () => Promise.reject(new Error('HSM away')) }
    const { online, send, peer, connector } = await world({ sealer })
    await online()
    for (let n = 0; n < 25; n++) expect(await send().settled).toEqual(notSent('hsm'))
    expect(peer.of('0200')).toEqual([])
    expect(connector.status().breaker).toBe('closed')
  })

  test('is not sent when it is no message of the dialect', async () => {
    const { online, send, purchase, peer, texts } = await world()
    await online()
    expect(await send(purchase({ fields: { 3: 'not digits' } })).settled).toEqual(notSent('malformed'))
    expect(peer.of('0200')).toEqual([])
    expect(texts('error')).toEqual(['our own message cannot be encoded'])
  })

  test('is not sent with less time left than an answer needs', async () => {
    const { online, send, purchase } = await world()
    await online()
    expect(await send(purchase(), 2_999).settled).toEqual(notSent('noTime'))
    expect(await send(purchase(), 3_000).settled).toMatchObject({ kind: 'answered' })
  })

  test('is not sent when sealing took the time', async () => {
    const hsm = testSealer('word')
    const slow = Promise.withResolvers<null>()
    const sealer: Sealer = { ...hsm, seal: (data) => slow.promise.then(() => hsm.seal(data)) }
    const { online, send, purchase, clock, peer } = await world({ sealer })
    await online()
    const sending = send(purchase(), 4_000)
    clock.advance(2_000)
    slow.resolve(null)
    expect(await sending.settled).toEqual(notSent('noTime'))
    expect(peer.of('0200')).toEqual([])
  })

  test('F12: waits a second at most for a place in the window, of which a part is kept for reversals', async () => {
    const { online, send, purchase, peer, connector, heard, available, clock } = await world({
      profile: { inFlightMax: 6 },
    })
    await online()
    peer.script = silence
    const live = Array.from({ length: 4 }, () => send())
    await heard(4, '0200')
    const reversals = [1, 2].map(() => send(purchase({ mti: '0420' })))
    await heard(2, '0420')

    const waiting = Array.from({ length: 4 }, () => send())
    await clock.pass(999)
    expect(waiting.map(({ outcome }) => outcome)).toEqual([undefined, undefined, undefined, undefined])
    // As many wait as may be in flight: whoever comes now is turned away at once.
    expect(connector.availability()).toBe('congested')
    expect(await send().settled).toEqual(notSent('congested'))
    expect(connector.status()).toMatchObject({ inFlight: 10, credits: { borrowed: 6, waiting: 4 } })
    const before = available()
    await clock.pass(1)
    for (const { settled } of waiting) expect(await settled).toEqual(notSent('congested'))
    expect(peer.of('0200')).toHaveLength(4)

    for (const request of [...peer.of('0200'), ...peer.of('0420')]) await request.answer({ 39: '00' })
    for (const { settled } of [...live, ...reversals])
      expect(await settled).toMatchObject({ kind: 'answered' })
    expect(connector.availability()).toBe('available')
    expect(available()).toBe(before + 1)
  })

  test('that waited for its place is sent when there is one, if the session is still there', async () => {
    const { online, send, peer, heard, state } = await world({ profile: { inFlightMax: 4 } })
    await online()
    peer.script = silence
    for (const count of [1, 2]) {
      void send()
      await heard(count, '0200')
    }
    const third = send()
    await peer.of('0200')[0]!.answer({ 39: '00' })
    await heard(3, '0200')
    await peer.of('0200')[2]!.answer({ 39: '51' })
    expect(await third.settled).toMatchObject({ kind: 'answered', answer: { responseCode: '51' } })
    const fourth = send()
    await heard(4, '0200')
    const fifth = send()
    peer.link.close('test')
    await state('down')
    expect(await fourth.settled).toEqual(maybeSent('linkLost'))
    expect(await fifth.settled).toEqual(notSent('offline'))
    expect(peer.of('0200')).toHaveLength(4)
  })
})

test('three wrong seals in a row raise an alarm, which a good one in between would not', async () => {
  const { online, send, peer, texts } = await world()
  await online()
  const bad = { sealer: testSealer('other') }
  const seals = [bad, bad, {}, bad, bad, bad]
  peer.script = (request) => request.answer({ 39: '00' }, seals[peer.of('0200').length - 1])
  for (let n = 0; n < seals.length; n++) {
    expect(texts('error')).toEqual([])
    const before = texts('warn').length
    const sending = send()
    await vi.waitFor(() => expect(texts('warn').length > before || sending.outcome !== undefined).toBe(true))
  }
  expect(texts('error')).toEqual(['seals are wrong again and again: key out of step'])
})

describe('without a STAN', () => {
  test('there is no session, and draining ends the search for one', async () => {
    const { connector, clock, peer } = await world({
      stanBlocks: { reserve: () => Promise.reject(new Error('database away')) },
    })
    await clock.pass(3_000, 1_000)
    expect(connector.status().session).toBe('down')
    expect(peer.links).toEqual([])
    await connector.drain(clock.monotonicMs())
    expect(clock.waiting).toBe(0)
  })

  test('nothing is available, until there are some', async () => {
    let works = true
    const stanBlocks: StanBlocks = {
      reserve: () =>
        works ? Promise.resolve({ first: 999_500 }) : Promise.reject(new Error('database away')),
    }
    const { online, connector, clock, available } = await world({ stanBlocks })
    await online()
    works = false
    while (connector.identify() !== undefined);
    expect(connector.availability()).toBe('noStan')
    works = true
    await vi.waitFor(async () => {
      await clock.pass(1_000)
      expect(connector.availability()).toBe('available')
    })
    expect(available()).toBeGreaterThan(0)
    expect(connector.identify()).toMatchObject({ stan: expect.stringMatching(/^\d{6}$/) as string })
  })
})

describe('the session', () => {
  test('is signed on before anything is taken', async () => {
    const { connector, state, send, peer, online, available, clock, heard } = await world({
      peer: (peer) => {
        peer.networkManagement = undefined
      },
    })
    await state('signingOn')
    expect(connector.availability()).toBe('offline')
    expect(
      await sendOn(
        connector,
        { mti: '0200', identity: { stan: '000009', transmittedAt: '0115093000' }, fields: {} },
        1e9,
      ),
    ).toEqual(notSent('offline'))
    await heard(1, '0800', '001')
    await peer.of('0800')[0]!.answer({ 39: '00' })
    await online()
    expect(available()).toBe(1)
    expect(clock.monotonicMs()).toBe(0)
    expect(await send().settled).toMatchObject({ kind: 'answered' })
  })

  test('F42: that is accepted by TCP and never answered is not online, and is tried again', async () => {
    const { connector, state, peer, clock, heard } = await world({
      peer: (peer) => {
        peer.networkManagement = undefined
      },
    })
    await heard(1, '0800', '001')
    await clock.pass(10_000)
    await state('down')
    expect(connector.status()).toMatchObject({ session: 'down', breaker: 'open' })
    expect(connector.availability()).toBe('offline')
    await clock.pass(4_999)
    expect(connector.status().session).toBe('down')
    peer.networkManagement = '00'
    await clock.pass(1_001)
    await state('online')
  })

  test('that is refused is tried again after five seconds, ten, twenty, and raises an alarm at the third', async () => {
    const { state, clock, heard, texts, peer } = await world({
      peer: (peer) => {
        peer.networkManagement = '91'
      },
    })
    await heard(1, '0800', '001')
    await state('down')
    await vi.waitFor(() => expect(peer.link.open).toBe(false))
    await clock.pass(6_000)
    await heard(2, '0800', '001')
    await state('down')
    expect(texts('error')).toEqual([])
    await clock.pass(9_999)
    await heard(2, '0800', '001')
    await clock.pass(2_001)
    await heard(3, '0800', '001')
    await state('down')
    expect(texts('error')).toEqual(['sign-on refused again and again'])
  })

  test('that was online since is refused for a first time again', async () => {
    const { state, online, clock, heard, peer, texts } = await world({
      peer: (peer) => {
        peer.networkManagement = '91'
      },
    })
    for (const count of [1, 2]) {
      await heard(count, '0800', '001')
      await state('down')
      if (count === 2) peer.networkManagement = '00'
      await clock.pass(12_000)
    }
    await online()
    peer.networkManagement = '91'
    peer.link.close('test')
    await state('down')
    await clock.pass(500)
    await heard(4, '0800', '001')
    await state('down')
    expect(texts('error')).toEqual([])
    await clock.pass(6_000)
    await heard(5, '0800', '001')
  })

  test('waits twice as long after each loss, until it has been steady for a minute', async () => {
    const random = { ...seededRandom(1), fraction: () => 0.999 }
    const { online, state, peer, clock } = await world({ random })
    const lossThenBackWithin = async (ms: number) => {
      await online()
      peer.link.close('test')
      await state('down')
      const links = peer.links.length
      await clock.pass(ms * 0.99)
      expect(peer.links).toHaveLength(links)
      await clock.pass(ms * 0.01)
      await online()
    }
    await lossThenBackWithin(500)
    await lossThenBackWithin(1_000)
    await lossThenBackWithin(2_000)
    await clock.pass(25_000)
    await clock.pass(35_000, 5_000)
    await lossThenBackWithin(500)
  })

  test('that the peer had signed off is open for business when it is made anew', async () => {
    const { online, peer, clock, state } = await world()
    await online()
    await peer.sendUnsealed('0800', { 7: '0115093001', 11: '900002', 70: '002' })
    await state('signedOff')
    peer.link.close('test')
    await state('down')
    await clock.pass(500)
    await online()
  })

  test('of a peer that takes and never speaks is found out in two echo times and ten seconds, however much is sent', async () => {
    const { online, peer, clock, send, heard, state, connector } = await world()
    await online()
    peer.script = silence
    peer.networkManagement = undefined
    for (const second of [10, 20, 29]) {
      await clock.pass(second * 1_000 - clock.monotonicMs())
      void send()
      await heard(peer.of('0200').length + 1, '0200')
    }
    await clock.pass(1_000)
    await heard(1, '0800', '301')
    await clock.pass(10_000)
    await state('suspect')
    expect(await send().settled).toEqual(notSent('offline'))
    await heard(2, '0800', '301')
    await clock.pass(10_000)
    await heard(3, '0800', '301')
    await clock.pass(10_000)
    await state('down')
    expect(clock.monotonicMs()).toBeLessThanOrEqual(2 * 30_000 + 10_000)
    expect(connector.status().breaker).toBe('open')
  })

  test('connects when the peer comes up later', async () => {
    const { state, peer, clock, connector } = await world({ listening: false })
    await state('down')
    await peer.listen()
    await vi.waitFor(async () => {
      await clock.pass(500)
      expect(connector.status().session).toBe('online')
    })
    expect(connector.availability()).toBe('available')
  })

  test('that is lost comes back, is probed, and takes traffic by steps', async () => {
    const { online, peer, clock, connector, send, state, purchase, heard } = await world()
    await online()
    peer.link.close('test')
    await state('down')
    await vi.waitFor(async () => {
      await clock.pass(500)
      expect(connector.status().breaker).toBe('rampNarrow')
    })
    expect(peer.of('0800', '301')).toHaveLength(2)
    peer.script = silence
    const reversal = send(purchase({ mti: '0420' }))
    for (let n = 0; n < 4; n++) void send()
    expect(await send().settled).toEqual(notSent('breakerOpen'))
    expect(reversal.outcome).toBeUndefined()
    await heard(4, '0200')
    await clock.pass(20_000)
    expect(connector.status().breaker).toBe('rampNarrow')
    await heard(1, '0420')
    await peer.of('0420')[0]!.answer({ 39: '00' })
    await reversal.settled
    expect(connector.status().breaker).toBe('rampWide')
    peer.script = (request) => request.answer({ 39: '00' })
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    await clock.pass(10_000)
    expect(connector.status().breaker).toBe('closed')
  })

  test('is kept warm by an echo after thirty seconds without traffic', async () => {
    const { online, clock, send, heard, peer } = await world()
    await online()
    await clock.pass(20_000)
    await send().settled
    await clock.pass(29_999)
    expect(peer.of('0800', '301')).toEqual([])
    await clock.pass(1)
    await heard(1, '0800', '301')
    await clock.pass(30_000)
    await heard(2, '0800', '301')
  })

  test('is suspect after an echo without answer, and trusted again after one with', async () => {
    const { online, clock, heard, peer, connector, state, late, log } = await world()
    await online()
    peer.networkManagement = undefined
    await clock.pass(30_000)
    await heard(1, '0800', '301')
    await clock.pass(10_000)
    await state('suspect')
    await peer.of('0800', '301')[0]!.answer({ 39: '00' })
    await peer.sendUnsealed('0820', {})
    await vi.waitFor(() => expect(log.at(-1)!.text).toBe('a request that this session does not take'))
    expect([connector.status().session, late]).toEqual(['suspect', []])
    expect(connector.availability()).toBe('offline')
    await heard(2, '0800', '301')
    peer.networkManagement = '00'
    await peer.of('0800', '301')[1]!.answer({ 39: '00' })
    await online()
    await vi.waitFor(() => expect(connector.availability()).toBe('available'))
  })

  test('F41: is given up after three echoes without answer, with what was in flight', async () => {
    const { online, clock, heard, peer, send, state, purchase } = await world()
    await online()
    peer.networkManagement = undefined
    peer.script = silence
    const sending = send(purchase(), 100_000)
    await heard(1, '0200')
    await clock.pass(30_000)
    for (const count of [1, 2, 3]) {
      await heard(count, '0800', '301')
      await clock.pass(10_000)
    }
    expect(await sending.settled).toEqual(maybeSent('linkLost'))
    await state('down')
    await vi.waitFor(() => expect(peer.link.open).toBe(false))
  })

  test('answers the peer’s echo, and its sign-off and sign-on by taking nothing in between', async () => {
    const { online, peer, connector, heard, state } = await world()
    await online()
    const say = (stan: string, code: string) =>
      peer.sendUnsealed('0800', { 7: '0115093001', 11: stan, 70: code })
    await say('900001', '301')
    await heard(1, '0810')
    const { message } = peer.of('0810')[0]!
    expect([message.text(7), message.text(11), message.text(39), message.text(70)]).toEqual([
      '0115093001',
      '900001',
      '00',
      '301',
    ])
    await say('900002', '002')
    await state('signedOff')
    expect(connector.availability()).toBe('offline')
    await say('900003', '001')
    await online()
    await say('900004', '999')
    await heard(4, '0810')
    expect(peer.of('0810')[3]!.message.text(39)).toBe('12')
  })

  test('survives what is no message, and requests that it does not take', async () => {
    const { online, peer, send, log } = await world()
    await online()
    await peer.link.send(Buffer.from('garbage'))
    await peer.sendUnsealed('0800', {})
    await peer.sendUnsealed('0820', { 7: '0115093001', 11: '900001' })
    await vi.waitFor(() =>
      expect(log.filter(({ level }) => level === 'warn').length).toBeGreaterThanOrEqual(3),
    )
    expect(await send().settled).toMatchObject({ kind: 'answered' })
  })
})

describe('the breaker', () => {
  test('opens after twenty silences, and then nothing is sent until echoes are answered', async () => {
    const { online, peer, send, heard, clock, connector } = await world()
    await online()
    peer.script = silence
    const sendings = Array.from({ length: 20 }, () => send())
    await heard(20, '0200')
    await clock.pass(25_000)
    for (const { outcome } of sendings) expect(outcome).toEqual(maybeSent('deadline'))
    expect(connector.status()).toMatchObject({ session: 'online', breaker: 'open' })
    expect(connector.availability()).toBe('breakerOpen')
    expect(await send().settled).toEqual(notSent('breakerOpen'))
    await clock.pass(5_000)
    await vi.waitFor(() => expect(connector.status().breaker).toBe('rampNarrow'))
    peer.script = (request) => request.answer({ 39: '51' })
    expect(await send().settled).toMatchObject({ kind: 'answered', answer: { responseCode: '51' } })
    await clock.pass(20_000)
    expect(connector.status().breaker).toBe('closed')
  })

  test('stays closed whatever the response codes', async () => {
    const { online, peer, send, connector } = await world()
    await online()
    peer.script = (request) => request.answer({ 39: '91' })
    for (let n = 0; n < 40; n++) expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(connector.status().breaker).toBe('closed')
  })
})

describe('draining', () => {
  test('takes nothing new, waits for what is in flight, signs off and closes', async () => {
    const { online, peer, send, connector, heard, clock } = await world()
    await online()
    peer.script = silence
    const sending = send()
    await heard(1, '0200')
    const identity = { stan: '000099', transmittedAt: '0115093000' }
    const drained = connector.drain(clock.monotonicMs() + 26_000)
    expect(connector.availability()).toBe('draining')
    expect(await sendOn(connector, { mti: '0200', identity, fields: {} }, 1e9)).toEqual(notSent('draining'))
    expect(peer.of('0800', '002')).toEqual([])
    await peer.of('0200')[0]!.answer({ 39: '00' })
    expect(await sending.settled).toMatchObject({ kind: 'answered' })
    await drained
    expect(peer.of('0800', '002')).toHaveLength(1)
    await vi.waitFor(() => expect(peer.link.open).toBe(false))
    expect(connector.status().session).toBe('closed')
    // Nothing is left to keep a process alive or to connect again.
    await clock.pass(120_000, 10_000)
    expect(peer.links).toHaveLength(1)
    expect(clock.waiting).toBe(0)
  })

  test('waits no longer than it may: what is left may have been sent', async () => {
    const { online, peer, send, connector, heard, clock } = await world()
    await online()
    peer.script = silence
    const sending = send()
    await heard(1, '0200')
    const drained = connector.drain(clock.monotonicMs() + 1_000)
    await clock.pass(1_000)
    expect(await sending.settled).toEqual(maybeSent('draining'))
    await drained
  })
})
