import { createConnection, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { binary2Frame } from '../../iso8583/frame-formats.ts'
import type { Link, LinkCloseReason } from '../../iso8583/link.ts'
import { ConnectionBudget } from '../../iso8583/link-gate.ts'
import { isLoopback, Peers } from '../../iso8583/link-peers.ts'
import { listenLinks, type ListenOptions, type RefusedConnection } from '../../iso8583/link-server.ts'
import { ManualClock } from '../support/manual-clock.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function world(options: Partial<ListenOptions> = {}) {
  const clock = new ManualClock()
  const refused: RefusedConnection[] = []
  const accepted: { link: Link; heard: string[]; closes: LinkCloseReason[] }[] = []
  const server = await listenLinks(
    {
      host: '127.0.0.1',
      port: 0,
      frame: binary2Frame,
      clock,
      onRefused: (refusal) => refused.push(refusal),
      ...options,
    },
    (link) => {
      const peer = { link, heard: [] as string[], closes: [] as LinkCloseReason[] }
      accepted.push(peer)
      return {
        onMessage: (body) => peer.heard.push(body.toString()),
        onClose: (reason) => peer.closes.push(reason),
      }
    },
  )
  cleanups.push(() => server.close())
  const connect = async (localAddress = '127.0.0.1'): Promise<Socket> => {
    const before = accepted.length + refused.length
    const socket = createConnection({ port: server.port, host: '127.0.0.1', localAddress })
    socket.on('error', () => undefined)
    cleanups.push(() => socket.destroy())
    await vi.waitFor(() => expect(accepted.length + refused.length).toBe(before + 1))
    return socket
  }
  return { server, clock, refused, accepted, connect }
}

const ping = Buffer.from('\0\u0004ping')

describe('a peer that is known by its address', () => {
  const peers = [
    { name: 'bank one', addresses: ['127.0.0.2'] },
    { name: 'bank two', addresses: ['127.0.1.0/24'], connectionsMax: 2 },
  ]

  test('is named on its links, and a stranger has none', async () => {
    const { accepted, refused, connect } = await world({ peers })
    await connect('127.0.0.2')
    await connect('127.0.1.77')
    await connect('127.0.0.3')
    expect(accepted.map(({ link }) => link.peerName)).toEqual(['bank one', 'bank two'])
    expect(refused).toEqual([{ address: '127.0.0.3', why: 'unknownPeer' }])
  })

  test('has as many connections as it may, wherever in its network they come from', async () => {
    const { accepted, refused, connect } = await world({ peers })
    await connect('127.0.1.1')
    await connect('127.0.1.2')
    await connect('127.0.1.3')
    expect(accepted).toHaveLength(2)
    expect(refused).toEqual([{ address: '127.0.1.3', why: 'connectionsOfPeer', peerName: 'bank two' }])
  })

  test('keeps the connection that lives: a newcomer gets its place only once it has long been quiet', async () => {
    const { accepted, refused, connect, clock } = await world({ peers })
    const first = await connect('127.0.0.2')
    clock.advance(25_000)
    first.write(ping)
    await vi.waitFor(() => expect(accepted[0]!.heard).toEqual(['ping']))
    clock.advance(59_999)
    await connect('127.0.0.2')
    expect(refused).toMatchObject([{ why: 'connectionsOfPeer' }])
    expect(accepted[0]!.closes).toEqual([])
    clock.advance(1)
    await connect('127.0.0.2')
    expect(accepted[0]!.closes).toEqual([
      { kind: 'closed', why: 'replaced by a newer connection of the same peer' },
    ])
    expect(accepted[1]!.link.open).toBe(true)
  })

  test('is suspect when its session says so, and not by being quiet', async () => {
    const suspects = new Set<Link>()
    const { accepted, connect, clock, refused } = await world({
      peers,
      isSuspect: (link) => suspects.has(link),
    })
    const first = await connect('127.0.0.2')
    first.write(ping)
    await vi.waitFor(() => expect(accepted[0]!.heard).toHaveLength(1))
    clock.advance(200_000)
    await connect('127.0.0.2')
    expect(refused).toHaveLength(1)
    suspects.add(accepted[0]!.link)
    await connect('127.0.0.2')
    expect(accepted).toHaveLength(2)
  })
})

test('listeners that share a budget hold no more than it together, and what closes is given back', async () => {
  const budget = new ConnectionBudget(3)
  const [one, two] = [await world({ budget }), await world({ budget })]
  const first = await one.connect()
  await one.connect()
  await two.connect()
  await two.connect()
  expect(two.refused).toEqual([{ address: '127.0.0.1', why: 'connectionsOfProcess' }])
  first.destroy()
  await vi.waitFor(() => expect(one.accepted[0]!.closes).toHaveLength(1))
  await vi.waitFor(async () => {
    await two.connect()
    expect(two.accepted).toHaveLength(2)
  })
})

test('a peer that declares a long frame, and many that do, cost what they sent', async () => {
  const { accepted, connect, clock } = await world()
  const sockets = []
  for (let n = 0; n < 20; n++) sockets.push(await connect())
  const before = process.memoryUsage().arrayBuffers
  // 8,192 bytes are declared; ten come.
  for (const socket of sockets) socket.write(Buffer.concat([Buffer.of(0x20, 0x00), Buffer.alloc(10, 0x30)]))
  await vi.waitFor(async () => {
    await clock.pass(5_000)
    for (const { closes } of accepted) expect(closes).toEqual([{ kind: 'silent', limit: 'partialFrameMs' }])
  })
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 2 * 8_192)
})

test('an allow-list that is no list of addresses is refused when it is read', () => {
  expect(() => new Peers([{ name: 'bank', addresses: ['bank.test'] }])).toThrow(RangeError)
  expect(() => new Peers([{ name: 'bank', addresses: ['10.0.0.0/33'] }])).toThrow()
})

test('an address of this machine is told from every other', () => {
  for (const own of ['127.0.0.1', '127.255.255.254', '::1', 'localhost']) expect(isLoopback(own)).toBe(true)
  for (const other of [
    '126.255.255.255',
    '128.0.0.0',
    '::',
    '::2',
    '0.0.0.0',
    'localhost.',
    '0x7f000001',
    '127.1',
  ])
    expect(isLoopback(other)).toBe(false)
})
