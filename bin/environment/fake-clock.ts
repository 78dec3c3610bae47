import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A wall clock for a process that is started with it, set from outside while it runs (libfaketime, Debian package of that
 * name). Its monotonic clock stays true: that one is not what a wrong clock is about.
 */
export class FakeClock {
  readonly #file: string
  readonly #library: string

  /** Throws where there is no libfaketime. */
  constructor(file: string) {
    const library = libraryPath()
    if (library === undefined) throw new Error(fakeClockMissing())
    this.#library = library
    this.#file = file
    this.set(0)
  }

  /** For the environment of a process. */
  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      // Read each time: whoever shares the file sees the new time at once.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** From here on its time is the true one and so much more, or less. */
  set(offsetMs: number): void {
    const seconds = (offsetMs / 1_000).toFixed(3)
    // Never half a file.
    writeFileSync(`${this.#file}.new`, `${offsetMs < 0 ? '' : '+'}${seconds}\n`)
    renameSync(`${this.#file}.new`, this.#file)
  }
}

/** Why there can be none here; undefined: there can. */
export function fakeClockMissing(): string | undefined {
  return libraryPath() === undefined ? 'there is no libfaketime: apt-get install libfaketime' : undefined
}

/** The one for programs with threads. */
function libraryPath(): string | undefined {
  const root = '/usr/lib'
  if (!existsSync(root)) return undefined
  return readdirSync(root)
    .map((folder) => join(root, folder, 'faketime', 'libfaketimeMT.so.1'))
    .find((path) => existsSync(path))
}
