/** One HSM process as its parent sees it: started, watched, killed when it falls silent, and started again. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { startExit, startFaultOf } from './config.ts'
import type { ProcessConfig, StartFault } from './config.ts'
import { FrameReader, FrameWriter } from './wire.ts'
import type { Fields, Frame } from './wire.ts'

export interface HsmLog {
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

export interface BackendOptions {
  readonly name: string
  readonly processFile: string
  readonly softhsmConf: string | undefined
  readonly config: Omit<ProcessConfig, 'secret'>
  readonly log: HsmLog
  /** With nothing heard for this long while an answer is due, the process is taken for hung. */
  readonly silenceMaxMs: number
  readonly startMaxMs: number
}

/** `retiring`: it answers what it was asked, and is asked no more. */
export type BackendState = 'starting' | 'up' | 'retiring' | 'down' | 'stopped'

export interface BackendEvents {
  ready(backend: Backend, hello: Fields): void
  answered(backend: Backend, frame: Frame): void
  /** The process said something unasked: its keys have changed. */
  told(backend: Backend, fields: Fields): void
  /** The process is gone; whatever it had not answered is to be asked again. Says whether it may be started again. */
  lost(backend: Backend, reason: StartFault | 'gone' | 'hung'): boolean
}

const tickMs = 100
const backoffMaxMs = 5_000

export class Backend {
  readonly name: string
  readonly #options: BackendOptions
  readonly #events: BackendEvents
  readonly #ticker: NodeJS.Timeout
  #child: ChildProcess | undefined
  #socket: Socket | undefined
  #reader = new FrameReader()
  readonly #writer = new FrameWriter((bytes, gone) => {
    if (this.#socket === undefined) gone()
    else this.#socket.write(bytes, gone)
  })
  #secret = ''
  #state: BackendState = 'down'
  #due = 0
  #answers = 0
  #upAt = 0
  #silentTicks = 0
  #startingTicks = 0
  #failures = 0
  #restarts = -1
  #again: NodeJS.Timeout | undefined
  #hung = false
  #retired = false

  constructor(options: BackendOptions, events: BackendEvents) {
    this.name = options.name
    this.#options = options
    this.#events = events
    this.#ticker = setInterval(() => this.#tick(), tickMs)
    this.#ticker.unref()
  }

  get state(): BackendState {
    return this.#state
  }

  /** Answers since the process started. */
  get answers(): number {
    return this.#answers
  }

  /** Milliseconds since the process could serve; 0 while none can. */
  get ageMs(): number {
    return this.#state === 'up' ? performance.now() - this.#upAt : 0
  }

  /** How often the process was started after the first time. */
  get restarts(): number {
    return Math.max(0, this.#restarts)
  }

  /** Nothing was heard for a while, though heartbeats were asked for: better ask another, if there is one. */
  get suspect(): boolean {
    return this.#silentTicks >= 2
  }

  /** Answers that are due, apart from heartbeats. */
  get outstanding(): number {
    return this.#due
  }

  start(): void {
    this.#restarts++
    this.#state = 'starting'
    this.#startingTicks = 0
    this.#hung = false
    this.#secret = randomBytes(16).toString('hex')
    const { processFile, softhsmConf, config } = this.#options
    // The shell only forbids core files, which would hold whatever the process held, and then is the process. Where the
    // system hands them to a program whatever their limit, they at least have no memory in them (Linux, core(5)).
    const child = spawn(
      '/bin/sh',
      [
        '-c',
        '(echo 0 >/proc/$$/coredump_filter) 2>/dev/null; ulimit -c 0; exec "$0" "$@"',
        process.execPath,
        ...nodeFlags,
        processFile,
      ],
      {
        stdio: ['pipe', 'ignore', 'pipe'],
        env: softhsmConf === undefined ? {} : { SOFTHSM2_CONF: softhsmConf },
      },
    )
    this.#child = child
    child.on('error', () => this.#ended(child, null))
    child.on('exit', (code) => this.#ended(child, code))
    child.stdin.on('error', () => undefined)
    child.stdin.write(`${JSON.stringify({ ...config, secret: this.#secret } satisfies ProcessConfig)}\n`)
    createInterface({ input: child.stderr }).on('line', (line) => this.#heardLog(line))
  }

  /** Takes a fresh connection when it is from this backend's process. */
  adopt(
    socket: Socket,
    { hello, reader, rest }: { hello: Fields; reader: FrameReader; rest: readonly Frame[] },
  ): boolean {
    if (this.#state !== 'starting' || hello['secret'] !== this.#secret) return false
    this.#socket = socket
    this.#reader = reader
    this.#state = 'up'
    this.#due = 0
    this.#answers = 0
    this.#upAt = performance.now()
    this.#silentTicks = 0
    socket.on('data', (chunk: Buffer) => this.#heard(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#child?.kill('SIGKILL'))
    this.#events.ready(this, hello)
    for (const frame of rest) this.#take(frame)
    return true
  }

  /** It leaves at `flush`. Throws `WireError` when it is too long. */
  send(id: number, fields: Fields): void {
    this.#writer.put(id, fields)
    this.#due++
  }

  flush(): void {
    this.#writer.flush()
  }

  /** From here on it is only waited for. */
  retire(): void {
    this.#retired = true
    if (this.#state === 'up') this.#state = 'retiring'
  }

  pid(): number | undefined {
    return this.#child?.pid
  }

  async stop(): Promise<void> {
    this.#state = 'stopped'
    clearInterval(this.#ticker)
    clearTimeout(this.#again)
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.stdin?.end()
    this.#socket?.end()
    const timer = setTimeout(() => child.kill('SIGKILL'), 500)
    await gone
    clearTimeout(timer)
  }

  #heard(chunk: Buffer): void {
    this.#silentTicks = 0
    let frames: Frame[]
    try {
      frames = this.#reader.push(chunk)
    } catch {
      this.#options.log.error(`${this.name}: answered what is not a frame`)
      this.#child?.kill('SIGKILL')
      return
    }
    for (const frame of frames) this.#take(frame)
  }

  #take(frame: Frame): void {
    if (frame.id === heartbeatId) return
    if (frame.id === unaskedId) {
      this.#events.told(this, frame.fields)
      return
    }
    this.#due--
    this.#answers++
    this.#events.answered(this, frame)
  }

  /**
   * Silence is counted in our own ticks: when this process itself is held up, a late tick counts once, and
   * whatever came meanwhile is read before the next one.
   */
  #tick(): void {
    if (this.#state === 'starting') {
      if (++this.#startingTicks * tickMs >= this.#options.startMaxMs) this.#kill('did not start in time')
      return
    }
    if (this.#state !== 'up' && this.#state !== 'retiring') return
    this.#silentTicks++
    if (this.#silentTicks * tickMs >= this.#options.silenceMaxMs) {
      this.#kill('fell silent')
    } else {
      this.#writer.put(heartbeatId, { command: 'ping' })
      this.#writer.flush()
    }
  }

  #kill(why: string): void {
    this.#options.log.error(`${this.name}: ${why}, killed`)
    this.#hung = true
    this.#state = 'down'
    this.#child?.kill('SIGKILL')
  }

  #ended(child: ChildProcess, code: number | null): void {
    if (child !== this.#child || this.#state === 'stopped') return
    const wasUp = this.#socket !== undefined
    this.#socket?.destroy()
    this.#socket = undefined
    this.#child = undefined
    this.#state = 'down'
    this.#due = 0
    const fault = startFaultOf(code)
    const reason = this.#hung ? 'hung' : (fault ?? 'gone')
    const permanent = fault !== undefined && startExit[fault].permanent
    this.#options.log.warn(`${this.name}: ended (${reason})${permanent ? ', not started again' : ''}`)
    // Whoever has a successor, or was given up, stays away: nobody would know of its process any more, nor end it.
    const mayStart = this.#events.lost(this, reason)
    if (permanent || this.#retired || !mayStart) return
    this.#failures = wasUp ? 0 : this.#failures + 1
    // The first restart is at once: a request may still be inside its deadline.
    const delayMs = this.#failures === 0 ? 0 : Math.min(100 * 2 ** (this.#failures - 1), backoffMaxMs)
    this.#again = setTimeout(() => this.start(), delayMs)
  }

  #heardLog(line: string): void {
    const { log } = this.#options
    try {
      const { level, message } = JSON.parse(line) as { level?: unknown; message?: unknown }
      if (typeof message === 'string') log[level === 'error' ? 'error' : 'warn'](`${this.name}: ${message}`)
    } catch {
      // Not a line of our own making: what a crashing runtime prints may quote memory, and is not repeated.
      log.error(`${this.name}: printed something that is not a log line`)
    }
  }
}

/** No request has these ids. */
const heartbeatId = 0xffffffff
const unaskedId = 0

const nodeFlags = [
  // No inspector by signal: it would read every secret.
  '--disable-sigusr1',
  '--expose-gc',
  '--max-old-space-size=256',
  '--disable-warning=ExperimentalWarning',
]
