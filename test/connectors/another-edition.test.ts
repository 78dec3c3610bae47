import { describe, expect, test, vi } from 'vitest'
import { freePort } from '../../bin/environment/ports.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import type { NetworkProfile } from '../../connectors/network.ts'
import { networkFromJson } from '../../connectors/network-file.ts'
import {
  compile,
  connectLink,
  encodeSealed,
  type Link,
  listenLinks,
  type Message,
} from '../../iso8583/iso8583.ts'
import { systemClock } from '../../kernel/clock.ts'
import { testSealer } from './scripted-peer.ts'
import { world } from './world.ts'

/** A member's edition: another frame, another length of DE37, other codes of network management. */
const edition = networkFromJson(
  {
    extends: 'knet',
    frame: 'frame-binary2',
    dialect: { name: 'member-knet', fields: { '37': 'llvar an ..12' } },
    session: { codes: { signOn: '071' } },
  },
  (name) => (name === 'knet' ? knet : undefined),
)

/** What a network of one edition says to whatever comes over a link of that edition. */
function answering(profile: NetworkProfile) {
  const codec = compile(profile.dialect)
  const heard: Message[] = []
  const sealer = testSealer('word')
  async function answer(link: Link, message: Message): Promise<void> {
    heard.push(message)
    const echo = [2, 3, 4, 7, 11, 32, 37, 41, 49, 70].flatMap((de) =>
      message.has(de) ? [[de, message.reveal(de)!] as const] : [],
    )
    const body = { mti: `0${message.mti[1]!}10`, fields: { ...Object.fromEntries(echo), 39: '00' } }
    if (message.mti[1] === '8') await link.send(codec.encode(body))
    else await link.send(await encodeSealed(codec, body, (data) => sealer.seal(data)))
  }
  return {
    handlers: (link: Link) => ({
      onMessage: (bytes: Buffer) => void answer(link, codec.decode(bytes)),
      onClose: () => undefined,
    }),
    of: (mti: string) => heard.filter((message) => message.mti === mti),
  }
}

/** Two editions behind one port would need one frame: the later one is met at the destination's alternate address. */
async function laterPeer() {
  const { handlers, of } = answering(edition)
  const options = { host: '127.0.0.1', port: 0, frame: edition.frame, clock: systemClock }
  const server = await listenLinks(options, handlers)
  return { port: server.port, of, close: () => server.close() }
}

/** A network that connects to us. */
async function caller(profile: NetworkProfile, port: number) {
  const { handlers, of } = answering(profile)
  const link = await connectLink(
    { host: '127.0.0.1', port, frame: profile.frame, clock: systemClock },
    handlers,
  )
  return { link, of }
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 2 })

describe('another edition of a network’s profile', () => {
  test('holds for new connections; one that is open goes on as it began, and each answers in its own', async () => {
    const later = await laterPeer()
    const { connector, peer, send, clock, state } = await world({
      connect: { alternates: [{ host: '127.0.0.1', port: later.port }] },
    })
    await state('online')
    expect(connector.speak(edition)).toEqual([])
    // The connection that is there was not touched: frame, layout and codes are those of before.
    for (let n = 0; n < 3; n++) expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(peer.of('0200')).toHaveLength(3)
    expect(later.of('0800')).toEqual([])
    // It ends, and nobody listens at its address any more.
    await peer.close()
    peer.link.close('test')
    await until(() => expect(connector.status().session).not.toBe('online'))
    await vi.waitFor(
      async () => {
        await clock.pass(1_000)
        expect(connector.status().session).toBe('online')
      },
      { timeout: 10_000, interval: 5 },
    )
    expect(later.of('0800')[0]!.text(70)).toBe('071')
    // The breaker saw the line go: it wants its echoes first.
    await vi.waitFor(
      async () => {
        await clock.pass(1_000)
        expect(await send().settled).toMatchObject({ kind: 'answered' })
      },
      { timeout: 10_000, interval: 5 },
    )
    expect(later.of('0200').at(-1)!.text(37)).toBe('601509123456')
    expect(connector.status()).toMatchObject({ dialect: 'member-knet', anomalies: { orphan: 0, badSeal: 0 } })
    await later.close()
  })

  test('is spoken beside the one before, and a request that was written for a connection which then ended is written anew', async () => {
    const later = await laterPeer()
    const { connector, peer, clock, purchase, send } = await world({
      connect: { sessions: 2, alternates: [{ host: '127.0.0.1', port: later.port }] },
    })
    const online = () => connector.status().sessions.filter(({ state }) => state === 'online').length
    await until(() => expect(online()).toBe(2))
    connector.speak(edition)
    const prepared = await connector.prepare(purchase())
    const [one, other] = peer.links as [Link, Link]
    // The new connection that is tried there first can't be read, and is closed.
    one.close('test')
    await vi.waitFor(
      async () => {
        await clock.pass(1_000)
        expect(online()).toBe(2)
        expect(later.of('0800').length).toBeGreaterThan(0)
      },
      { timeout: 10_000, interval: 5 },
    )
    // One of each edition by now, and both are used.
    for (let n = 0; n < 6; n++) expect(await send().settled).toMatchObject({ kind: 'answered' })
    const [earlierHad, laterHad] = [peer.of('0200').length, later.of('0200').length]
    expect(Math.min(earlierHad, laterHad)).toBeGreaterThan(1)
    other.close('test')
    await until(() => expect(online()).toBe(1))
    const outcome = await connector.send(prepared, clock.monotonicMs() + 25_000)
    expect(outcome).toMatchObject({ kind: 'answered' })
    expect([peer.of('0200').length, later.of('0200').length]).toEqual([earlierHad, laterHad + 1])
    await later.close()
  })

  test('that wants more than new connections is refused with each path, and nothing is changed', async () => {
    const { connector, send, online } = await world()
    await online()
    const other = { ...edition, inFlightMax: 7, rules: { ...edition.rules, approvals: ['00', '11'] } }
    expect(connector.speak(other).map((why) => why.split(':')[0])).toEqual(['rules', 'inFlightMax'])
    expect(connector.status().dialect).toBe(knet.dialect.name)
    expect(await send().settled).toMatchObject({ kind: 'answered' })
  })

  test('of a line that several nodes share is refused: they would have to change at one moment', async () => {
    const { connector } = await world({ connect: { leased: true } })
    expect(connector.speak(edition).join()).toContain('nodes share')
  })

  test('holds for the next connection of a network that connects to us, frame and all', async () => {
    const port = await freePort()
    const { connector, clock, send, state } = await world({
      listening: false,
      connect: { port, serve: {} },
    })
    const first = await reached(() => caller(knet, port))
    await state('online')
    expect(connector.speak(edition)).toEqual([])
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(first.of('0200')).toHaveLength(1)
    first.link.close('test')
    await until(() => expect(connector.status().session).not.toBe('online'))
    const second = await caller(edition, port)
    await state('online')
    await vi.waitFor(
      async () => {
        await clock.pass(1_000)
        expect(await send().settled).toMatchObject({ kind: 'answered' })
      },
      { timeout: 10_000, interval: 5 },
    )
    expect(second.of('0800')[0]!.text(70)).toBe('071')
    expect(second.of('0200').length).toBeGreaterThan(0)
    expect(connector.status().anomalies).toMatchObject({ orphan: 0, badSeal: 0 })
    second.link.close('test')
  })
})

/** Until the connector listens. */
async function reached<Reached>(reach: () => Promise<Reached>): Promise<Reached> {
  for (let tries = 0; ; tries++) {
    try {
      return await reach()
    } catch (error) {
      if (tries === 200) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
