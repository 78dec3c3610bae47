import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { guard } from './guard.ts'

const binFolder = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const readyWithinMs = 90_000
// Longer than the switch takes to see what is in flight to its end.
const stopWithinMs = 45_000

/**
 * One of the project's programs as a process of its own: `node bin/PROGRAM --config FILE`. It is ready when it prints
 * a line that starts with `READY`; whatever else it says goes to its log.
 */
export class Child {
  readonly name: string
  readonly #program: string
  readonly #stateFolder: string
  readonly #environment: Readonly<Record<string, string>>
  readonly #nodeFlags: readonly string[]
  #config: object
  #process: ChildProcess | undefined
  #expected = false
  readonly #listeners: ((how: string) => void)[] = []

  /** `environment` is added to ours; `nodeFlags` stand before the program. */
  constructor(options: {
    name: string
    program: string
    stateFolder: string
    config: object
    environment?: Readonly<Record<string, string>> | undefined
    nodeFlags?: readonly string[]
  }) {
    this.name = options.name
    this.#program = resolve(binFolder, options.program)
    this.#stateFolder = options.stateFolder
    this.#config = options.config
    this.#environment = options.environment ?? {}
    this.#nodeFlags = options.nodeFlags ?? []
  }

  pid(): number | undefined {
    return this.#process?.pid
  }

  /** Called when the process ends without `kill` or `stop`. */
  onLost(listener: (how: string) => void): void {
    this.#listeners.push(listener)
  }

  /** The next start runs with this. */
  configure(config: object): void {
    this.#config = config
  }

  /** Starts it, and resolves to what it said with `READY`. */
  async start(): Promise<unknown> {
    if (this.#process !== undefined) throw new Error(`${this.name} is running`)
    const { configFile, logFile } = this.#files()
    // The configuration names passwords of the database.
    writeFileSync(configFile, `${JSON.stringify(this.#config, undefined, 2)}\n`, { mode: 0o600 })
    const log = openSync(logFile, 'a', 0o600)
    const child = spawn(process.execPath, [...this.#nodeFlags, this.#program, '--config', configFile], {
      // A process group of its own: Ctrl-C is for us alone, and we stop things in their order.
      detached: true,
      env: { ...process.env, ...this.#environment },
      stdio: ['ignore', 'pipe', log],
    })
    closeSync(log)
    this.#process = child
    this.#expected = false
    const release = child.pid === undefined ? undefined : guard(child.pid, 'TERM')
    let ready = false
    const announced = new Promise<unknown>((resolve, reject) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        if (line.startsWith('READY')) {
          ready = true
          resolve(parsed(line.slice('READY'.length)))
        } else appendFileSync(logFile, `${line}\n`)
      })
      child.once('error', reject)
      // Not `close`: a process that this one started may hold its output open for longer.
      child.once('exit', (code, signal) => {
        release?.()
        this.#process = undefined
        const how = signal ?? `status ${String(code)}`
        reject(new Error(`${this.name} ended with ${how} before it was ready, see ${logFile}`))
        if (ready && !this.#expected) for (const listener of this.#listeners) listener(how)
      })
    })
    const clock = setTimeout(() => child.kill('SIGKILL'), readyWithinMs)
    try {
      return await announced
    } finally {
      clearTimeout(clock)
    }
  }

  /** SIGKILL, as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM, on which it drains; SIGKILL when that takes too long. Whether it ended by itself. */
  async stop(): Promise<boolean> {
    const ended = this.#end('SIGTERM').then(() => true)
    const inTime = await Promise.race([ended, sleep(stopWithinMs, false, { ref: false })])
    if (!inTime) await this.#end('SIGKILL')
    return inTime
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    this.#expected = true
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  #files(): { configFile: string; logFile: string } {
    const files = {
      configFile: join(this.#stateFolder, 'config', `${this.name}.json`),
      logFile: join(this.#stateFolder, 'logs', `${this.name}.log`),
    }
    for (const file of Object.values(files)) mkdirSync(dirname(file), { recursive: true })
    return files
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
