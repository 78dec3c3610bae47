import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { binary2Frame, bundledFrames, encodeFrame, FrameReader } from '../../iso8583/iso8583.ts'
import { type Faults, readFaults } from '../../simulators/chaosproxy/faults.ts'
import { FrameCutter } from '../../simulators/chaosproxy/frame-cutter.ts'
import { openChaosproxy, type ProxyProcess } from '../../simulators/chaosproxy/process.ts'
import { ChaosProxy } from '../../simulators/chaosproxy/proxy.ts'
import { Config } from '../../simulators/config.ts'
import { eventually } from './eventually.ts'

/** One end of a connection, and all that it has seen. */
interface End {
  readonly socket: Socket
  readonly bytes: Buffer
  /** How many pieces the bytes came in. */
  pieces: number
  ended: boolean
  closed: 'no' | 'orderly' | 'reset'
}

function endOf(socket: Socket): End {
  let came: Buffer[] = []
  const end = {
    ...{ socket, pieces: 0, ended: false, closed: 'no' as End['closed'] },
    get bytes() {
      if (came.length > 1) came = [Buffer.concat(came)]
      return came[0] ?? Buffer.alloc(0)
    },
  }
  let failed = false
  socket.on('data', (piece: Buffer) => {
    came.push(piece)
    end.pieces++
  })
  socket.on('end', () => (end.ended = true))
  socket.on('error', () => (failed = true))
  socket.on('close', () => (end.closed = failed ? 'reset' : 'orderly'))
  return end
}

let server: Server
let arrived: End[]
let proxy: ChaosProxy
let clients: End[]

async function restart(seed = 7): Promise<void> {
  await proxy.close()
  await open(seed)
}

async function open(seed: number): Promise<void> {
  arrived = []
  const { port } = server.address() as { port: number }
  const target = { host: '127.0.0.1', port }
  proxy = await ChaosProxy.open({ host: '127.0.0.1', port: 0, target, frame: binary2Frame, seed })
}

beforeEach(async () => {
  clients = []
  server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => arrived.push(endOf(socket)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await open(7)
})
afterEach(async () => {
  for (const { socket } of [...clients, ...arrived]) socket.destroy()
  await proxy.close()
  server.close()
})

function dial(): Promise<End> {
  const socket = connect({ host: '127.0.0.1', port: proxy.port, noDelay: true, allowHalfOpen: true })
  const end = endOf(socket)
  clients.push(end)
  // A connection that is reset at once may never be seen to have been made.
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(end))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? resolve(end) : reject(error),
    )
  })
}

/** A connection through the proxy: who made it, and who was behind it. */
async function pair(): Promise<{ client: End; behind: End }> {
  const before = arrived.length
  const client = await dial()
  await eventually(() => arrived).toHaveLength(before + 1)
  return { client, behind: arrived[before]! }
}

const faults = (what: object): Faults => readFaults(new Config(what))
const set = (what: object): Promise<void> => proxy.set(faults(what))
const text = (count: number): Buffer =>
  Buffer.from('0123456789'.repeat(Math.ceil(count / 10)).slice(0, count))
const body = (index: number): Buffer => Buffer.from(`0200 message ${index}`)
const framed = (from: number, to: number): Buffer =>
  Buffer.concat(
    Array.from({ length: to - from }, (_, index) => encodeFrame(binary2Frame, body(from + index))),
  )
/** The numbers of the messages that came, in the order in which they came. */
const numbers = (bytes: Buffer): number[] =>
  new FrameReader(binary2Frame).push(bytes).map((came) => Number(came.toString().split(' ')[2]))

test('without faults bytes, ends and resets pass both ways as they are', async () => {
  const { client, behind } = await pair()
  client.socket.write(text(300_000))
  behind.socket.write(text(1_000))
  await eventually(() => [behind.bytes.length, client.bytes.length]).toEqual([300_000, 1_000])
  expect(behind.bytes.equals(text(300_000))).toBe(true)
  client.socket.end()
  await eventually(() => behind.ended).toBe(true)
  behind.socket.write('last')
  await eventually(() => client.bytes.subarray(-4).toString()).toBe('last')
  behind.socket.resetAndDestroy()
  await eventually(() => client.closed).toBe('reset')
  await eventually(() => proxy.status().connections).toBe(0)
})

describe('time', () => {
  test('latency makes each piece later, by its own time and jitter, and keeps the order', async () => {
    await set({ toServer: { latency: { ms: 60, jitterMs: 40 } } })
    const { client, behind } = await pair()
    const startedAt = performance.now()
    for (const digit of '123456') {
      client.socket.write(digit)
      await sleep(5)
    }
    await eventually(() => behind.bytes.length).toBe(6)
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(60)
    expect(behind.bytes.toString()).toBe('123456')
  })

  test('bandwidth lets so many bytes through a second, and a change is felt at once', async () => {
    await set({ toClient: { bandwidth: { bytesPerSecond: 2_000 } } })
    const { client, behind } = await pair()
    const startedAt = performance.now()
    // At this rate it would take two minutes.
    behind.socket.write(text(240_000))
    await eventually(() => client.bytes.length).toBeGreaterThanOrEqual(400)
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(150)
    expect(client.bytes.length).toBeLessThan(240_000)
    await set({})
    await eventually(() => client.bytes.length).toBe(240_000)
  })

  test('slices of 1 to 7 bytes arrive one by one, whole and in order', async () => {
    await set({ toServer: { slice: { everyMs: 1 } } })
    const { client, behind } = await pair()
    client.socket.write(text(140))
    await eventually(() => behind.bytes.length).toBe(140)
    expect(behind.bytes.equals(text(140))).toBe(true)
    // 20 to 140 slices were written; the system may put some together again.
    expect(behind.pieces).toBeGreaterThan(10)
  })
})

describe('silence', () => {
  test('a blackhole swallows one direction alone, and resets what lost bytes when it is lifted', async () => {
    await set({ toServer: { blackhole: true } })
    const [lossy, quiet] = [await pair(), await pair()]
    lossy.client.socket.write('lost')
    lossy.behind.socket.write('heard')
    await eventually(() => lossy.client.bytes.toString()).toBe('heard')
    await eventually(() => proxy.status().toServer.swallowed).toBe(4)
    expect(lossy.behind.bytes.length).toBe(0)
    await set({})
    await eventually(() => [lossy.client.closed, lossy.behind.closed]).toEqual(['reset', 'reset'])
    quiet.client.socket.write('later')
    await eventually(() => quiet.behind.bytes.toString()).toBe('later')
  })

  test('an end that is gone behind a dead way is not noticed by the other', async () => {
    await set({ toServer: { blackhole: true } })
    const { client, behind } = await pair()
    client.socket.resetAndDestroy()
    await sleep(100)
    expect([behind.ended, behind.closed]).toEqual([false, 'no'])
    await set({})
    await eventually(() => behind.closed).toBe('reset')
  })

  test('where reading stops the sender is held up, and nothing is lost when it goes on', async () => {
    await set({ toServer: { stopReading: true } })
    const { client, behind } = await pair()
    const sent = text(8_000_000)
    const flushed = client.socket.write(sent)
    await sleep(150)
    expect(flushed).toBe(false)
    expect(client.socket.writableLength).toBeGreaterThan(0)
    expect(behind.bytes.length).toBe(0)
    await set({})
    await eventually(() => behind.bytes.length).toBe(sent.length)
    expect(behind.bytes.equals(sent)).toBe(true)
  })

  test('a receiver that does not read holds up the sender, not the memory of the proxy', async () => {
    const { client, behind } = await pair()
    behind.socket.pause()
    const sent = text(30_000_000)
    client.socket.write(sent)
    await sleep(200)
    expect(client.socket.writableLength).toBeGreaterThan(0)
    behind.socket.resume()
    await eventually(() => behind.bytes.length).toBe(sent.length)
  })
})

describe('ends', () => {
  test.each(['reset', 'end'] as const)('after so many bytes the connection is cut by %s', async (how) => {
    await set({ toServer: { cutAfter: { bytes: 25, how } } })
    const { client, behind } = await pair()
    client.socket.write(text(20))
    await eventually(() => behind.bytes.length).toBe(20)
    client.socket.write(text(20))
    if (how === 'end') {
      await eventually(() => [client.ended, behind.ended]).toEqual([true, true])
      expect(behind.bytes.length).toBe(25)
    } else await eventually(() => [client.closed, behind.closed]).toEqual(['reset', 'reset'])
    expect(proxy.status()).toMatchObject({ connections: 0, toServer: { cuts: 1 } })
  })

  test('asked to, it resets or ends every connection, or closes one half', async () => {
    const [first, second] = [await pair(), await pair()]
    proxy.act('reset')
    await eventually(() =>
      [first, second].flatMap(({ client, behind }) => [client.closed, behind.closed]),
    ).toEqual(Array(4).fill('reset'))
    const third = await pair()
    proxy.act('end')
    await eventually(() => [third.client.ended, third.behind.ended]).toEqual([true, true])
    const fourth = await pair()
    proxy.act('halfClose', 'toClient')
    await eventually(() => fourth.client.ended).toBe(true)
    fourth.client.socket.write('still heard')
    await eventually(() => fourth.behind.bytes.toString()).toBe('still heard')
    expect(fourth.behind.ended).toBe(false)
  })
})

describe('the door', () => {
  test('reset turns a new connection away, and leaves open ones alone', async () => {
    const { client, behind } = await pair()
    await set({ door: 'reset' })
    const turned = await dial()
    await eventually(() => turned.closed).toBe('reset')
    client.socket.write('on')
    await eventually(() => behind.bytes.toString()).toBe('on')
    expect(proxy.status().notPassed).toBe(1)
  })

  test('silent accepts and passes nothing on, until it is opened', async () => {
    await set({ door: 'silent' })
    const left = await dial()
    left.socket.write('hello')
    await sleep(50)
    expect([arrived.length, left.closed]).toEqual([0, 'no'])
    await set({})
    await eventually(() => left.closed).toBe('reset')
    await pair()
  })

  test('closed has the system refuse, on a port that comes back', async () => {
    const { client, behind } = await pair()
    await set({ door: 'closed' })
    await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    client.socket.write('on')
    await eventually(() => behind.bytes.toString()).toBe('on')
    await set({})
    await pair()
  })

  test('who is behind the proxy and cannot be reached is a reset', async () => {
    server.close()
    const refused = await dial()
    await eventually(() => refused.closed).toBe('reset')
    await eventually(() => proxy.status().connections).toBe(0)
  })
})

describe('bytes', () => {
  test('one bit is turned every so many bytes, at the same places for the same seed however the stream is cut', async () => {
    const run = async (seed: number, pieceBytes: number): Promise<Buffer> => {
      await restart(seed)
      await set({ toServer: { flip: { everyBytes: 40 } } })
      const { client, behind } = await pair()
      const sent = text(2_000)
      for (let at = 0; at < sent.length; at += pieceBytes) {
        client.socket.write(sent.subarray(at, at + pieceBytes))
        if (pieceBytes < 2_000) await sleep(1)
      }
      await eventually(() => behind.bytes.length).toBe(2_000)
      return behind.bytes
    }
    const whole = await run(7, 2_000)
    const bits = [...whole].flatMap((byte, at) => {
      const turned = byte ^ text(2_000)[at]!
      return turned === 0 ? [] : [turned]
    })
    expect(bits.every((turned) => (turned & (turned - 1)) === 0)).toBe(true)
    expect(bits.length).toBe(proxy.status().toServer.flipped)
    expect(bits.length).toBeGreaterThan(20)
    expect(bits.length).toBeLessThan(100)
    expect((await run(7, 17)).equals(whole)).toBe(true)
    expect((await run(8, 2_000)).equals(whole)).toBe(false)
  })
})

describe('frames', () => {
  const cases = [
    { fault: { drop: 0.3 }, counter: 'dropped' },
    { fault: { duplicate: 0.3 }, counter: 'duplicated' },
    { fault: { reorder: 0.3 }, counter: 'reordered' },
    { fault: { delay: 0.3, delayMs: 30 }, counter: 'delayed' },
  ] as const

  async function send(
    seed: number,
    frames: object,
  ): Promise<{ came: number[]; count: Record<string, number> }> {
    await restart(seed)
    await set({ toServer: { frames } })
    const { client, behind } = await pair()
    client.socket.write(framed(0, 100))
    await eventually(() => proxy.status().toServer.frames).toBe(100)
    await sleep(80)
    return { came: numbers(behind.bytes), count: { ...proxy.status().toServer } }
  }
  const inOrder = Array.from({ length: 100 }, (_, index) => index)
  const sorted = (came: readonly number[]): number[] => [...came].sort((a, b) => a - b)

  test.each(cases)(
    'a share of them is $counter, the same ones for the same seed',
    async ({ fault, counter }) => {
      const once = await send(3, { ...fault, reorderWaitMs: 20 })
      const met = once.count[counter]!
      expect(met).toBeGreaterThan(10)
      expect(met).toBeLessThan(60)
      if (counter === 'dropped') expect(once.came.length).toBe(100 - met)
      else if (counter === 'duplicated') expect(once.came.length).toBe(100 + met)
      else expect(sorted(once.came)).toEqual(inOrder)
      const again = await send(3, { ...fault, reorderWaitMs: 20 })
      expect(again.count[counter]).toBe(met)
      expect(once.came).not.toEqual(inOrder)
      // Whom a frame that waits is passed by is for the machine to say.
      if (counter === 'delayed') return
      expect(again.came).toEqual(once.came)
      expect((await send(4, { ...fault, reorderWaitMs: 20 })).came).not.toEqual(once.came)
    },
  )

  test('a frame that has nobody to change places with leaves after its wait', async () => {
    await set({ toServer: { frames: { reorder: 1, reorderWaitMs: 40 } } })
    const { client, behind } = await pair()
    client.socket.write(framed(0, 1))
    await eventually(() => numbers(behind.bytes)).toEqual([0])
  })

  test('only those are met whose body begins as said', async () => {
    await set({ toServer: { frames: { drop: 1, starts: Buffer.from('0210').toString('hex') } } })
    const { client, behind } = await pair()
    client.socket.write(encodeFrame(binary2Frame, Buffer.from('0210 message 1')))
    client.socket.write(framed(2, 3))
    await eventually(() => numbers(behind.bytes)).toEqual([2])
  })

  test('rubbish stands before a share of them, and never inside one', async () => {
    await set({ toClient: { garbage: { share: 1, bytesMax: 4 } } })
    const { client, behind } = await pair()
    behind.socket.write(framed(0, 3))
    await eventually(() => proxy.status().toClient.garbage).toBe(3)
    await eventually(() => client.bytes.length).toBeGreaterThan(framed(0, 3).length)
    for (const index of [0, 1, 2]) {
      expect(client.bytes.includes(encodeFrame(binary2Frame, body(index)))).toBe(true)
    }
  })

  test('a fault that begins within a frame begins at the next one, and bytes pass at once where none is set', async () => {
    const { client, behind } = await pair()
    const stream = framed(0, 3)
    client.socket.write(stream.subarray(0, 9))
    await eventually(() => behind.bytes.length).toBe(9)
    await set({ toServer: { frames: { drop: 1 } } })
    client.socket.write(stream.subarray(9))
    await eventually(() => proxy.status().toServer.dropped).toBe(2)
    await eventually(() => numbers(behind.bytes)).toEqual([0])
  })

  test('however the stream is cut, in every bundled format, the cutter gives back every byte, and whole frames where it holds', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(bundledFrames)),
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 8 }),
        fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.boolean()), { minLength: 1 }),
        (format, bodies, steps) => {
          const cutter = new FrameCutter(format)
          const stream = Buffer.concat(bodies.map((each) => encodeFrame(format, each)))
          const given: Buffer[] = []
          for (let at = 0, step = 0; at < stream.length; step++) {
            const [bytes, hold] = steps[step % steps.length]!
            for (const cut of cutter.push(stream.subarray(at, at + bytes), hold)) {
              given.push(cut.bytes)
              if (cut.bodyAt === undefined) continue
              expect(bodies.some((each) => Buffer.from(each).equals(cut.bytes.subarray(cut.bodyAt)))).toBe(
                true,
              )
            }
            at += bytes
          }
          const [, lastHeld] = steps.at(-1)!
          const back = Buffer.concat(given)
          expect(stream.subarray(0, back.length).equals(back)).toBe(true)
          if (!lastHeld && steps.every(([, hold]) => !hold)) expect(back.length).toBe(stream.length)
          if (steps.every(([, hold]) => hold)) expect(back.length).toBe(stream.length)
        },
      ),
    )
  })

  test('a length that cannot be read ends the knowledge of frames, and all bytes pass', () => {
    const cutter = new FrameCutter(bundledFrames['frame-ascii4']!)
    const cuts = cutter.push(Buffer.from('00x4abcd0004wxyz'), true)
    expect(Buffer.concat(cuts.map(({ bytes }) => bytes)).toString()).toBe('00x4abcd0004wxyz')
    expect(cuts.every(({ bodyAt }) => bodyAt === undefined)).toBe(true)
  })
})

describe('the remote control', () => {
  let running: ProxyProcess
  beforeEach(async () => {
    const { port } = server.address() as { port: number }
    const config = { target: { port }, control: { port: 0 }, port: 0, frame: 'frame-binary2' }
    running = await openChaosproxy(new Config(config), bundledFrames)
  })
  afterEach(() => running.close())

  async function ask(
    path: string,
    content?: object,
  ): Promise<{ status: number; said: Record<string, unknown> }> {
    const { host, port } = running.control
    const options = content === undefined ? {} : { method: 'POST', body: JSON.stringify(content) }
    const response = await fetch(`http://${host}:${port}${path}`, options)
    return { status: response.status, said: (await response.json()) as Record<string, unknown> }
  }

  test('sets faults, heals, acts and tells how it stands', async () => {
    const set = await ask('/faults', { door: 'reset', toServer: { latency: { ms: 5 } } })
    expect(set).toMatchObject({
      status: 200,
      said: { faults: { door: 'reset', toServer: { latency: { ms: 5 } } } },
    })
    expect((await ask('/faults', {})).said['faults']).toEqual({ door: 'open', toServer: {}, toClient: {} })
    expect(await ask('/act', { act: 'reset' })).toMatchObject({ status: 200, said: { connections: 0 } })
    expect((await ask('/status')).said).toMatchObject({ accepted: 0, toServer: { bytes: 0 } })
  })

  test.each([
    [{ toServer: { latency: {} } }, 'toServer.latency.ms: a number from 0 to 600000'],
    [{ toServer: { latency: { ms: 1, jitter: 2 } } }, 'toServer.latency.jitter: a known name'],
    [{ toserver: {} }, 'toserver: a known name'],
    [{ toClient: { hole: true } }, 'toClient.hole: a known name'],
    [{ toClient: { blackhole: 1 } }, 'toClient.blackhole: true or false'],
    [{ toClient: { frames: { drop: 0.6, delay: 0.6 } } }, 'toClient.frames.delay: shares of at most 1'],
    [{ toClient: { frames: { drop: 1, starts: 'xy' } } }, 'toClient.frames.starts: hexadecimal'],
    [{ toClient: { slice: { bytesMin: 4, bytesMax: 3 } } }, 'toClient.slice.bytesMax: a number from 4'],
    [{ door: 'ajar' }, 'door: one of open, reset, silent, closed'],
  ])('refuses %j, and says where it is wrong', async (content, why) => {
    const refused = await ask('/faults', content)
    expect(refused.status).toBe(400)
    expect(refused.said['error']).toContain(why)
    expect((await ask('/status')).said['faults']).toEqual({ door: 'open', toServer: {}, toClient: {} })
  })

  test('an act that is none is refused', async () => {
    expect((await ask('/act', { act: 'explode' })).status).toBe(400)
  })
})
