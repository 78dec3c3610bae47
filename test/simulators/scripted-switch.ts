import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { FrameReader, framed } from '../../simulators/terminals/frames.ts'
import { seal, type TestKey } from '../../simulators/keys.ts'
import { answerMti } from '../../simulators/terminals/messages.ts'
import { terminalBitmap } from '../../simulators/terminals/terminal.ts'
import { decode, encode, type WireMessage } from '../../simulators/terminals/wire.ts'

export const macKey: TestKey = {
  ref: 'tak.acq1.both',
  algorithm: 'DES2',
  value: Buffer.from('0123456789ABCDEFFEDCBA9876543210', 'hex'),
}
export const pinKey: TestKey = {
  ref: 'tpk.acq1.in',
  algorithm: 'DES2',
  value: Buffer.from('89ABCDEF01234567FEDCBA9876543210', 'hex'),
}

export interface Request {
  readonly message: WireMessage
  readonly sealGood: boolean | undefined
  /** Answers with these elements on top of the echoed ones. */
  readonly answer: (fields: Record<number, string>, how?: { seal?: 'good' | 'wrong' | 'none' }) => void
  /** A frame around these bytes, whatever they are. */
  readonly raw: (body: Buffer) => void
  readonly drop: () => void
}

export interface ScriptedSwitch {
  readonly port: number
  /** Everything but echoes, in the order of arrival. */
  readonly received: WireMessage[]
  onRequest: (request: Request) => void
  echoes: number
  dropAll(): void
  close(): Promise<void>
}

/** A switch that does what the test says, on a real socket; it approves by default. */
export async function scriptedSwitch(port = 0): Promise<ScriptedSwitch> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    const reader = new FrameReader()
    socket.on('data', (piece) => {
      for (const body of reader.push(piece)) serve(body, socket)
    })
  })
  const world: ScriptedSwitch = {
    port: 0,
    received: [],
    echoes: 0,
    onRequest: approve,
    dropAll: () => {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      world.dropAll()
      server.close()
      await once(server, 'close')
    },
  }
  const serve = (body: Buffer, socket: Socket): void => {
    const decoded = decode(body, terminalBitmap)
    if (decoded.kind === 'malformed') {
      const { 7: transmittedAt, 11: stan } = decoded.before
      if (transmittedAt === undefined || stan === undefined) return
      // What cannot be read cannot be sealed for a terminal either: DE7 and DE11 are all there is to go by.
      const refusal = { mti: '0210', fields: { 7: transmittedAt, 11: stan, 39: '30' } }
      socket.write(framed(encode(refusal, terminalBitmap)))
      return
    }
    const { message, sealed } = decoded
    if (message.mti === '0800') {
      world.echoes++
      socket.write(framed(encode({ mti: '0810', fields: { ...message.fields, 39: '00' } }, terminalBitmap)))
      return
    }
    world.received.push(message)
    world.onRequest({
      message,
      sealGood: sealed === undefined ? undefined : seal(macKey, sealed.bytes).equals(sealed.mac),
      answer: (fields, how) => socket.write(framed(answerTo(message, fields, how?.seal))),
      raw: (bytes) => socket.write(framed(bytes)),
      drop: () => socket.destroy(),
    })
  }
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return Object.assign(world, { port: typeof address === 'object' && address !== null ? address.port : 0 })
}

function approve({ message, answer }: Request): void {
  answer(message.mti.startsWith('02') ? { 39: '00', 38: 'A00001' } : { 39: '00' })
}

function answerTo(
  message: WireMessage,
  fields: Record<number, string>,
  sealing: 'good' | 'wrong' | 'none' = 'good',
): Buffer {
  const echoed: Record<number, string> = {}
  for (const de of [3, 4, 7, 11, 12, 13, 37, 41, 42, 49]) {
    const value = message.fields[de]
    if (value !== undefined) echoed[de] = value
  }
  const answer = { mti: answerMti(message.mti), fields: { ...echoed, ...fields } }
  if (sealing === 'none') return encode(answer, terminalBitmap)
  return encode(answer, terminalBitmap, (bytes) => {
    const mac = seal(macKey, bytes)
    if (sealing === 'wrong') mac[7]! ^= 1
    return mac
  })
}
