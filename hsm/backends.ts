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
import { FrameReader, listBytesMax } from './wire.ts'
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
  /** A successor that does not start is tried again after this; a minute when it is left out. */
  readonly successorAgainMs?: number
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
const usualSuccessorAgainMs = 60_000

export class Backends {
  readonly #options: BackendsOptions
  readonly #events: BackendsEvents
  readonly #server: Server
  readonly #socketPath: string
  readonly #seats: readonly Seat[]
  readonly #retiring = new Set<Backend>()
  readonly #givenUp = new Set<Seat>()
  /** Seats that wait until another process has shown that their token takes the login. */
  readonly #unstarted = new Set<Seat>()
  /** Tokens that refused a login: a real one locks after a few, so nobody but a person tries again. */
  readonly #refusing = new Set<string>()
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
    const tried = new Set<string>()
    for (const seat of this.#seats) {
      const token = tokenOf(seat.place)
      if (tried.has(token)) this.#unstarted.add(seat)
      else seat.backend.start()
      tried.add(token)
    }
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
   * The least busy that may be asked about these references; one that is silent only when there is no other. Where a breaker
   * is open nothing is asked.
   */
  choose(refs: () => readonly string[], besides?: Backend): Backend | undefined {
    let least: Backend | undefined
    for (const seat of this.#seats) {
      const { backend, breaker } = seat
      if (backend.state !== 'up' || breaker.state !== 'closed') continue
      if (backend === besides || backend.outstanding >= inFlightMax) continue
      if (this.#keySets.agrees(seat, refs)) least = lessBusy(least, backend)
    }
    return least
  }

  /**
   * Whether nobody may be asked before a breaker closes: then a call is refused at once. Each that waited for its deadline
   * would keep its payment waiting as long, and a token that is late has no rest while it is asked.
   */
  isShut(refs: () => readonly string[]): boolean {
    if (this.#seats.every(({ breaker }) => breaker.state !== 'closed')) return true
    const able = this.#seats.filter((seat) => seat.backend.state === 'up' && this.#keySets.agrees(seat, refs))
    return able.length > 0 && able.every(({ breaker }) => breaker.state !== 'closed')
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
      ({ backend, place, recycleNotBefore }) =>
        now >= recycleNotBefore &&
        !this.#refusing.has(tokenOf(place)) &&
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
    const reader = new FrameReader(listBytesMax)
    socket.once('error', () => socket.destroy())
    const hear = (chunk: Buffer): void => {
      try {
        const [frame, ...rest] = reader.push(chunk)
        // A token of many keys needs more than one piece to say which.
        if (frame === undefined) return
        socket.off('data', hear)
        const greeting = { hello: frame.fields, reader, rest }
        const ours = this.#seats.flatMap(({ backend, successor }) => [backend, successor ?? []].flat())
        if (ours.some((backend) => backend.adopt(socket, greeting))) return
      } catch {
        // What does not speak our frames is not ours.
      }
      socket.destroy()
    }
    socket.on('data', hear)
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
    for (const waiting of this.#beside(seat)) {
      this.#unstarted.delete(waiting)
      waiting.backend.start()
    }
  }

  /** Those of the same token that have not been started yet. */
  #beside({ place }: Seat): Seat[] {
    return [...this.#unstarted].filter((waiting) => tokenOf(waiting.place) === tokenOf(place))
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

  #lost(backend: Backend, reason: StartFault | 'gone' | 'hung'): boolean {
    this.#retiring.delete(backend)
    const seat = this.#seats.find((one) => one.backend === backend || one.successor === backend)
    if (seat !== undefined && reason === 'loginRefused') this.#refusing.add(tokenOf(seat.place))
    if (seat?.successor === backend) {
      seat.successor = undefined
      seat.recycleNotBefore = performance.now() + (this.#options.successorAgainMs ?? usualSuccessorAgainMs)
      this.#options.log.error(`${seat.name}: its successor did not start (${reason}), it goes on`)
      void backend.stop()
      return false
    }
    const mayStart = seat !== undefined && this.#judge(seat, reason)
    this.#events.lost(backend)
    if (this.hopeless) this.#events.hopeless(reason)
    return mayStart
  }

  /** Whether the seat's process may be started again. */
  #judge(seat: Seat, reason: StartFault | 'gone' | 'hung'): boolean {
    seat.breaker.lost()
    this.#keySets.forget(seat)
    if (reason !== 'gone' && reason !== 'hung' && startExit[reason].permanent) {
      // What those beside it would be started with is the same, and would end the same way.
      for (const one of [seat, ...this.#beside(seat)]) this.#giveUp(one)
      return false
    }
    if (!this.#refusing.has(tokenOf(seat.place))) return true
    this.#options.log.error(`${seat.name}: its token refused a login, so it is not started again`)
    this.#giveUp(seat)
    return false
  }

  #giveUp(seat: Seat): void {
    this.#unstarted.delete(seat)
    this.#givenUp.add(seat)
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

/** Places of the same token. */
function tokenOf({ config, softhsmConf }: Place): string {
  return [config.module, config.tokenLabel, softhsmConf].join('\n')
}

function lessBusy(one: Backend | undefined, other: Backend): Backend {
  return one === undefined || rank(other) < rank(one) ? other : one
}

function rank(backend: Backend): number {
  return backend.outstanding + (backend.suspect ? inFlightMax : 0)
}
