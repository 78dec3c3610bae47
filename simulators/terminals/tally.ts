import { Latency, type LatencyMarks, type LatencySummary } from './latency.ts'

export interface LatencyWindow extends LatencySummary {
  readonly networks: Readonly<Record<string, LatencyMarks>>
}

export interface Surprise {
  readonly at: number
  readonly rrn: string
  readonly what: string
}

/** What the estate counts as it goes. Plain numbers: the book is the record, this is the dashboard. */
export class Tally {
  scheduled = 0
  sent = 0
  /** The line was down when the purchase was due. */
  unsent = 0
  /** No terminal was free when the purchase was due. */
  dropped = 0
  approved = 0
  unanswered = 0
  repeated = 0
  reversed = 0
  reversalAttempts = 0
  /** Not acknowledged yet. */
  reversalsOpen = 0
  /** Reversals answered with something that ends nothing. */
  reversalsRefused = 0
  badSeals = 0
  malformed = 0
  lateAnswers = 0
  outageAnswers = 0
  surprises = 0
  firstApproved: { readonly rrn: string; readonly at: number } | undefined
  /** How far behind its schedule the estate itself ran. */
  lagMaxMs = 0
  readonly declined: Record<string, number> = {}
  readonly #surprising: Record<string, number> = {}
  readonly #latestSurprises: Surprise[] = []
  readonly #latency = {
    fromScheduled: new Latency(),
    fromSent: new Latency(),
    allFromScheduled: new Latency(),
  }
  #window = new Latency()
  #windowByNetwork: Record<string, Latency> = {}

  declinedWith(code: string): void {
    this.declined[code] = (this.declined[code] ?? 0) + 1
  }

  surprise(rrn: string, what: string): void {
    this.surprises++
    this.#surprising[what] = (this.#surprising[what] ?? 0) + 1
    this.#latestSurprises.push({ at: Date.now(), rrn, what })
    if (this.#latestSurprises.length > latestMax) this.#latestSurprises.shift()
  }

  /** `network` is the one behind which the card is. */
  answered(times: {
    readonly scheduledMs: number
    readonly sentMs: number
    readonly answeredMs: number
    readonly prompt: boolean
    readonly network: string
  }): void {
    this.#latency.allFromScheduled.add(times.answeredMs - times.scheduledMs)
    if (!times.prompt) return
    this.#latency.fromScheduled.add(times.answeredMs - times.scheduledMs)
    this.#window.add(times.answeredMs - times.scheduledMs)
    const own = (this.#windowByNetwork[times.network] ??= new Latency())
    own.add(times.answeredMs - times.scheduledMs)
    this.#latency.fromSent.add(times.answeredMs - times.sentMs)
  }

  /** `fromScheduled` and `fromSent` leave out what the network was asked to delay; `allFromScheduled` doesn't. */
  latency(): Record<'fromScheduled' | 'fromSent' | 'allFromScheduled', LatencySummary> {
    return {
      fromScheduled: this.#latency.fromScheduled.summary(),
      fromSent: this.#latency.fromSent.summary(),
      allFromScheduled: this.#latency.allFromScheduled.summary(),
    }
  }

  /** What `fromScheduled` was since this was last asked; and what it was behind each network, as its histogram. */
  takeWindow(): LatencyWindow {
    const [window, byNetwork] = [this.#window, this.#windowByNetwork]
    this.#window = new Latency()
    this.#windowByNetwork = {}
    const networks = Object.entries(byNetwork).map(([name, latency]) => [name, latency.marks()] as const)
    return { ...window.summary(), networks: Object.fromEntries(networks) }
  }

  get surprising(): Readonly<Record<string, number>> {
    return this.#surprising
  }

  get latestSurprises(): readonly Surprise[] {
    return this.#latestSurprises
  }
}

const latestMax = 20
