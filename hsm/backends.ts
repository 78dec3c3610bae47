/**
 * The HSM processes behind one client: which of them can be asked what. Each has a breaker; all are compared by their
 * keys; each is replaced after a time by a successor that is ready before it goes.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import { Backend } from './backend.ts'
import type { HsmLog } from './backend.ts'
import { Breaker } from './breaker.ts'
import type { BreakerLimits } from './breaker.ts'
import { startExit } from './config.ts'
import type { ProcessConfig, StartFault } from './config.ts'
import type { HsmBackendStatus } from './contract.ts'
import { KeySets, readHeldKeys } from './key-sets.ts'
import type { HeldKey } from './key-sets.ts'
import { FrameReader } from './wire.ts'
import type { Fields, Frame } from './wire.ts'

export interface Place {
  readonly softhsmConf: string | undefined
  readonly config: Omit<ProcessConfig, 'secret' | 'socket'>
}

export interface BackendsOptions {
  readonly places: readonly Place[]
  readonly processFile: string
  readonly socketFolder: string
  readonly silenceMaxMs: number
  readonly startMaxMs: number
  /** A process that is older is replaced. */
  readonly processMaxMs: number
  /** One that has answered more is replaced. */
  readonly answersMax: number
  readonly breaker: BreakerLimits
  readonly log: HsmLog
}

export interface BackendsEvents {
  /** There is somebody to ask. */
  ready(): void
  answered(backend: Backend, frame: Frame): void
  /** Gone; what it has not answered is to be asked again. */
  lost(backend: Backend): void
  /** None will ever start. */
  hopeless(reason: string): void
}

/** A place with the process that serves it now. */
interface Seat {
  readonly place: Place
  readonly name: string
  readonly breaker: Breaker
  backend: Backend
  /** Starting, to take over. */
  successor: Backend | undefined
  hello: Fields
  recycled: number
  restartsBefore: number
  /** Not before this is another replacement tried. */
  recycleNotBefore: number
}

/** More than this many unanswered requests keep no process busier; the rest wait with the caller, and can expire. */
const inFlightMax = 64
/** A successor that does not start is tried again after this. */
const recycleAgainMs = 60_000

export class Backends {
  readonly #options: BackendsOptions
  readonly #events: BackendsEvents
  readonly #server: Server
  readonly #socketPath: string
  readonly #seats: readonly Seat[]
  readonly #retiring = new Set<Backend>()
  readonly #givenUp = new Set<Seat>()
  readonly #keySets: KeySets<Seat>
  #differences = ''

  constructor(options: BackendsOptions, events: BackendsEvents) {
    this.#options = options
    this.#events = events
    mkdirSync(options.socketFolder, { recursive: true, mode: 0o700 })
    chmodSync(options.socketFolder, 0o700)
    this.#socketPath = join(options.socketFolder, `hsm-${randomBytes(6).toString('hex')}.sock`)
    this.#server = createServer((socket) => this.#greet(socket))
    this.#seats = options.places.map((place, index) => {
      const name = `hsm process ${index + 1}`
      return {
        ...{
          place,
          name,
          successor: undefined,
          hello: {},
          recycled: 0,
          restartsBefore: 0,
          recycleNotBefore: 0,
        },
        breaker: new Breaker(options.breaker, () => performance.now()),
        backend: this.#newBackend(place, name),
      }
    })
    this.#keySets = new KeySets(() => this.#seats)
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#socketPath, resolve)
    })
    chmodSync(this.#socketPath, 0o600)
    for (const { backend } of this.#seats) backend.start()
  }

  /** Whether none will ever serve. */
  get hopeless(): boolean {
    return this.#givenUp.size === this.#seats.length
  }

  get up(): number {
    return this.#seats.filter(({ backend }) => backend.state === 'up').length
  }

  get restarts(): number {
    return this.#seats.reduce(
      (sum, { backend, restartsBefore }) => sum + restartsBefore + backend.restarts,
      0,
    )
  }

  /** The processes that can be asked now, one for each seat. */
  serving(): Backend[] {
    return this.#seats.flatMap(({ backend }) => (backend.state === 'up' ? [backend] : []))
  }

  pids(): number[] {
    return this.#seats.flatMap(({ backend }) => backend.pid() ?? [])
  }

  keys(): HeldKey[] {
    return this.#keySets.keys()
  }

  status(): HsmBackendStatus[] {
    return this.#seats.map((seat) => {
      const { backend, breaker, hello, name, place, recycled, restartsBefore } = seat
      const capabilities = Object.entries((hello['capabilities'] as Fields | undefined) ?? {})
      const { tokenLabel } = place.config
      return {
        name,
        ...(tokenLabel === undefined ? {} : { tokenLabel }),
        state: backend.state === 'stopped' ? 'down' : backend.state,
        ...(typeof hello['model'] === 'string' ? { model: hello['model'] } : {}),
        breaker: breaker.state,
        breakerOpenings: breaker.openings,
        outstanding: backend.outstanding,
        restarts: restartsBefore + backend.restarts,
        recycled,
        capabilities: capabilities.flatMap(([capability, has]) => (has === true ? [capability] : [])),
        lacking: capabilities.flatMap(([capability, has]) => (has === true ? [] : [capability])),
        differing: this.#keySets.differing(seat),
      }
    })
  }

  /**
   * The least busy that may be asked about these references; one that is silent only when there is no other. An open
   * breaker sends calls elsewhere, and where there is no elsewhere it holds up nobody: to the last process that answers
   * heartbeats, waiting would be worse than trying.
   */
  choose(refs: () => readonly string[], besides?: Backend): Backend | undefined {
    let least: Backend | undefined
    let leastOpen: Backend | undefined
    let isElsewhere = false
    for (const seat of this.#seats) {
      const { backend, breaker } = seat
      if (backend.state !== 'up' || !this.#keySets.agrees(seat, refs)) continue
      const isClosed = breaker.state === 'closed'
      if (isClosed) isElsewhere = true
      if (backend === besides || backend.outstanding >= inFlightMax) continue
      if (isClosed) least = lessBusy(least, backend)
      else leastOpen = lessBusy(leastOpen, backend)
    }
    return isElsewhere ? least : leastOpen
  }

  /** It has not got a key that it should have. Another that has it, if there is one. */
  elsewhere(backend: Backend, refs: readonly string[]): Backend | undefined {
    const seat = this.#seatOf(backend)
    const others = this.#seats.filter((one) => one !== seat && this.#keySets.has(one, refs))
    if (seat === undefined || others.length === 0) return undefined
    this.#keySets.missing(seat, refs)
    this.#tellDifferences()
    return this.choose(() => refs, backend)
  }

  late(backend: Backend): void {
    this.#seatOf(backend)?.breaker.late()
  }

  /** Backends whose breaker wants to know: a health check is to be sent, and its end told to `probed`. */
  takeProbes(): Backend[] {
    return this.#seats
      .filter(({ backend, breaker }) => backend.state === 'up' && breaker.takeProbe())
      .map(({ backend }) => backend)
  }

  probed(backend: Backend, passed: boolean): void {
    this.#seatOf(backend)?.breaker.probed(passed)
    if (passed) this.#events.ready()
  }

  /** What was sent to each leaves, in one write. */
  flush(): void {
    for (const { backend } of this.#seats) backend.flush()
  }

  /** Replaces what is old, one at a time. To be called now and then. */
  recycle(): void {
    for (const backend of this.#retiring) if (backend.outstanding === 0) this.#end(backend)
    if (this.#seats.some(({ successor }) => successor !== undefined)) return
    const now = performance.now()
    const old = this.#seats.find(
      ({ backend, recycleNotBefore }) =>
        now >= recycleNotBefore &&
        (backend.ageMs > this.#options.processMaxMs || backend.answers > this.#options.answersMax),
    )
    if (old === undefined) return
    old.successor = this.#newBackend(old.place, old.name)
    old.successor.start()
  }

  async close(): Promise<void> {
    const all = this.#seats.flatMap(({ backend, successor }) => [backend, successor ?? []].flat())
    await Promise.all([...all, ...this.#retiring].map((backend) => backend.stop()))
    await new Promise((resolve) => this.#server.close(resolve))
    rmSync(this.#socketPath, { force: true })
  }

  #newBackend({ config, softhsmConf }: Place, name: string): Backend {
    const { processFile, silenceMaxMs, startMaxMs, log } = this.#options
    return new Backend(
      {
        ...{ name, processFile, softhsmConf, silenceMaxMs, startMaxMs, log },
        config: { ...config, socket: this.#socketPath },
      },
      {
        ready: (backend, hello) => this.#ready(backend, hello),
        answered: (backend, frame) => this.#events.answered(backend, frame),
        told: (backend, fields) => this.#told(backend, fields),
        lost: (backend, reason) => this.#lost(backend, reason),
      },
    )
  }

  /** The first frame of a connection must be the hello of a process that we started. */
  #greet(socket: Socket): void {
    const reader = new FrameReader()
    socket.once('error', () => socket.destroy())
    socket.once('data', (chunk: Buffer) => {
      try {
        const [frame, ...rest] = reader.push(chunk)
        const greeting = { hello: frame?.fields ?? {}, reader, rest }
        const ours = this.#seats.flatMap(({ backend, successor }) => [backend, successor ?? []].flat())
        if (ours.some((backend) => backend.adopt(socket, greeting))) return
      } catch {
        // What does not speak our frames is not ours.
      }
      socket.destroy()
    })
  }

  #ready(backend: Backend, hello: Fields): void {
    const seat = this.#seats.find((one) => one.backend === backend || one.successor === backend)
    if (seat === undefined) return
    if (seat.successor === backend) this.#takeOver(seat, backend)
    seat.hello = hello
    seat.breaker.renewed()
    this.#keySets.report(seat, readHeldKeys(hello))
    this.#tellDifferences()
    this.#events.ready()
  }

  #takeOver(seat: Seat, successor: Backend): void {
    const before = seat.backend
    seat.restartsBefore += before.restarts
    seat.recycled++
    seat.backend = successor
    seat.successor = undefined
    before.retire()
    this.#retiring.add(before)
    if (before.outstanding === 0) this.#end(before)
  }

  #end(backend: Backend): void {
    this.#retiring.delete(backend)
    void backend.stop()
  }

  #told(backend: Backend, fields: Fields): void {
    const seat = this.#seatOf(backend)
    if (seat === undefined || fields['event'] !== 'keys') return
    this.#keySets.report(seat, readHeldKeys(fields))
    this.#tellDifferences()
  }

  #lost(backend: Backend, reason: StartFault | 'gone' | 'hung'): void {
    this.#retiring.delete(backend)
    const seat = this.#seats.find((one) => one.backend === backend || one.successor === backend)
    if (seat?.successor === backend) {
      seat.successor = undefined
      seat.recycleNotBefore = performance.now() + recycleAgainMs
      this.#options.log.error(`${seat.name}: its successor did not start (${reason}), it goes on`)
      void backend.stop()
      return
    }
    if (seat !== undefined) {
      seat.breaker.lost()
      this.#keySets.forget(seat)
      if (reason !== 'gone' && reason !== 'hung' && startExit[reason].permanent) this.#givenUp.add(seat)
    }
    this.#events.lost(backend)
    if (this.hopeless) this.#events.hopeless(reason)
  }

  /** A difference is told once; that there is none any more, too. */
  #tellDifferences(): void {
    const lines = this.#seats.flatMap((seat) => {
      const refs = this.#keySets.differing(seat)
      return refs.length === 0 ? [] : [`${seat.name} is not asked for ${refs.join(', ')}: its keys differ`]
    })
    const text = lines.join('; ')
    if (text === this.#differences) return
    this.#differences = text
    if (text === '') this.#options.log.info('all tokens hold the same keys')
    else this.#options.log.error(text)
  }

  #seatOf(backend: Backend): Seat | undefined {
    return this.#seats.find((seat) => seat.backend === backend)
  }
}

function lessBusy(one: Backend | undefined, other: Backend): Backend {
  return one === undefined || rank(other) < rank(one) ? other : one
}

function rank(backend: Backend): number {
  return backend.outstanding + (backend.suspect ? inFlightMax : 0)
}
