import { afterEach, expect, vi } from 'vitest'
import type { LegAnswer, LegOutcome, OutboundLeg, Sealer, StanBlocks } from '../../connectors/connector.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import type { NetworkProfile } from '../../connectors/network.ts'
import {
  type ConnectorOptions,
  type NetworkConnector,
  openConnector,
} from '../../connectors/network-connector.ts'
import { type Random, seededRandom } from '../../kernel/random.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { ScriptedPeer, testSealer } from './scripted-peer.ts'

export const pan = '9999990000000014'
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface WorldOptions {
  readonly profile?: Partial<NetworkProfile>
  readonly sealer?: Sealer
  readonly stanBlocks?: StanBlocks
  readonly random?: Random
  readonly connect?: Partial<ConnectorOptions>
  /** Before the connector is opened. */
  readonly peer?: (peer: ScriptedPeer) => unknown
  readonly listening?: boolean
  readonly listen?: Parameters<ScriptedPeer['listen']>[0]
}

/** A connector on a clock that the test moves, and a real peer at the other end of a real socket. */
export async function world({
  profile = {},
  peer: prepare,
  listening = true,
  connect,
  listen,
  ...options
}: WorldOptions = {}) {
  const network = { ...knet, ...profile }
  const clock = new ManualClock()
  const peer = await new ScriptedPeer(network, testSealer('word')).listen(listen)
  cleanups.push(() => peer.close())
  if (!listening) await peer.close()
  prepare?.(peer)
  const log: { level: string; details: object; text: string }[] = []
  const at = (level: string) => (details: object, text: string) => void log.push({ level, details, text })
  let nextBlock = 1
  const connector: NetworkConnector = openConnector(network, {
    host: '127.0.0.1',
    port: peer.port,
    clock,
    random: seededRandom(1),
    sealer: testSealer('word'),
    stanBlocks: {
      reserve: (_, size) => {
        nextBlock += size
        return Promise.resolve({ first: nextBlock - size })
      },
    },
    log: { info: at('info'), warn: at('warn'), error: at('error') },
    ...options,
    ...connect,
  })
  cleanups.push(async () => {
    peer.networkManagement = '00'
    const draining = connector.drain(0)
    for (let turn = 0; turn < 20; turn++) await clock.pass(1_000)
    await draining
  })
  let available = 0
  connector.onAvailable(() => {
    available++
  })
  const late: [string, LegAnswer][] = []
  connector.onLate(({ stan }, answer) => late.push([stan, answer]))

  const purchase = (changes: Partial<OutboundLeg> = {}): OutboundLeg => ({
    mti: '0200',
    identity: connector.identify()!,
    fields: {
      2: pan,
      3: '000000',
      4: 12_500n,
      12: '123000',
      13: '0115',
      22: '051',
      25: '00',
      37: '601509123456',
      41: 'TERM0001',
      42: 'MERCHANT0000001',
      49: '414',
    },
    ...changes,
  })
  const send = (leg = purchase(), timeoutMs = 25_000) => {
    const sending: { outcome: LegOutcome | undefined; settled: Promise<LegOutcome> } = {
      outcome: undefined,
      settled: sendOn(connector, leg, clock.monotonicMs() + timeoutMs),
    }
    void sending.settled.then((outcome) => {
      sending.outcome = outcome
    })
    return sending
  }
  const state = (session: string) =>
    vi.waitFor(() => expect(connector.status().session).toBe(session), { timeout: 5_000, interval: 2 })
  const online = () => state('online')
  /** Waits until the peer has had so many requests of a kind. */
  const heard = (count: number, mti: string, code?: string) =>
    vi.waitFor(() => expect(peer.of(mti, code)).toHaveLength(count), { timeout: 5_000, interval: 2 })
  return {
    connector,
    peer,
    clock,
    log,
    late,
    purchase,
    send,
    state,
    online,
    heard,
    available: () => available,
    texts: (level: string) => log.filter((line) => line.level === level).map(({ text }) => text),
  }
}

export const notSent = (reason: string) => ({ kind: 'notSent', reason })
/** What went out is told masked, whatever became of it. */
export const maybeSent = (reason: string) => ({
  kind: 'maybeSent',
  reason,
  sent: expect.stringMatching(/^0[24]\d\d 2=999999\*+0014 /) as string,
})
export const silence = () => undefined

export async function sendOn(
  connector: NetworkConnector,
  leg: OutboundLeg,
  deadline: number,
): Promise<LegOutcome> {
  return connector.send(await connector.prepare(leg), deadline)
}
