/**
 * RRNs and STANs. An RRN is year digit, day of the year and a counter of eight digits that never goes back; a fresh
 * counter starts at the day's milliseconds, so that a book that was thrown away doesn't bring old numbers back.
 */
export class Numbering {
  #rrnCounter: number
  readonly #stans = new Map<string, number>()

  /** Reference numbers are counted from here. */
  constructor(start: number) {
    this.#rrnCounter = start % 86_400_000
  }

  /** Twelve digits; `madeAt` is wall clock ms. */
  nextRrn(madeAt: number): string {
    this.#rrnCounter = (this.#rrnCounter + 1) % 100_000_000
    const date = new Date(madeAt)
    const day = Math.floor((madeAt - Date.UTC(date.getUTCFullYear())) / 86_400_000) + 1
    const counter = this.#rrnCounter.toString().padStart(8, '0')
    return `${date.getUTCFullYear() % 10}${day.toString().padStart(3, '0')}${counter}`
  }

  /** 000001 to 999999 for each terminal, then again from the start: with DE7 it still names one message. */
  nextStan(terminalId: string): string {
    const next = ((this.#stans.get(terminalId) ?? 0) % 999_999) + 1
    this.#stans.set(terminalId, next)
    return next.toString().padStart(6, '0')
  }

  /** Takes note of what an earlier life has used. */
  used({ terminalId, rrn, stan }: { terminalId: string; rrn?: string; stan?: string }): void {
    if (rrn !== undefined) this.#rrnCounter = Math.max(this.#rrnCounter, Number(rrn.slice(4)))
    if (stan !== undefined) this.#stans.set(terminalId, Number(stan))
  }
}

/** `T0000001` and on. */
export function terminalIdOf(index: number): string {
  return `T${(index + 1).toString().padStart(7, '0')}`
}

const merchantCount = 10

/** Terminals are shared among ten merchants, `000000000000001` to `000000000000010`. */
export function merchantIdOf(index: number): string {
  return ((index % merchantCount) + 1).toString().padStart(15, '0')
}
