import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ascii4Frame, binary2Frame } from '../../iso8583/frame-formats.ts'
import { type Link, type LinkCloseReason, LinkError } from '../../iso8583/link.ts'
import { connectLink } from '../../iso8583/link-client.ts'
import { listenLinks, type ListenOptions, type LinkServer, type Refusal } from '../../iso8583/link-server.ts'
import { systemClock } from '../../kernel/clock.ts'
import { ManualClock } from '../support/manual-clock.ts'

interface Accepted {
  readonly link: Link
  readonly received: string[]
  readonly closes: LinkCloseReason[]
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A listener that answers every message with `re:` and the message. */
async function world(options: Partial<ListenOptions> = {}) {
  const accepted: Accepted[] = []
  const refusals: Refusal[] = []
  const server: LinkServer = await listenLinks(
    {
      host: '127.0.0.1',
      port: 0,
      frame: binary2Frame,
      clock: systemClock,
      onRefused: ({ why }) => refusals.push(why),
      ...options,
    },
    (link) => {
      const peer: Accepted = { link, received: [], closes: [] }
      accepted.push(peer)
      return {
        onMessage(body) {
          peer.received.push(body.toString())
          void link.send(Buffer.from(`re:${body.toString()}`))
        },
        onClose: (reason) => peer.closes.push(reason),
      }
    },
  )
  cleanups.push(() => server.close())

  const raw = async (): Promise<Socket & { readonly heard: Buffer[]; gone: boolean }> => {
    const socket = Object.assign(createConnection(server.port, '127.0.0.1'), {
      heard: [] as Buffer[],
      gone: false,
    })
    socket.setNoDelay(true)
    socket.on('data', (piece: Buffer) => socket.heard.push(piece))
    socket.on('close', () => {
      socket.gone = true
    })
    socket.on('error', () => undefined)
    cleanups.push(() => socket.destroy())
    // A connection that is turned away may never have been one from here.
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
    return socket
  }
  const client = async () => {
    const received: string[] = []
    const closes: LinkCloseReason[] = []
    const link = await connectLink(
      { host: '127.0.0.1', port: server.port, frame: binary2Frame, clock: systemClock },
      () => ({
        onMessage: (body) => received.push(body.toString()),
        onClose: (reason) => closes.push(reason),
      }),
    )
    return { link, received, closes }
  }
  return { server, accepted, refusals, raw, client }
}

const frame = (text: string): Buffer => {
  const body = Buffer.from(text)
  const header = Buffer.alloc(2)
  header.writeUInt16BE(body.length)
  return Buffer.concat([header, body])
}

async function listening(server: Server): Promise<number> {
  cleanups.push(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as { port: number }).port
}

describe('a link', () => {
  test('carries messages both ways and says when the kernel has them', async () => {
    const { client, accepted } = await world()
    const { link, received } = await client()
    expect(await link.send(Buffer.from('one'))).toBe('written')
    expect(await link.send(Buffer.from('two'))).toBe('written')
    await vi.waitFor(() => expect(received).toEqual(['re:one', 're:two']))
    expect(accepted[0]!.received).toEqual(['one', 'two'])
    expect(link.peer).toMatch(/^127\.0\.0\.1:\d+$/)
  })

  test('puts length and body into one segment', async () => {
    const pieces: Buffer[] = []
    const port = await listening(
      createServer((socket) => void socket.on('data', (piece) => pieces.push(piece))),
    )
    const link = await connectLink(
      { host: '127.0.0.1', port, frame: ascii4Frame, clock: systemClock },
      () => ({
        onMessage: () => undefined,
        onClose: () => undefined,
      }),
    )
    cleanups.push(() => link.close('test ends'))
    await link.send(Buffer.from('abc'))
    await vi.waitFor(() => expect(pieces.map(String)).toEqual(['0003abc']))
  })

  test('delivers nothing after it was closed, even from the same piece of the stream', async () => {
    const { raw, server } = await world()
    const received: string[] = []
    const closing = await listenLinks(
      { host: '127.0.0.1', port: 0, frame: binary2Frame, clock: systemClock },
      (link) => ({
        onMessage(body) {
          received.push(body.toString())
          link.close('one is enough')
        },
        onClose: () => undefined,
      }),
    )
    cleanups.push(() => closing.close())
    const socket = createConnection(closing.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(Buffer.concat([frame('one'), frame('two')]))
    await new Promise((resolve) => socket.once('close', resolve))
    expect(received).toEqual(['one'])
    expect(server.links.size).toBe(0)
    expect((await raw()).destroyed).toBe(false)
  })

  test('sends nothing once closed, and lets out what was sent before', async () => {
    const { client, accepted } = await world()
    const { link, closes } = await client()
    const before = link.send(Buffer.from('last words'))
    link.close('test')
    expect(link.open).toBe(false)
    expect(await link.send(Buffer.from('too late'))).toBe('notSent')
    expect(await before).toBe('written')
    await vi.waitFor(() => expect(accepted[0]!.closes).toEqual([{ kind: 'ended' }]))
    expect(accepted[0]!.received).toEqual(['last words'])
    expect(closes).toEqual([{ kind: 'closed', why: 'test' }])
  })

  test('does not send a body that no frame can hold', async () => {
    const { client } = await world()
    const { link } = await client()
    expect(await link.send(Buffer.alloc(8_193))).toBe('notSent')
    expect(await link.send(Buffer.alloc(0))).toBe('notSent')
    expect(link.open).toBe(true)
  })

  test('stops sending to a peer that does not read, and what was taken then fails with the connection', async () => {
    const sockets: Socket[] = []
    const port = await listening(
      createServer((socket) => {
        socket.on('error', () => undefined)
        socket.pause()
        sockets.push(socket)
      }),
    )
    const link = await connectLink(
      {
        host: '127.0.0.1',
        port,
        frame: binary2Frame,
        clock: systemClock,
        limits: { unsentBytesMax: 32 * 1024 },
      },
      () => ({ onMessage: () => undefined, onClose: () => undefined }),
    )
    const sent: Promise<string>[] = []
    let outcome: string | undefined
    while (outcome === undefined && sent.length < 10_000) {
      const sending = link.send(Buffer.alloc(8_000))
      sent.push(sending)
      outcome = await Promise.race([
        sending,
        new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined))),
      ])
      if (outcome === 'written') outcome = undefined
    }
    expect(outcome).toBe('notSent')
    expect(link.open).toBe(true)
    sockets[0]!.resetAndDestroy()
    const outcomes = new Set(await Promise.all(sent))
    expect(outcomes).toEqual(new Set(['written', 'failed', 'notSent']))
    await vi.waitFor(() => expect(link.open).toBe(false))
  })

  test('that nobody accepts is a connect fault', async () => {
    const server = createServer()
    const port = await listening(server)
    await new Promise((resolve) => server.close(resolve))
    const connecting = connectLink(
      { host: '127.0.0.1', port, frame: binary2Frame, clock: systemClock },
      () => ({
        onMessage: () => undefined,
        onClose: () => undefined,
      }),
    )
    await expect(connecting).rejects.toSatisfy(
      (error) =>
        error instanceof LinkError &&
        error.fault.kind === 'connect' &&
        error.message === 'link: connect (ECONNREFUSED)',
    )
  })
})

describe('a bad peer loses its connection and disturbs nobody', () => {
  async function beside(options: Partial<ListenOptions>, misbehave: (socket: Socket) => void) {
    const all = await world(options)
    const good = await all.client()
    const bad = await all.raw()
    misbehave(bad)
    await vi.waitFor(() => expect(all.accepted[1]?.closes).toHaveLength(1))
    await good.link.send(Buffer.from('still here'))
    await vi.waitFor(() => expect(good.received).toEqual(['re:still here']))
    await vi.waitFor(() => expect(all.server.links.size).toBe(1))
    return all.accepted[1]!
  }

  test('F01: garbage where a length should be', async () => {
    const peer = await beside({}, (socket) => socket.write('GET / HTTP/1.1\r\n\r\n'))
    expect(peer.closes).toEqual([
      { kind: 'frame', fault: { kind: 'tooLong', bodyBytes: 0x4745, frameBytesMax: 8192 } },
    ])
  })

  test('a length of zero', async () => {
    const peer = await beside({}, (socket) => socket.write(Buffer.alloc(2)))
    expect(peer.closes).toEqual([{ kind: 'frame', fault: { kind: 'tooShort', bodyBytes: 0 } }])
  })

  test('a good message, then garbage: the message counts', async () => {
    const peer = await beside({}, (socket) => socket.write(Buffer.concat([frame('good'), Buffer.alloc(2)])))
    expect(peer.received).toEqual(['good'])
    expect(peer.closes[0]).toMatchObject({ kind: 'frame' })
  })

  test('F03: half a message, then the end', async () => {
    const peer = await beside({}, (socket) => socket.end(frame('half').subarray(0, 4)))
    expect(peer).toMatchObject({ received: [], closes: [{ kind: 'ended' }] })
  })

  test('F03: half a message, then a reset', async () => {
    const peer = await beside({}, (socket) => {
      socket.write(frame('half').subarray(0, 4), () => socket.resetAndDestroy())
    })
    expect(peer).toMatchObject({ received: [], closes: [{ kind: 'broken', code: 'ECONNRESET' }] })
  })
})

describe('patience has limits', () => {
  async function patient() {
    const clock = new ManualClock()
    const all = await world({ clock, limits: { firstByteMs: 1_000, partialFrameMs: 200, idleMs: 3_000 } })
    const socket = await all.raw()
    await vi.waitFor(() => expect(all.accepted).toHaveLength(1))
    const heard = async (count: number) =>
      vi.waitFor(() => expect(all.accepted[0]!.received).toHaveLength(count))
    return { clock, socket, heard, peer: all.accepted[0]! }
  }

  test('with a peer that says nothing', async () => {
    const { clock, peer } = await patient()
    clock.advance(999)
    expect(peer.closes).toEqual([])
    clock.advance(1)
    expect(peer.closes).toEqual([{ kind: 'silent', limit: 'firstByteMs' }])
  })

  test('F02: with a frame that trickles in, however steadily', async () => {
    const { clock, socket, peer, heard } = await patient()
    socket.write(frame('first'))
    await heard(1)
    for (const byte of frame('slow loris').subarray(0, 8)) {
      expect(clock.monotonicMs() >= 150 || peer.closes.length === 0).toBe(true)
      socket.write(Buffer.of(byte))
      await new Promise((resolve) => setTimeout(resolve, 5))
      clock.advance(50)
    }
    expect(peer).toMatchObject({ received: ['first'], closes: [{ kind: 'silent', limit: 'partialFrameMs' }] })
  })

  test('and a link that has closed waits for nothing', async () => {
    const { clock, socket, peer, heard } = await patient()
    socket.write(Buffer.concat([frame('one'), frame('two').subarray(0, 3)]))
    await heard(1)
    expect(clock.waiting).toBe(1)
    socket.destroy()
    await vi.waitFor(() => expect(peer.closes).toHaveLength(1))
    await vi.waitFor(() => expect(clock.waiting).toBe(0))
  })

  test('with a peer that went quiet', async () => {
    const { clock, socket, peer, heard } = await patient()
    socket.write(frame('one'))
    await heard(1)
    clock.advance(2_900)
    socket.write(frame('two'))
    await heard(2)
    clock.advance(2_999)
    expect(peer.closes).toEqual([])
    clock.advance(1)
    expect(peer.closes).toEqual([{ kind: 'silent', limit: 'idleMs' }])
    expect(clock.waiting).toBe(0)
  })
})

describe('a listener takes only so many', () => {
  async function crowd(limits: ListenOptions['limits'], callers: number, more: Partial<ListenOptions> = {}) {
    const clock = new ManualClock()
    const all = await world({ clock, limits: limits!, ...more })
    const sockets = []
    for (let caller = 0; caller < callers; caller++) sockets.push(await all.raw())
    await vi.waitFor(() => expect(all.accepted.length + all.refusals.length).toBe(callers))
    return { ...all, sockets, clock }
  }

  test('connections', async () => {
    const { refusals, accepted, sockets, raw } = await crowd({ connectionsMax: 2 }, 3)
    expect(refusals).toEqual(['connections'])
    await vi.waitFor(() => expect(sockets[2]!.gone).toBe(true))
    sockets[0]!.destroy()
    await vi.waitFor(() => expect(accepted[0]!.closes).toHaveLength(1))
    await raw()
    await vi.waitFor(() => expect(accepted).toHaveLength(3))
  })

  test('connections from one address', async () => {
    const { refusals } = await crowd({ connectionsPerAddressMax: 2 }, 4)
    expect(refusals).toEqual(['connectionsOfAddress', 'connectionsOfAddress'])
  })

  test('new connections from one address in a second', async () => {
    const { refusals, accepted, clock, raw } = await crowd({ acceptsPerAddressPerSecondMax: 3 }, 5)
    expect(refusals).toEqual(['acceptsOfAddress', 'acceptsOfAddress'])
    clock.advance(1_000)
    await raw()
    await vi.waitFor(() => expect(accepted).toHaveLength(4))
  })

  describe('of one address that begins frames and does not end them', () => {
    const hour = 3_600_000
    const patience = { firstByteMs: hour, idleMs: hour, partialFrameMs: 1_000 }
    const limits = { ...patience, unfinishedPerAddressMax: 2, turnAwayMs: 10_000 }
    type Crowd = Awaited<ReturnType<typeof crowd>>

    /** One more connection that is closed in the middle of a frame: its first, or that after `before`. */
    async function unfinished({ accepted, clock, raw }: Crowd, before?: Buffer): Promise<void> {
      const socket = await raw()
      await vi.waitFor(() => expect(accepted.at(-1)!.closes).toEqual([]))
      if (before !== undefined) {
        socket.write(before)
        await vi.waitFor(() => expect(accepted.at(-1)!.received).toHaveLength(1))
      }
      socket.write(frame('one').subarray(0, 3))
      await vi.waitFor(() => {
        clock.advance(1_000)
        expect(accepted.at(-1)!.closes).toMatchObject([{ kind: 'silent', limit: 'partialFrameMs' }])
      })
    }

    test('no more for a while, and then one at a time', async () => {
      const all = await crowd(limits, 0)
      const { accepted, clock, raw, refusals } = all
      await unfinished(all)
      await unfinished(all)
      await raw()
      await vi.waitFor(() => expect(refusals).toEqual(['unfinishedOfAddress']))
      clock.advance(10_000)
      await unfinished(all)
      await raw()
      await vi.waitFor(() => expect(refusals).toHaveLength(2))
      expect(accepted).toHaveLength(3)
    })

    test('all of them, while a line of that address works', async () => {
      const all = await crowd(limits, 1)
      const { accepted, raw, refusals, sockets } = all
      sockets[0]!.write(frame('good'))
      await vi.waitFor(() => expect(accepted[0]!.received).toHaveLength(1))
      for (let times = 0; times < 4; times++) await unfinished(all)
      sockets[0]!.destroy()
      await vi.waitFor(() => expect(accepted[0]!.closes).toHaveLength(1))
      await raw()
      await vi.waitFor(() => expect(accepted).toHaveLength(6))
      expect(refusals).toEqual([])
    })

    test('all of them of a peer that is known', async () => {
      const peers = [{ name: 'bank', addresses: ['127.0.0.1'], connectionsMax: 9 }]
      const all = await crowd(limits, 0, { peers })
      for (let times = 0; times < 3; times++) await unfinished(all)
      await all.raw()
      await vi.waitFor(() => expect(all.accepted).toHaveLength(4))
      expect(all.refusals).toEqual([])
    })

    test('as many as before once a whole frame has come', async () => {
      const all = await crowd(limits, 0)
      await unfinished(all)
      await unfinished(all, frame('whole'))
      await unfinished(all)
      await all.raw()
      await vi.waitFor(() => expect(all.accepted).toHaveLength(4))
      expect(all.refusals).toEqual([])
    })
  })

  test('a port that is taken is a listen fault', async () => {
    const { server } = await world()
    const second = listenLinks(
      { host: '127.0.0.1', port: server.port, frame: binary2Frame, clock: systemClock },
      () => ({
        onMessage: () => undefined,
        onClose: () => undefined,
      }),
    )
    await expect(second).rejects.toMatchObject({ fault: { kind: 'listen', code: 'EADDRINUSE' } })
  })
})
