import {
  LinkError,
  readTlsMaterial,
  TlsCredentials,
  type TlsFiles,
  watchExpiry,
} from '../../iso8583/iso8583.ts'
import type { Clock } from '../../kernel/clock.ts'

interface Log {
  info(details: object, text: string): void
  warn(details: object, text: string): void
  error(details: object, text: string): void
}

interface Held {
  readonly files: TlsFiles
  readonly credentials: TlsCredentials
  readonly watch: { stop(): void }
}

/** The certificates of a process: each read once, watched for its end, and read again when somebody says so. */
export class Certificates {
  readonly #clock: Clock
  readonly #log: Log
  readonly #held = new Map<string, Held>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** Throws `LinkError`: nothing starts with a certificate that is of no use. */
  open(files: TlsFiles): TlsCredentials {
    const name = JSON.stringify([files.key, files.certificate, files.ca, files.crl])
    const known = this.#held.get(name)
    if (known !== undefined) return known.credentials
    const { certificate } = files
    const credentials = new TlsCredentials(readTlsMaterial(files), this.#clock)
    const watch = watchExpiry({
      credentials,
      clock: this.#clock,
      onAlarm: ({ daysLeft, expiresAt }) => {
        const details = { alarm: 'certificateEnds', certificate, daysLeft, expiresAt: new Date(expiresAt) }
        this.#log[daysLeft > 7 ? 'warn' : 'error'](details, 'a certificate ends')
      },
    })
    this.#held.set(name, { files, credentials, watch })
    return credentials
  }

  /** Reads all files again. Links that are open stay; one that can't be used leaves what was there before. */
  reload(): void {
    for (const { files, credentials } of this.#held.values()) {
      const { certificate } = files
      try {
        credentials.replace(readTlsMaterial(files))
        this.#log.info({ certificate, expiresAt: new Date(credentials.expiresAt) }, 'certificate read again')
      } catch (error) {
        if (!(error instanceof LinkError)) throw error
        const details = { alarm: 'certificateRefused', certificate, fault: error.fault }
        this.#log.error(details, 'a certificate was not taken: the one before it stays')
      }
    }
  }

  /** Until the first of them ends, in seconds; undefined: there are none. */
  get expiresInSeconds(): number | undefined {
    const ends = [...this.#held.values()].map(({ credentials }) => credentials.expiresAt)
    return ends.length === 0 ? undefined : (Math.min(...ends) - this.#clock.wallMs()) / 1_000
  }

  close(): void {
    for (const { watch } of this.#held.values()) watch.stop()
  }
}
