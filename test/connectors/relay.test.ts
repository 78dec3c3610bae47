import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { network as knet } from '../../connectors/knet/network.ts'
import type { LegAnswer } from '../../connectors/connector.ts'
import { type NetworkConnector, openConnector } from '../../connectors/network-connector.ts'
import { Relay } from '../../connectors/relay.ts'
import { RelayLink } from '../../connectors/relay-link.ts'
import { readWord, wordOf } from '../../connectors/relay-words.ts'
import type { Link } from '../../iso8583/iso8583.ts'
import { seededRandom } from '../../kernel/random.ts'
import { freePort } from '../../bin/environment/ports.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { ScriptedPeer, testSealer } from './scripted-peer.ts'
import { maybeSent, notSent, pan, sendOn, silence } from './world.ts'

const silentLog = { info: silence, warn: silence, error: silence }
const clock = new ManualClock()
let peer: ScriptedPeer
let nodes: { readonly relay: Relay; readonly connector: NetworkConnector; readonly late: LegAnswer[] }[]

/** Two nodes and a network that allows one session: the first has it, the second stands by. */
beforeEach(async () => {
  peer = await new ScriptedPeer(knet, testSealer('word')).listen()
  const ports = [await freePort(), await freePort()]
  let nextBlock = 1
  const stanBlocks = {
    reserve: (_: string, size: number) => Promise.resolve({ first: (nextBlock += size) - size }),
  }
  nodes = await Promise.all(
    ports.map(async (port, index) => {
      const relay = await Relay.open({
        listen: { host: '127.0.0.1', port },
        nodes: ports.flatMap((other, at) =>
          at === index ? [] : [{ name: `node-${at + 1}`, host: '127.0.0.1', port: other }],
        ),
        ...{ clock, log: silentLog },
      })
      const connector = openConnector(knet, {
        ...{ host: '127.0.0.1', port: peer.port, leased: true, relay },
        ...{ clock, stanBlocks, random: seededRandom(index), sealer: testSealer('word'), log: silentLog },
      })
      const late: LegAnswer[] = []
      connector.onLate((_, answer) => late.push(answer))
      return { relay, connector, late }
    }),
  )
  nodes[0]!.connector.grant(clock.monotonicMs() + 1_000_000)
  await until(() => expect(standby().status().session).toBe('relayed'))
  await until(() =>
    expect(nodes.map(({ connector }) => connector.availability())).toEqual(['available', 'available']),
  )
})
afterEach(async () => {
  const draining = nodes.flatMap(({ connector, relay }) => [connector.drain(0), relay.close()])
  for (let turn = 0; turn < 20; turn++) await clock.pass(1_000)
  await Promise.all(draining)
  await peer.close()
})

const standby = (): NetworkConnector => nodes[1]!.connector

/** The clock goes on by itself, a little at a time. */
const until = (holds: () => void) =>
  vi.waitFor(
    async () => {
      await clock.pass(500)
      holds()
    },
    { timeout: 10_000, interval: 5 },
  )

function purchase() {
  return {
    mti: '0200',
    identity: standby().identify()!,
    fields: {
      ...{ 2: pan, 3: '000000', 4: 12_500n, 12: '123000', 13: '0115', 22: '051', 25: '00' },
      ...{ 37: '601509123456', 41: 'TERM0001', 42: 'MERCHANT0000001', 49: '414' },
    },
  }
}

describe('A2n: a node that stands by', () => {
  test('sends over the line of the node that has it, and is answered as over its own', async () => {
    const outcome = await sendOn(standby(), purchase(), clock.monotonicMs() + 25_000)
    expect(outcome).toMatchObject({ kind: 'answered', answer: { responseCode: '00' } })
    expect(peer.of('0200')).toHaveLength(1)
    expect(peer.of('0800', '001')).toHaveLength(1)
  })

  test('may have sent what the other can not say the end of, and owes what follows of that', async () => {
    peer.script = silence
    const sending = sendOn(standby(), purchase(), clock.monotonicMs() + 25_000)
    await vi.waitFor(() => expect(peer.of('0200')).toHaveLength(1))
    await nodes[0]!.relay.close()
    expect(await sending).toEqual(maybeSent('linkLost'))
    await until(() => expect(standby().status().session).toBe('standby'))
    expect(await sendOn(standby(), purchase(), clock.monotonicMs() + 25_000)).toEqual(notSent('offline'))
  })

  test('waits until its deadline, and hears of an answer that the other gets later', async () => {
    peer.script = silence
    const sending = sendOn(standby(), purchase(), clock.monotonicMs() + 5_000)
    await vi.waitFor(() => expect(peer.of('0200')).toHaveLength(1))
    await until(() => expect(standby().status().inFlight).toBe(0))
    expect(await sending).toEqual(maybeSent('deadline'))
    await vi.waitFor(() => expect(nodes[0]!.connector.status().inFlight).toBe(0))
    await peer.of('0200')[0]!.answer({ 38: 'A00001', 39: '00' })
    await vi.waitFor(() => expect(nodes[1]!.late).toMatchObject([{ responseCode: '00' }]))
    expect(nodes[0]!.late).toEqual([])
  })

  test('does not believe for long what a node said that has become silent', async () => {
    await nodes[0]!.relay.close()
    await until(() => expect(standby().availability()).toBe('offline'))
  })

  test('uses its own line when that becomes its own', async () => {
    nodes[0]!.connector.grant(Number.NEGATIVE_INFINITY)
    await until(() => expect(standby().status().session).toBe('standby'))
    standby().grant(clock.monotonicMs() + 1_000_000)
    await until(() => expect(standby().availability()).toBe('available'))
    await until(() => expect(nodes[0]!.connector.status().session).toBe('relayed'))
  })
})

test('an answer that comes from the other node after our deadline and before its own is heard as a late one', async () => {
  const words: Buffer[] = []
  const late: [string, Buffer][] = []
  const events = { changed: silence, heardLate: (...heard: [string, Buffer]) => void late.push(heard) }
  const relayed = new RelayLink('node-1', clock, events)
  const send = (word: Uint8Array) => Promise.resolve((words.push(Buffer.from(word)), 'written' as const))
  const handlers = relayed.opened({ send } as unknown as Link, silence)
  const asking = relayed.ask(
    'knet',
    { mti: '0200', message: Buffer.from('asked') },
    clock.monotonicMs() + 1_000,
  )
  await clock.pass(1_000)
  expect(await asking).toEqual({ kind: 'maybeSent', reason: 'deadline' })
  const { id } = readWord(words[0]!) as { id: number }
  const answered = wordOf({
    kind: 'outcome',
    id,
    outcome: { kind: 'answered', message: Buffer.from('said') },
  })
  handlers.onMessage(answered)
  handlers.onMessage(answered)
  expect(late).toEqual([['knet', Buffer.from('said')]])
})

test('what nodes say is read as it was said, and nothing else is', () => {
  const message = Buffer.from('0200')
  const words = [
    { kind: 'holds', holds: ['knet'] },
    { kind: 'ask', id: 1, destination: 'knet', mti: '0200', withinMs: 2_500.5, message },
    { kind: 'late', destination: 'knet', message },
    { kind: 'outcome', id: 1, outcome: { kind: 'answered', message } },
    { kind: 'outcome', id: 1, outcome: { kind: 'notSent', reason: 'congested' } },
    { kind: 'outcome', id: 1, outcome: { kind: 'maybeSent', reason: 'linkLost' } },
  ] as const
  expect(words.map((word) => readWord(wordOf(word)))).toEqual(words)
  for (const wrong of ['', '{}', '{"kind":"ask","id":0}', '{"kind":"outcome","id":1,"notSent":"no"}', '[1]'])
    expect(readWord(Buffer.from(wrong))).toBeUndefined()
})
