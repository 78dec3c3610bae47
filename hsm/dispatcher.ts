/** The bounded queue in front of one or more HSM processes: deadlines, choice of process, one second try. */
import { mkdirSync, chmodSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { Backend } from './backend.ts'
import type { HsmLog } from './backend.ts'
import { startExit } from './config.ts'
import type { ProcessConfig, StartFault } from './config.ts'
import { HsmError } from './fault.ts'
import { faultOf } from './fault-fields.ts'
import type { HsmFault } from './fault.ts'
import { FrameReader, packFrame, WireError } from './wire.ts'
import type { Fields, Frame } from './wire.ts'

export interface DispatcherOptions {
  readonly backends: readonly {
    readonly softhsmConf: string | undefined
    readonly config: Omit<ProcessConfig, 'secret' | 'socket'>
  }[]
  readonly processFile: string
  readonly socketFolder: string
  readonly deadlineMs: number
  readonly queueMax: number
  readonly silenceMaxMs: number
  readonly startMaxMs: number
  readonly log: HsmLog
}

interface Call {
  readonly id: number
  readonly fields: Fields
  readonly deadlineAt: number
  readonly resolve: (answer: Fields) => void
  readonly reject: (error: HsmError) => void
  backend: Backend | undefined
  tries: number
}

/** More than this many unanswered requests keep no process busier; the rest wait here, where they can expire. */
const inFlightMax = 64
const sweepMs = 20

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #backends: readonly Backend[]
  readonly #server: Server
  readonly #socketPath: string
  /** Every call that has no answer yet, oldest first. */
  readonly #calls = new Map<number, Call>()
  readonly #waiting: Call[] = []
  readonly #sweeper: NodeJS.Timeout
  readonly #givenUp = new Map<Backend, StartFault>()
  readonly #ready = Promise.withResolvers<undefined>()
  #nextId = 1
  #pumping = false
  #closed = false
  #hello: Fields = {}

  constructor(options: DispatcherOptions) {
    this.#options = options
    mkdirSync(options.socketFolder, { recursive: true, mode: 0o700 })
    chmodSync(options.socketFolder, 0o700)
    this.#socketPath = join(options.socketFolder, `hsm-${randomBytes(6).toString('hex')}.sock`)
    this.#server = createServer((socket) => this.#greet(socket))
    this.#backends = options.backends.map(
      ({ softhsmConf, config }, index) =>
        new Backend(
          {
            name: `hsm process ${index + 1}`,
            processFile: options.processFile,
            softhsmConf,
            config: { ...config, socket: this.#socketPath },
            log: options.log,
            silenceMaxMs: options.silenceMaxMs,
            startMaxMs: options.startMaxMs,
          },
          {
            ready: (_, hello) => {
              this.#hello = hello
              this.#ready.resolve(undefined)
              this.#pump()
            },
            answered: (_, frame) => this.#answered(frame),
            lost: (backend, reason) => this.#lost(backend, reason),
          },
        ),
    )
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
    this.#sweeper.unref()
  }

  /** Starts the processes, and resolves when the first can serve. Throws an `Error` that says why none will. */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#socketPath, resolve)
    })
    chmodSync(this.#socketPath, 0o600)
    for (const backend of this.#backends) backend.start()
    await this.#ready.promise
  }

  call(fields: Fields): Promise<Fields> {
    return new Promise((resolve, reject) => {
      if (this.#closed || this.#givenUp.size === this.#backends.length) {
        reject(new HsmError({ kind: 'unavailable' }))
        return
      }
      if (this.#calls.size >= this.#options.queueMax) {
        reject(new HsmError({ kind: 'shed' }))
        return
      }
      const call: Call = {
        id: this.#nextId,
        fields,
        deadlineAt: performance.now() + this.#options.deadlineMs,
        resolve,
        reject,
        backend: undefined,
        tries: 0,
      }
      this.#nextId = this.#nextId === 0xfffffffe ? 1 : this.#nextId + 1
      this.#calls.set(call.id, call)
      this.#waiting.push(call)
      this.#pumpSoon()
    })
  }

  get pending(): number {
    return this.#calls.size
  }

  get restarts(): number {
    return this.#backends.reduce((sum, backend) => sum + backend.restarts, 0)
  }

  get state(): 'up' | 'starting' | 'down' {
    if (this.#backends.some((backend) => backend.state === 'up')) return 'up'
    return this.#givenUp.size === this.#backends.length || this.#closed ? 'down' : 'starting'
  }

  get up(): number {
    return this.#backends.filter((backend) => backend.state === 'up').length
  }

  /** What the last process to start said of itself. */
  get hello(): Fields {
    return this.#hello
  }

  /** For the watchers of memory and for tests. */
  pids(): number[] {
    return this.#backends.flatMap((backend) => backend.pid() ?? [])
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    for (const call of this.#calls.values()) call.reject(new HsmError({ kind: 'unavailable' }))
    this.#calls.clear()
    this.#waiting.length = 0
    await Promise.all(this.#backends.map((backend) => backend.stop()))
    await new Promise((resolve) => this.#server.close(resolve))
    rmSync(this.#socketPath, { force: true })
  }

  /** The first frame of a connection must be the hello of a process that we started. */
  #greet(socket: Socket): void {
    const reader = new FrameReader()
    socket.once('error', () => socket.destroy())
    socket.once('data', (chunk: Buffer) => {
      try {
        const [frame] = reader.push(chunk)
        const hello = frame?.fields ?? {}
        if (this.#backends.some((backend) => backend.adopt(socket, hello, reader))) return
      } catch {
        // What does not speak our frames is not ours.
      }
      socket.destroy()
    })
  }

  /** Requests of one turn leave in one write. */
  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    queueMicrotask(() => this.#pump())
  }

  #pump(): void {
    this.#pumping = false
    for (const backend of this.#backends) backend.cork()
    while (this.#waiting.length > 0) {
      const backend = this.#leastBusy()
      if (backend === undefined) break
      const call = this.#waiting.shift()!
      if (this.#calls.has(call.id)) this.#give(call, backend)
    }
    for (const backend of this.#backends) backend.uncork()
  }

  /** Of those that answer; one that has fallen silent is only asked when there is no other. */
  #leastBusy(): Backend | undefined {
    let least: Backend | undefined
    for (const backend of this.#backends) {
      if (backend.state !== 'up' || backend.outstanding >= inFlightMax) continue
      if (least === undefined || rank(backend) < rank(least)) least = backend
    }
    return least
  }

  /** What a silent process sits on is asked of another before its deadline; whichever answers first has answered. */
  #askAgainElsewhere(): void {
    for (const call of this.#calls.values()) {
      if (call.backend?.suspect !== true || call.tries > 1) continue
      const other = this.#leastBusy()
      if (other === undefined || other.suspect) return
      this.#give(call, other)
    }
  }

  #give(call: Call, backend: Backend): void {
    let frame: Buffer
    try {
      frame = packFrame(call.id, call.fields)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#settle(call, { kind: 'refused', why: 'badRequest' })
      return
    }
    call.backend = backend
    call.tries++
    backend.send(frame)
  }

  #answered({ id, fields }: Frame): void {
    const call = this.#calls.get(id)
    // An answer after the deadline, or after another's, finds nobody waiting.
    if (call !== undefined) {
      const fault = faultOf(fields)
      if (fault === undefined) {
        this.#calls.delete(id)
        call.resolve(fields)
      } else {
        this.#settle(call, fault)
      }
    }
    if (this.#waiting.length > 0) this.#pumpSoon()
  }

  /** All commands may be repeated without harm, so what was under way is asked once more, elsewhere or later. */
  #lost(backend: Backend, reason: StartFault | 'gone' | 'hung'): void {
    if (reason !== 'gone' && reason !== 'hung' && startExit[reason].permanent) {
      this.#givenUp.set(backend, reason)
    }
    const again: Call[] = []
    for (const call of this.#calls.values()) {
      if (call.backend !== backend) continue
      call.backend = undefined
      if (call.tries < 2) again.push(call)
      else this.#settle(call, { kind: 'unavailable' })
    }
    this.#waiting.unshift(...again)
    if (this.#givenUp.size === this.#backends.length) {
      this.#ready.reject(new Error(`the HSM process does not start: ${reason}`))
      for (const call of this.#calls.values()) this.#settle(call, { kind: 'unavailable' })
    }
    this.#pumpSoon()
  }

  #sweep(): void {
    this.#askAgainElsewhere()
    const now = performance.now()
    for (const call of this.#calls.values()) {
      // All have the same time to live, so the first that is not due ends the search.
      if (call.deadlineAt > now) break
      this.#settle(call, { kind: 'deadline' })
    }
  }

  #settle(call: Call, fault: HsmFault): void {
    this.#calls.delete(call.id)
    call.reject(new HsmError(fault))
  }
}

function rank(backend: Backend): number {
  return backend.outstanding + (backend.suspect ? inFlightMax : 0)
}
