import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { FrameFormat } from '../../iso8583/iso8583.ts'
import { seededRandom } from '../../kernel/random.ts'
import { type Counts, noCounts } from './counts.ts'
import { type Direction, directions, type Faults, noFaults } from './faults.ts'
import { Stream } from './stream.ts'

/**
 * A TCP proxy that harms what passes, in each direction and as told, from a seed: the same bytes on the n-th connection
 * meet the same fate. Without faults it passes bytes on as they come. It knows where frames begin where it is told their
 * format, and nothing of messages.
 */
export interface ProxyOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly target: { readonly host: string; readonly port: number }
  readonly frame?: FrameFormat | undefined
  readonly seed: number
}

/** What is done once, to every connection that is open. */
export type Act =
  /** Both ends see a reset. */
  | 'reset'
  /** Both ends see an orderly end. */
  | 'end'
  /** One end is told that the other says no more. */
  | 'halfClose'

export const acts = ['reset', 'end', 'halfClose'] as const satisfies readonly Act[]

export interface ProxyStatus {
  readonly faults: Faults
  readonly connections: number
  readonly accepted: number
  /** Connections that a door other than open turned away, or left alone. */
  readonly notPassed: number
  readonly toServer: Counts
  readonly toClient: Counts
}

interface Connection {
  readonly client: Socket
  readonly server: Socket
  readonly streams: Readonly<Record<Direction, Stream>>
}

export class ChaosProxy {
  readonly #options: ProxyOptions
  readonly #connections = new Set<Connection>()
  /** Accepted, and passed on to nobody. */
  readonly #leftAlone = new Set<Socket>()
  readonly #counts: Readonly<Record<Direction, Counts>> = { toServer: noCounts(), toClient: noCounts() }
  #server: Server | undefined
  #port: number
  #faults: Faults = noFaults
  #accepted = 0
  #notPassed = 0

  private constructor(options: ProxyOptions) {
    this.#options = options
    this.#port = options.port
  }

  /** Rejects when the port cannot be had. */
  static async open(options: ProxyOptions): Promise<ChaosProxy> {
    const proxy = new ChaosProxy(options)
    await proxy.#listen()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** From now on these faults and no others, on open connections as well as new ones. */
  async set(faults: Faults): Promise<void> {
    const before = this.#faults
    this.#faults = faults
    if (faults.door === 'closed') await this.#stopListening()
    else if (this.#server === undefined) await this.#listen()
    if (before.door === 'silent' && faults.door !== 'silent') this.#resetLeftAlone()
    for (const connection of this.#connections) {
      const { toServer, toClient } = connection.streams
      const lost = [toServer, toClient].some((stream) => stream.broken && !stream.mute)
      if (lost) this.#end(connection, 'reset')
      else for (const name of directions) connection.streams[name].regulate()
    }
  }

  act(act: Act, direction: Direction = 'toClient'): void {
    for (const connection of this.#connections) {
      if (act === 'halfClose') connection.streams[direction].halfClose()
      else this.#end(connection, act)
    }
  }

  status(): ProxyStatus {
    return {
      faults: this.#faults,
      connections: this.#connections.size,
      accepted: this.#accepted,
      notPassed: this.#notPassed,
      ...this.#counts,
    }
  }

  async close(): Promise<void> {
    await this.#stopListening()
    this.#resetLeftAlone()
    for (const connection of this.#connections) this.#end(connection, 'reset')
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
      this.#accept(client),
    )
    this.#server = server
    server.listen({ host: this.#options.host, port: this.#port })
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
    this.#port = address.port
  }

  /** Open connections stay; the port refuses new ones. */
  async #stopListening(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    // The close event waits for the last connection, which is more than is wanted.
    server.close()
    await new Promise((resolve) => setImmediate(resolve))
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined)
    const { door } = this.#faults
    const number = this.#accepted++
    if (door === 'open') {
      this.#passOn(client, number)
      return
    }
    this.#notPassed++
    if (door === 'silent') {
      this.#leftAlone.add(client)
      client.once('close', () => this.#leftAlone.delete(client))
    } else client.resetAndDestroy()
  }

  #passOn(client: Socket, number: number): void {
    const { target, frame, seed } = this.#options
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true })
    const stream = (name: Direction, from: Socket, to: Socket): Stream =>
      new Stream({
        ...{ from, to, frame, counts: this.#counts[name], faults: () => this.#faults[name] },
        random: seededRandom(seed + number * directions.length + directions.indexOf(name)),
        onCut: (how) => this.#end(connection, how),
      })
    const connection: Connection = {
      ...{ client, server },
      streams: { toServer: stream('toServer', client, server), toClient: stream('toClient', server, client) },
    }
    this.#connections.add(connection)
    // Attaching a reader has set the client going; until the server is there nothing is taken from it.
    client.pause()
    server.once('connect', () => {
      for (const name of directions) connection.streams[name].regulate()
    })
    this.#watch(connection, client, 'toServer')
    this.#watch(connection, server, 'toClient')
  }

  /** A reset of one end is the other's too, unless the way between them is dead; two orderly ends are the end. */
  #watch(connection: Connection, socket: Socket, direction: Direction): void {
    let failed = false
    socket.on('error', () => (failed = true))
    socket.once('close', () => {
      const stream = connection.streams[direction]
      if (failed && stream.mute) stream.broken = true
      else if (failed) this.#end(connection, 'reset')
      if (connection.client.destroyed && connection.server.destroyed) this.#connections.delete(connection)
    })
  }

  #end(connection: Connection, how: 'reset' | 'end'): void {
    this.#connections.delete(connection)
    for (const socket of [connection.client, connection.server]) {
      if (how === 'reset') socket.resetAndDestroy()
      else socket.destroySoon()
    }
  }

  #resetLeftAlone(): void {
    for (const socket of this.#leftAlone) socket.resetAndDestroy()
  }
}
