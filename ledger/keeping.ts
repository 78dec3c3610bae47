import type { Clock, Timer } from '../kernel/clock.ts'
import { anchorHead } from './anchor.ts'
import type { Sign } from './anchor.ts'
import { closeDueDates } from './closing.ts'
import type { Ledger, UnitRow } from './contract.ts'
import type { Reader } from './reports.ts'
import { expireHolds } from './sweep.ts'
import type { DueHold } from './sweep.ts'
import type { LedgerLog } from './writer.ts'

export interface KeepingOptions {
  readonly ledger: Ledger
  readonly reader: Reader
  readonly clock: Clock
  readonly log: LedgerLog
  /** How often holds are looked for whose time has come; 5 s unless told. */
  readonly sweepEveryMs?: number
  /** Rows of another room that commit with the end of each hold: so that its expiry is an event there. */
  readonly expiryRows?: (hold: DueHold) => readonly UnitRow[]
  /** Where the head of the chain is put, signed, and how often; every minute unless told. */
  readonly anchor?: { readonly file: string; readonly sign: Sign; readonly everyMs?: number } | undefined
  /** Closes each network's business date this long after its end in Kuwait. Left out: dates are closed by hand. */
  readonly closeDatesAfterMs?: number | undefined
  /** Whether nothing new comes for a network's date; left out: so it is once its day has ended. */
  readonly isDateOver?: (network: string, date: string) => boolean
  /** How often it is looked whether one is due; every 5 minutes unless told. */
  readonly closeEveryMs?: number
}

export interface Keeping {
  /** Ends after what is under way. */
  close(): Promise<void>
}

const minuteMs = 60_000

/**
 * What books need done by the clock: holds let go at their time, checkpoints signed, business dates closed. Each duty
 * runs again some time after it has ended, never twice at once; one that fails is logged and tried again then.
 */
export function keepBooks(options: KeepingOptions): Keeping {
  const { ledger, reader, clock, anchor, closeDatesAfterMs } = options
  const duties: [name: string, everyMs: number, run: () => Promise<unknown>][] = [
    ['sweep', options.sweepEveryMs ?? 5_000, () => sweepAll(options)],
  ]
  if (anchor !== undefined) {
    const { file, sign, everyMs = 60_000 } = anchor
    duties.push(['anchor', everyMs, () => anchorHead({ reader, file, sign })])
  }
  if (closeDatesAfterMs !== undefined) {
    const close = (): Promise<unknown> =>
      closeDueDates(ledger, reader, {
        nowMs: clock.wallMs(),
        afterMs: closeDatesAfterMs,
        isOver: options.isDateOver,
      })
    duties.push(['closeDates', options.closeEveryMs ?? 5 * minuteMs, close])
  }
  const kept = duties.map(([name, everyMs, run]) => new Duty(name, everyMs, run, options))
  return {
    async close() {
      await Promise.all(kept.map((duty) => duty.close()))
      // What was written since the last checkpoint is signed too, when we end in order.
      await kept.find(({ name }) => name === 'anchor')?.once()
    },
  }
}

/** As many sweeps as it takes: after an outage there may be more than one has room for. */
async function sweepAll({ ledger, reader, clock, expiryRows: rowsOf }: KeepingOptions): Promise<void> {
  const nowMs = clock.wallMs()
  for (let expired = 1; expired > 0; ) {
    ;({ expired } = await expireHolds(ledger, reader, { nowMs, rowsOf }))
  }
}

class Duty {
  readonly name: string
  readonly #everyMs: number
  readonly #run: () => Promise<unknown>
  readonly #options: KeepingOptions
  #timer: Timer | undefined
  #running: Promise<void> = Promise.resolve()
  #closed = false

  constructor(name: string, everyMs: number, run: () => Promise<unknown>, options: KeepingOptions) {
    this.name = name
    this.#everyMs = everyMs
    this.#run = run
    this.#options = options
    this.#wait()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#running
  }

  #wait(): void {
    if (this.#closed) return
    this.#timer = this.#options.clock.after(this.#everyMs, () => {
      this.#running = this.once().then(() => this.#wait())
    })
  }

  async once(): Promise<void> {
    try {
      await this.#run()
    } catch (error) {
      const what = error instanceof Error ? error.message : 'broke'
      this.#options.log.warn({ duty: this.name, what }, 'a duty of the books failed and is tried again')
    }
  }
}
