import { describe, expect, test, vi } from 'vitest'
import { TlsCredentials } from '../../iso8583/iso8583.ts'
import { systemClock } from '../../kernel/clock.ts'
import { TestAuthority } from '../../bin/environment/test-authority.ts'
import { world } from './world.ts'

const authority = new TestAuthority()
const ours = () => new TlsCredentials(authority.material({ name: 'switch.test', use: 'client' }), systemClock)
const theirs = () =>
  new TlsCredentials(authority.material({ name: 'network.test', use: 'server' }), systemClock)
const peers = [{ name: 'switch', dnsName: 'switch.test', connectionsMax: 10 }]

describe('a session under TLS', () => {
  test('signs on and asks, and its certificates are replaced under load without a request lost', async () => {
    const [own, network] = [ours(), theirs()]
    const { connector, peer, send } = await world({
      listen: { tls: { credentials: network }, peers },
      connect: { sessions: 2, tls: { credentials: own, dnsName: 'network.test' } },
    })
    const states = () => connector.status().sessions.map(({ state }) => state)
    await vi.waitFor(() => expect(states()).toEqual(['online', 'online']), { timeout: 5_000 })
    const outcomes: string[] = []
    for (let round = 0; round < 20; round++) {
      const sendings = Array.from({ length: 10 }, () => send())
      if (round === 10) {
        own.replace(authority.material({ name: 'switch.test', use: 'client' }))
        network.replace(authority.material({ name: 'network.test', use: 'server' }))
      }
      for (const { settled } of sendings) outcomes.push((await settled).kind)
    }
    expect(outcomes).toEqual(new Array(200).fill('answered'))
    expect(peer.links).toHaveLength(2)
    expect(peer.links.every(({ open, peerName }) => open && peerName === 'switch')).toBe(true)
  })

  test('that is made after a replacement shows the new certificate', async () => {
    const next = authority.issue({ name: 'switch.test' })
    const [own, network] = [ours(), theirs()]
    const pinned = [{ ...peers[0]!, fingerprints: [next.fingerprint] }]
    const { online, state, clock } = await world({
      listen: { tls: { credentials: network }, peers: pinned },
      connect: { tls: { credentials: own, dnsName: 'network.test' } },
    })
    await state('down')
    own.replace({ ...next, ca: authority.certificate })
    await vi.waitFor(async () => {
      await clock.pass(6_000)
      await online()
    })
  })

  test('is never made with a network whose certificate is another’s: the log says why, and nothing is sent', async () => {
    const { connector, state, log, peer, clock } = await world({
      listen: { tls: { credentials: theirs() }, peers },
      connect: { tls: { credentials: ours(), dnsName: 'elsewhere.test' } },
    })
    await vi.waitFor(() => expect(log.some(({ text }) => text === 'no connection')).toBe(true))
    await state('down')
    expect(log.find(({ text }) => text === 'no connection')).toMatchObject({
      level: 'error',
      details: { fault: { kind: 'handshake', code: 'PEER_NAME' } },
    })
    await clock.pass(30_000, 500)
    expect(connector.availability()).toBe('offline')
    expect(peer.requests).toEqual([])
  })
})
