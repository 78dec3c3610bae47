import type { Clock, Timer } from '../kernel/clock.ts'
import { JournalUnavailable } from './journal.ts'
import type { Observer } from './observer.ts'

/**
 * Several nodes on one database (§5.7). Each holds a lease on its own name, whose number stands beside everything it
 * writes to the journal; a node that holds nothing any more writes nothing. A line to a network that allows one session
 * belongs to whoever has its lease.
 */
export interface LeaseStore {
  /** Its number; undefined while another holds it, or did less than `graceMs` ago. `anyway`: whoever holds it. */
  take(wanted: {
    readonly name: string
    readonly holder: string
    readonly forMs: number
    readonly graceMs: number
    readonly anyway: boolean
  }): Promise<bigint | undefined>
  /** False: another has it now. */
  renew(held: { readonly name: string; readonly token: bigint; readonly forMs: number }): Promise<boolean>
  release(held: { readonly name: string; readonly token: bigint }): Promise<void>
  /** Nodes whose lease has been over for so long: nobody is in their place, or whoever took it is gone as well. */
  deadNodes(over: { readonly graceMs: number }): Promise<readonly string[]>
}

/** A connector whose line may be open only for as long as it is told. */
export interface LeasedLine {
  readonly name: string
  /** The line may be open until then, on the monotonic clock; it closes by itself. */
  grant(untilMonotonicMs: number): void
}

export interface LeaseTimes {
  readonly renewMs: number
  /** On the database's clock. */
  readonly expiryMs: number
  /** Without a renewal for so long, on our own clock, lines are closed: well before anybody else may open them. */
  readonly fenceMs: number
  /** So long after its expiry another may take it. */
  readonly graceMs: number
}

/**
 * A node that dies is followed at the latest so long after its last renewal: its expiry, the grace, the other's next look
 * (`renewMs`), and a sign-on. That is 11 s and what the database and the network take, of the 15 s in which it has to be. One
 * renewal may fail before lines close.
 */
export const usualLeaseTimes: LeaseTimes = {
  renewMs: 2_000,
  expiryMs: 8_000,
  fenceMs: 6_000,
  graceMs: 1_000,
}

export interface LeasePorts {
  readonly node: string
  readonly clock: Clock
  readonly store: LeaseStore
  readonly lines: readonly LeasedLine[]
  readonly times: LeaseTimes
  readonly observer: Pick<Observer, 'alarm'>
  /** Takes up what a dead node left open. */
  readonly takeUp: (node: string) => Promise<void>
  /** Our own place has been taken: nothing that this process does counts any more. */
  readonly onOusted: () => void
}

export class Leases {
  readonly #ports: LeasePorts
  readonly #lines = new Map<LeasedLine, bigint>()
  /** Places of dead nodes, while what they left is being taken up. */
  readonly #followed = new Map<string, bigint>()
  #token: bigint | undefined
  #timer: Timer | undefined
  #stopped = false
  /** When the database could last not be reached. */
  #awayAtMs = Number.NEGATIVE_INFINITY

  constructor(ports: LeasePorts) {
    this.#ports = ports
  }

  /** Stands beside every write; undefined before `open`. */
  get token(): bigint | undefined {
    return this.#token
  }

  /** Takes our own name, from an earlier life of ours too. Rejects while the database is away. */
  async open(): Promise<void> {
    const { node, store, times } = this.#ports
    const wanted = { name: leaseOfNode(node), holder: node, forMs: times.expiryMs, graceMs: 0, anyway: true }
    this.#token = (await store.take(wanted))!
  }

  /** Renews, and looks for what is free, until stopped. */
  start(): void {
    void this.#turn().finally(() => {
      if (this.#stopped) return
      this.#timer = this.#ports.clock.after(this.#ports.times.renewMs, () => this.start())
    })
  }

  /** Others may have the lines at once. Called when they are closed. */
  async stop(): Promise<void> {
    const { node, store } = this.#ports
    this.#stopped = true
    this.#timer?.cancel()
    await this.#unlessAway(async () => {
      for (const [line, token] of this.#lines) await store.release({ name: nameOf(line), token })
      // Our own place is not given away: nothing of ours is left open for others to take up.
      if (this.#token !== undefined)
        await store.renew({ name: leaseOfNode(node), token: this.#token, forMs: restMs })
    })
  }

  async #turn(): Promise<void> {
    await this.#unlessAway(() => this.#renewNode())
    if (this.#stopped) return
    for (const line of this.#ports.lines) await this.#unlessAway(() => this.#hold(line))
    await this.#unlessAway(() => this.#renewFollowed())
    await this.#unlessAway(() => this.#followDead())
  }

  async #renewNode(): Promise<void> {
    const { node, observer, onOusted, store, times } = this.#ports
    const isOurs = await store.renew({ name: leaseOfNode(node), token: this.#token!, forMs: times.expiryMs })
    if (isOurs || this.#stopped) return
    observer.alarm('another has taken the place of this node', node)
    this.#stopped = true
    for (const line of this.#ports.lines) line.grant(Number.NEGATIVE_INFINITY)
    onOusted()
  }

  async #hold(line: LeasedLine): Promise<void> {
    const { clock, node, store, times } = this.#ports
    // Counted from before we ask: the database can't have counted from earlier.
    const until = clock.monotonicMs() + times.fenceMs
    const held = this.#lines.get(line)
    const name = nameOf(line)
    if (held !== undefined) {
      if (await store.renew({ name, token: held, forMs: times.expiryMs })) return line.grant(until)
      this.#lines.delete(line)
      return line.grant(Number.NEGATIVE_INFINITY)
    }
    const { expiryMs: forMs, graceMs } = times
    const token = await store.take({ name, holder: node, forMs, graceMs, anyway: false })
    if (token === undefined || this.#stopped) return
    this.#lines.set(line, token)
    line.grant(until)
  }

  async #renewFollowed(): Promise<void> {
    const { store, times } = this.#ports
    for (const [dead, token] of this.#followed)
      await store.renew({ name: leaseOfNode(dead), token, forMs: times.expiryMs })
  }

  /** Whoever takes a dead node's place keeps it from writing, and then takes up what it left. */
  async #followDead(): Promise<void> {
    const { clock, node, store, times } = this.#ports
    const { expiryMs: forMs, graceMs } = times
    // Where we could not renew, others could not either: they are given the time to.
    if (clock.monotonicMs() - this.#awayAtMs < times.expiryMs) return
    for (const dead of await store.deadNodes({ graceMs })) {
      if (dead === node || this.#followed.has(dead)) continue
      const name = leaseOfNode(dead)
      const token = await store.take({ name, holder: node, forMs, graceMs, anyway: false })
      if (token === undefined) continue
      this.#followed.set(dead, token)
      // It may be very much, and our own leases want renewing meanwhile.
      void this.#unlessAway(() => this.#follow(dead, token)).finally(() => this.#followed.delete(dead))
    }
  }

  /** Its place is held for good only when all is taken up: whatever cuts that short, somebody follows again. */
  async #follow(dead: string, token: bigint): Promise<void> {
    const { observer, store, takeUp } = this.#ports
    observer.alarm('a node is gone, and another takes up what it left', dead)
    await takeUp(dead)
    if (!this.#stopped) await store.renew({ name: leaseOfNode(dead), token, forMs: restMs })
  }

  async #unlessAway(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof JournalUnavailable)) throw error
      this.#awayAtMs = this.#ports.clock.monotonicMs()
    }
  }
}

/** A place that nobody need watch: of a node that ended in order, or was followed. A hundred years. */
const restMs = 100 * 365 * 86_400_000

export function leaseOfNode(node: string): string {
  return `node:${node}`
}

function nameOf({ name }: LeasedLine): string {
  return `line:${name}`
}
