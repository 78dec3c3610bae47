/** The bounded queue in front of the HSM processes: deadlines, choice of process, one second try. */
import type { Backend } from './backend.ts'
import { Backends } from './backends.ts'
import type { BackendsOptions } from './backends.ts'
import { faultOf } from './fault-fields.ts'
import { HsmError } from './fault.ts'
import type { HsmFault } from './fault.ts'
import { Figures } from './figures.ts'
import { refsOf } from './key-sets.ts'
import { WireError } from './wire.ts'
import type { Fields, Frame } from './wire.ts'

export interface DispatcherOptions extends BackendsOptions {
  readonly deadlineMs: number
  readonly queueMax: number
}

interface Call {
  readonly id: number
  readonly fields: Fields
  readonly startedAt: number
  /** Times as long as usual that the caller waits. */
  readonly patience: number
  readonly resolve: (answer: Fields) => void
  readonly reject: (error: HsmError) => void
  backend: Backend | undefined
  tries: number
}

const noRefs = (): readonly string[] => []
const triesMax = 2
const sweepMs = 20

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #backends: Backends
  readonly #figures = new Figures()
  /** Every call that has no answer yet, oldest first. */
  readonly #calls = new Map<number, Call>()
  #waiting: Call[] = []
  readonly #sweeper: NodeJS.Timeout
  readonly #ready = Promise.withResolvers<undefined>()
  #nextId = 1
  #pumping = false
  #closed = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#backends = new Backends(options, {
      ready: () => {
        this.#ready.resolve(undefined)
        this.#pumpSoon()
      },
      answered: (backend, frame) => this.#answered(backend, frame),
      lost: (backend) => this.#lost(backend),
      hopeless: (reason) => {
        this.#ready.reject(new Error(`the HSM process does not start: ${reason}`))
        for (const call of this.#calls.values()) this.#settle(call, { kind: 'unavailable' })
      },
    })
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
    this.#sweeper.unref()
  }

  /** Starts the processes, and resolves when the first can serve. Throws an `Error` that says why none will. */
  async start(): Promise<void> {
    await this.#backends.start()
    await this.#ready.promise
  }

  /** `patience`: times as long as usual that the answer may take. */
  call(fields: Fields, patience = 1): Promise<Fields> {
    return new Promise((resolve, reject) => {
      const refusal: HsmFault | undefined =
        this.#closed || this.#backends.hopeless
          ? { kind: 'unavailable' }
          : this.#calls.size >= this.#options.queueMax
            ? { kind: 'shed' }
            : undefined
      if (refusal !== undefined) {
        this.#figures.ended(operationOf(fields), 0, refusal.kind)
        reject(new HsmError(refusal))
        return
      }
      this.#waiting.push(this.#newCall(fields, resolve, reject, patience))
      this.#pumpSoon()
    })
  }

  /** Asks every process that can serve, one after the other. Their answers, or the first fault. */
  async callEach(fields: Fields, patience: number): Promise<Fields[]> {
    const answers: Fields[] = []
    const serving = this.#backends.serving()
    if (serving.length === 0) throw new HsmError({ kind: 'unavailable' })
    for (const backend of serving) {
      answers.push(
        await new Promise<Fields>((resolve, reject) => {
          const call = this.#newCall(fields, resolve, reject, patience)
          call.tries = triesMax - 1
          this.#give(call, backend)
          this.#backends.flush()
        }),
      )
    }
    return answers
  }

  get pending(): number {
    return this.#calls.size
  }

  get state(): 'up' | 'starting' | 'down' {
    if (this.#backends.up > 0) return 'up'
    return this.#backends.hopeless || this.#closed ? 'down' : 'starting'
  }

  get backends(): Pick<Backends, 'up' | 'restarts' | 'pids' | 'keys' | 'status'> {
    return this.#backends
  }

  get figures(): Pick<Figures, 'operations'> {
    return this.#figures
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweeper)
    for (const call of this.#calls.values()) call.reject(new HsmError({ kind: 'unavailable' }))
    this.#calls.clear()
    this.#waiting = []
    await this.#backends.close()
  }

  #newCall(fields: Fields, resolve: Call['resolve'], reject: Call['reject'], patience = 1): Call {
    const id = this.#nextId
    this.#nextId = id === 0xfffffffe ? 1 : id + 1
    const startedAt = performance.now()
    const call = { id, fields, startedAt, patience, resolve, reject, backend: undefined, tries: 0 }
    this.#calls.set(id, call)
    return call
  }

  /** Requests of one turn leave in one write. */
  #pumpSoon(): void {
    if (this.#pumping) return
    this.#pumping = true
    queueMicrotask(() => this.#pump())
  }

  #pump(): void {
    this.#pumping = false
    const waiting = this.#waiting
    this.#waiting = []
    // A call that nobody can take now does not hold up those behind it.
    const stay: Call[] = []
    let index = 0
    for (; index < waiting.length; index++) {
      const call = waiting[index]!
      if (!this.#calls.has(call.id)) continue
      const refs = (): readonly string[] => refsOf(call.fields)
      const backend = this.#backends.choose(refs)
      if (backend !== undefined) this.#give(call, backend)
      else if (this.#backends.isShut(refs)) this.#settle(call, { kind: 'unavailable' })
      else if (this.#backends.choose(noRefs) === undefined) break
      else stay.push(call)
    }
    if (stay.length > 0 || index < waiting.length) {
      this.#waiting = [...stay, ...waiting.slice(index), ...this.#waiting]
    }
    this.#backends.flush()
  }

  /** What a silent process sits on is asked of another before its deadline; whichever answers first has answered. */
  #askAgainElsewhere(): void {
    for (const call of this.#calls.values()) {
      if (call.backend?.suspect !== true || call.tries >= triesMax) continue
      const other = this.#backends.choose(() => refsOf(call.fields), call.backend)
      if (other === undefined || other.suspect) continue
      this.#backends.late(call.backend)
      this.#give(call, other)
    }
  }

  /** It leaves when the backends are flushed. */
  #give(call: Call, backend: Backend): void {
    try {
      backend.send(call.id, call.fields)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#settle(call, { kind: 'refused', why: 'badRequest' })
      return
    }
    call.backend = backend
    call.tries++
  }

  #answered(backend: Backend, { id, fields }: Frame): void {
    const call = this.#calls.get(id)
    // An answer after the deadline, or after another's, finds nobody waiting.
    if (call !== undefined) {
      const fault = faultOf(fields)
      if (fault === undefined) {
        this.#calls.delete(id)
        this.#count(call)
        call.resolve(fields)
      } else if (!this.#askedElsewhere(call, backend, fault)) {
        this.#settle(call, fault)
      }
    }
    if (this.#waiting.length > 0) this.#pumpSoon()
  }

  /** A key that one token has lost, another may have. */
  #askedElsewhere(call: Call, backend: Backend, fault: HsmFault): boolean {
    if (fault.kind !== 'refused' || fault.why !== 'unknownKey' || call.tries >= triesMax) return false
    const other = this.#backends.elsewhere(backend, refsOf(call.fields))
    if (other === undefined) return false
    this.#give(call, other)
    this.#backends.flush()
    return true
  }

  /** All commands may be repeated without harm, so what was under way is asked once more, elsewhere or later. */
  #lost(backend: Backend): void {
    const again: Call[] = []
    for (const call of this.#calls.values()) {
      if (call.backend !== backend) continue
      call.backend = undefined
      if (call.tries < triesMax) again.push(call)
      else this.#settle(call, { kind: 'unavailable' })
    }
    this.#waiting = [...again, ...this.#waiting]
    this.#pumpSoon()
  }

  #sweep(): void {
    this.#askAgainElsewhere()
    const now = performance.now()
    for (const call of this.#calls.values()) {
      // None has less time than this, so the first that is not due ends the search.
      if (call.startedAt + this.#options.deadlineMs > now) break
      if (call.startedAt + this.#options.deadlineMs * call.patience > now) continue
      if (call.backend !== undefined) this.#backends.late(call.backend)
      this.#settle(call, { kind: 'deadline' })
    }
    for (const backend of this.#backends.takeProbes()) this.#probe(backend)
    this.#backends.flush()
    this.#backends.recycle()
    if (this.#waiting.length > 0) this.#pumpSoon()
  }

  /** A health check by a key of the token's, to see whether an open breaker may close. It is asked once, and there. */
  #probe(backend: Backend): void {
    const end = (passed: boolean) => (): void => this.#backends.probed(backend, passed)
    const call = this.#newCall({ command: 'health' }, end(true), end(false))
    call.tries = triesMax - 1
    this.#give(call, backend)
  }

  #settle(call: Call, fault: HsmFault): void {
    this.#calls.delete(call.id)
    this.#count(call, fault)
    call.reject(new HsmError(fault))
  }

  #count({ fields, startedAt }: Call, fault?: HsmFault): void {
    this.#figures.ended(operationOf(fields), performance.now() - startedAt, fault?.kind)
  }
}

function operationOf(fields: Fields): string {
  const name = fields['command']
  return typeof name === 'string' ? name : 'unknown'
}
