import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { freePort } from '../../bin/environment/ports.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import { compile, connectLink, encodeSealed, type Link } from '../../iso8583/iso8583.ts'
import { systemClock } from '../../kernel/clock.ts'
import { ScriptedPeer, testSealer } from './scripted-peer.ts'
import { maybeSent, silence, world } from './world.ts'

const until = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 2 })

describe('several sessions', () => {
  async function two(profile = {}) {
    const all = await world({ connect: { sessions: 2 }, profile })
    const states = () => all.connector.status().sessions.map(({ state }) => state)
    await until(() => expect(states()).toEqual(['online', 'online']))
    const [one, other] = all.peer.links as [Link, Link]
    const on = (link: Link) => all.peer.of('0200').filter((request) => request.link === link)
    return { ...all, states, one, other, on }
  }

  test('share the requests, each going where least is in flight, and among equals in turn', async () => {
    const { peer, send, heard, one, other, on, connector } = await two()
    peer.script = silence
    const first: ReturnType<typeof send>[] = []
    for (let n = 1; n <= 4; n++) {
      first.push(send())
      await heard(n, '0200')
    }
    expect([on(one).length, on(other).length]).toEqual([2, 2])
    for (const request of on(one)) await request.answer({ 39: '00' })
    await until(() => expect(first.filter(({ outcome }) => outcome !== undefined)).toHaveLength(2))
    void send()
    await heard(5, '0200')
    void send()
    await heard(6, '0200')
    expect([on(one).length, on(other).length]).toEqual([4, 2])

    peer.script = (request) => request.answer({ 39: '00' })
    for (const request of peer.of('0200')) await request.answer({ 39: '00' })
    await until(() => expect(connector.status().inFlight).toBe(0))
    const before = peer.of('0200').length
    for (let n = 0; n < 10; n++) await send().settled
    expect(peer.of('0200').length - before).toBe(10)
    expect(on(one).length - 4).toBe(5)
  })

  test('lose only what was on the one that is lost; the other goes on, and the breaker stays closed', async () => {
    const { peer, send, heard, one, other, on, states, connector, clock } = await two()
    peer.script = silence
    const sendings = [send(), send()]
    await heard(2, '0200')
    one.close('test')
    await until(() => expect(sendings.filter(({ outcome }) => outcome !== undefined)).toHaveLength(1))
    const lost = sendings.find(({ outcome }) => outcome !== undefined)!
    expect(lost.outcome).toEqual(maybeSent('linkLost'))
    expect(connector.status()).toMatchObject({ session: 'online', breaker: 'closed' })
    expect(connector.availability()).toBe('available')
    await on(other)[0]!.answer({ 39: '00' })
    for (const { settled } of sendings) await settled
    peer.script = (request) => request.answer({ 39: '00' })
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    await clock.pass(500)
    await until(() => expect(states()).toEqual(['online', 'online']))
  })

  test('take an answer over the one that asked only, unless the network answers over any', async () => {
    const strict = await two()
    strict.peer.script = silence
    const sending = strict.send()
    await strict.heard(1, '0200')
    const request = strict.peer.of('0200')[0]!
    const elsewhere = request.link === strict.one ? strict.other : strict.one
    await request.answer({ 39: '00' }, { link: elsewhere })
    await until(() => expect(strict.texts('error')).toEqual(['anomaly']))
    expect(sending.outcome).toBeUndefined()

    const kind = await two({ responseAffinity: 'group' })
    kind.peer.script = (request) =>
      request.answer({ 39: '00' }, { link: request.link === kind.one ? kind.other : kind.one })
    expect(await kind.send().settled).toMatchObject({ kind: 'answered' })
  })

  test('are all signed off by a drain', async () => {
    const { connector, clock, peer, states } = await two()
    await connector.drain(clock.monotonicMs())
    expect(peer.of('0800', '002')).toHaveLength(2)
    expect(states()).toEqual(['closed', 'closed'])
    await until(() => expect(clock.waiting).toBe(0))
  })
})

describe('alternate addresses', () => {
  test('are tried in order without a wait, and the first one again after a loss', async () => {
    const alternate = await new ScriptedPeer(knet, testSealer('word')).listen()
    const { online, peer, clock, state, send } = await world({
      listening: false,
      connect: { alternates: [{ host: '127.0.0.1', port: alternate.port }] },
    })
    await online()
    expect(clock.monotonicMs()).toBe(0)
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(alternate.of('0200')).toHaveLength(1)
    await peer.listen()
    alternate.link.close('test')
    await state('down')
    await clock.pass(500)
    await online()
    expect([peer.links.length, alternate.links.length]).toEqual([1, 1])
    await alternate.close()
  })

  test('are also for a first one that accepts and refuses the sign-on', async () => {
    const alternate = await new ScriptedPeer(knet, testSealer('word')).listen()
    const { online, clock, peer } = await world({
      peer: (peer) => {
        peer.networkManagement = '91'
      },
      connect: { alternates: [{ host: '127.0.0.1', port: alternate.port }] },
    })
    await online()
    expect(clock.monotonicMs()).toBe(0)
    expect([peer.of('0800', '001').length, alternate.of('0800', '001').length]).toEqual([1, 1])
    await alternate.close()
  })
})

describe('a network that connects to us', () => {
  const codec = compile(knet.dialect)
  const seal = testSealer('word')

  /** The network's side: it answers all, signs on when told to, and can fall silent. */
  async function caller(port: number) {
    const heard: string[] = []
    const state = { silent: false, open: true }
    const link = await connectLink(
      { host: '127.0.0.1', port, frame: knet.frame, clock: systemClock },
      (link) => ({
        onMessage(body) {
          const message = codec.decode(body)
          heard.push(`${message.mti} ${message.text(70) ?? ''}`.trim())
          if (state.silent || message.mti[2] !== '0') return
          const fields = Object.fromEntries(
            [2, 3, 4, 7, 11, 32, 37, 41, 49, 70].flatMap((de) =>
              message.has(de) ? [[de, message.reveal(de)!]] : [],
            ),
          )
          const answer = { mti: `${message.mti.slice(0, 2)}10`, fields: { ...fields, 39: '00' } }
          if (message.mti === '0800') void link.send(codec.encode(answer))
          else void encodeSealed(codec, answer, (data) => seal.seal(data)).then((bytes) => link.send(bytes))
        },
        onClose: () => (state.open = false),
      }),
    )
    const say = (code: string) =>
      link.send(codec.encode({ mti: '0800', fields: { 7: '0115093001', 11: '900001', 70: code } }))
    return { link, heard, state, say }
  }

  async function serving(options: Parameters<typeof world>[0] = {}) {
    const port = await freePort()
    const all = await world({ ...options, connect: { port, serve: {}, ...options.connect } })
    await all.state('connecting')
    const call = () => vi.waitFor(() => caller(port), { timeout: 5_000, interval: 10 })
    return { ...all, call }
  }

  test('is signed on to over its own connection, and asked', async () => {
    const { call, online, send } = await serving()
    const first = await call()
    await online()
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(first.heard).toEqual(['0800 001', '0200'])
    first.link.close('test ends')
  })

  test('is waited for again at once when it is lost', async () => {
    const { call, online, clock, state } = await serving()
    const first = await call()
    await online()
    first.link.close('test')
    await state('connecting')
    expect(clock.monotonicMs()).toBe(0)
    const second = await call()
    await until(() => expect(second.heard[0]).toBe('0800 001'))
    second.link.close('test ends')
  })

  test('has one place: a second connection gets it only when the first is suspect', async () => {
    const peers = [{ name: 'knet', addresses: ['127.0.0.1'] }]
    const { call, online, clock, state, send, texts } = await serving({ connect: { serve: { peers } } })
    const first = await call()
    await online()
    const second = await call()
    await until(() => expect(second.state.open).toBe(false))
    expect(texts('error')).toEqual(['connection refused'])
    first.state.silent = true
    await clock.pass(30_000)
    await until(() => expect(first.heard).toContain('0800 301'))
    await clock.pass(10_000)
    await state('suspect')
    const third = await call()
    await until(() => expect(first.state.open).toBe(false))
    await until(() => expect(third.heard[0]).toBe('0800 001'))
    await vi.waitFor(async () => {
      await clock.pass(2_000)
      expect(await send().settled).toMatchObject({ kind: 'answered' })
    })
    third.link.close('test ends')
  })

  test('may be the one that signs on: before it has, nothing is online', async () => {
    const session = { ...knet.session, signOn: 'peer' } as const
    const { call, online, state, connector, clock } = await serving({ profile: { session } })
    const first = await call()
    await state('signingOn')
    await clock.pass(29_999)
    expect(connector.availability()).toBe('offline')
    await first.say('001')
    await online()
    await until(() => expect(first.heard).toEqual(['0810 001']))
    first.link.close('test ends')
  })

  test('that signs on before there is a place for it is signed on when there is', async () => {
    const session = { ...knet.session, signOn: 'peer' } as const
    const { call, clock, online } = await serving({ profile: { session } })
    const first = await call()
    await first.say('001')
    await online()
    // The peer has lost its first connection, as it thinks, and begins anew; here the first is still there.
    const second = await call()
    await second.say('001')
    await wait(50)
    first.link.close('test')
    await until(() => expect(second.heard).toContain('0810 001'))
    await online()
    await clock.pass(29_000)
    expect(second.state.open).toBe(true)
    second.link.close('test ends')
  })

  test('that never signs on is not kept', async () => {
    const session = { ...knet.session, signOn: 'peer' } as const
    const { call, state, clock } = await serving({ profile: { session } })
    const first = await call()
    await state('signingOn')
    await clock.pass(30_000)
    await until(() => expect(first.state.open).toBe(false))
    await state('connecting')
  })

  test('may have no sign-on at all: then neither is there a sign-off', async () => {
    const session = { ...knet.session, signOn: 'none' } as const
    const { call, online, connector, clock } = await serving({ profile: { session } })
    const first = await call()
    await online()
    await connector.drain(clock.monotonicMs())
    await until(() => expect(first.state.open).toBe(false))
    expect(first.heard).toEqual([])
  })
})
