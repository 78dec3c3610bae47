import type { Clock, Timer } from '../kernel/clock.ts'
import type { TlsCredentials } from './link-tls.ts'

export interface ExpiryOptions {
  readonly credentials: Pick<TlsCredentials, 'expiresAt' | 'onReplaced'>
  readonly clock: Clock
  /** Once at each of 30, 14, 7 and 1 days before the end, and once after it. */
  readonly onAlarm: (alarm: ExpiryAlarm) => void
}

export interface ExpiryAlarm {
  /** The mark that was passed; 0 is the end itself. */
  readonly daysLeft: number
  /** In ms since 1970. */
  readonly expiresAt: number
}

const dayMs = 86_400_000
const lookEveryMs = 3_600_000
const marks = [0, 1, 7, 14, 30]

/** Says in good time that certificates end. It looks every hour, since the wall clock may be set. */
export function watchExpiry({ credentials, clock, onAlarm }: ExpiryOptions): { stop(): void } {
  let said = Number.POSITIVE_INFINITY
  let timer: Timer | undefined
  const look = (): void => {
    timer?.cancel()
    timer = clock.after(lookEveryMs, look)
    const { expiresAt } = credentials
    const leftDays = (expiresAt - clock.wallMs()) / dayMs
    const mark = marks.find((days) => leftDays <= days)
    if (mark === undefined || mark >= said) return
    said = mark
    onAlarm({ daysLeft: mark, expiresAt })
  }
  const forget = credentials.onReplaced(() => {
    said = Number.POSITIVE_INFINITY
    look()
  })
  look()
  return {
    stop() {
      timer?.cancel()
      forget()
    },
  }
}
