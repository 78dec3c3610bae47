/**
 * The HSM process: one thread that asks the token synchronously, and a socket to the client that started it.
 * When that client goes, the process goes.
 */
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Socket } from 'node:net'
import { commandNamed, commands } from './commands/commands.ts'
import type { Command } from './commands/commands.ts'
import type { Context } from './commands/context.ts'
import { expiryText, panText, refText, Request } from './commands/request.ts'
import { deviceLostExit, StartError, startExit } from './config.ts'
import type { ProcessConfig } from './config.ts'
import { advanceKey, receiveKey } from './exchange.ts'
import type { Ask } from './exchange.ts'
import { fieldsOf } from './fault-fields.ts'
import { HsmError } from './fault.ts'
import type { HsmFault } from './fault.ts'
import { HealthCheck } from './health.ts'
import { KeyStates } from './inventory.ts'
import { packHeldKey } from './key-sets.ts'
import { KeyTable } from './key-table.ts'
import { labelOf, parseLabel } from './key.ts'
import { readKeyFile } from './keys.ts'
import { objectsOf } from './objects.ts'
import { openPkcs11Token } from './pkcs11/token.ts'
import { ownBytes } from './memory.ts'
import { classOf } from './refusal.ts'
import { capabilityFor, selfTest } from './self-test.ts'
import type { Capabilities } from './self-test.ts'
import { PinFaultThrottle, pinFaultLimits } from './throttle.ts'
import { TokenError } from './token.ts'
import type { Token } from './token.ts'
import { openTwin } from './twin/token.ts'
import { openVault } from './vault.ts'
import type { Vault } from './vault.ts'
import { FrameReader, FrameWriter, WireError } from './wire.ts'
import type { Fields, Frame } from './wire.ts'

/** Runs until the client is gone. Ends the process itself, with a code of `config.ts` when it could not start. */
export async function runHsmProcess(): Promise<void> {
  process.umask(0o077)
  try {
    const config = await readConfig()
    const token = await openToken(config)
    if (token.insecure && config.environment === 'production' && !config.allowInsecureDriver) {
      throw new StartError('insecureInProduction')
    }
    if (token.insecure) log('warn', `${token.model} protects no key from whoever holds this machine`)
    const capabilities = selfTest(token)
    if (!capabilities.random) throw new StartError('selfTestFailed')
    new Server(config, token, capabilities).start()
  } catch (error) {
    // Only the kind of a fault is printed: what lies beneath may quote a file or a connection string.
    const otherwise = error instanceof TokenError ? 'selfTestFailed' : 'badConfig'
    const fault = error instanceof StartError ? error.fault : otherwise
    log('error', `does not start: ${fault}`)
    process.exit(startExit[fault].code)
  }
}

async function openToken(config: ProcessConfig): Promise<Token> {
  if (config.driver === 'twin') {
    if (config.keyFile === undefined) throw new StartError('badConfig')
    try {
      return openTwin(readKeyFile(config.keyFile).flatMap(objectsOf))
    } catch {
      throw new StartError('badKeys')
    }
  }
  const { module, tokenLabel, pinFile } = config
  if (module === undefined || tokenLabel === undefined || pinFile === undefined) {
    throw new StartError('badConfig')
  }
  return openPkcs11Token({ module, tokenLabel, pinFile })
}

function readConfig(): Promise<ProcessConfig> {
  return new Promise((resolve, reject) => {
    let text = ''
    process.stdin.setEncoding('utf8')
    process.stdin.on('data', (piece: string) => {
      text += piece
      const end = text.indexOf('\n')
      if (end === -1) return
      try {
        resolve(JSON.parse(text.slice(0, end)) as ProcessConfig)
      } catch {
        reject(new StartError('badConfig'))
      }
      text = ''
    })
    // The parent holds the other end for as long as it lives.
    process.stdin.on('end', () => process.exit(0))
  })
}

class Server {
  readonly #config: ProcessConfig
  readonly #token: Token
  readonly #capabilities: Capabilities
  readonly #vault: Vault
  readonly #socket: Socket
  readonly #reader = new FrameReader()
  readonly #writer = new FrameWriter((bytes, gone) => this.#socket.write(bytes, gone))
  #flushing = false
  readonly #health: HealthCheck
  readonly #pinFaults = new PinFaultThrottle(pinFaultLimits, () => performance.now())
  #states: KeyStates | undefined
  #toldKeys: string | undefined
  #context: Context
  #idle: NodeJS.Timeout | undefined

  constructor(config: ProcessConfig, token: Token, capabilities: Capabilities) {
    this.#config = config
    this.#token = token
    this.#capabilities = capabilities
    this.#context = this.#freshContext()
    this.#health = new HealthCheck(token)
    this.#vault = openVault({
      databaseUrl: config.vaultDatabaseUrl,
      token,
      keys: () => this.#context.keys,
      actor: config.actor,
      waitMs: Math.round(config.deadlineMs * 0.9),
      alarm: (message) => log('error', message),
    })
    // One buffer for all that is read, wiped each time; streams of the usual kind leave copies behind.
    const onread = {
      buffer: ownBytes(65_536),
      callback: (count: number, buffer: Uint8Array): boolean => {
        this.#receive(Buffer.from(buffer.buffer, buffer.byteOffset, count))
        return true
      },
    }
    this.#socket = connect({ path: config.socket, onread })
  }

  start(): void {
    const end = (): never => process.exit(0)
    this.#socket.on('connect', () => void this.#sayReady())
    this.#socket.on('end', end)
    this.#socket.on('close', end)
    this.#socket.on('error', end)
  }

  /** Ready with what the database knows, or soon without: known cards and decided keys need it no more. */
  async #sayReady(): Promise<void> {
    const prepared = Promise.all([this.#readStates(), this.#vault.warm()])
    prepared.catch(() => log('warn', 'the vault’s database is not there yet'))
    await Promise.race([prepared.catch(() => undefined), wait(databaseHeadStartMs)])
    this.#writer.putList(0, {
      event: 'ready',
      secret: this.#config.secret,
      driver: this.#token.driver,
      model: this.#token.model,
      insecure: this.#token.insecure,
      capabilities: { ...this.#capabilities },
      keys: this.#heldKeys(),
    })
    setInterval(() => this.#checkHealth(), healthMs)
    setInterval(() => this.#lookAgain(), lookAgainMs)
    await this.#followInventory()
  }

  /** What this token holds, for comparison with the others: labels, check values and states. */
  #heldKeys(): string[] {
    const lines = this.#context.keys.states().map(({ name, state }) =>
      packHeldKey({
        label: labelOf(name.ref, name.version),
        id: `${name.usage}${name.mode}:${name.kcv}`,
        state,
        listed: this.#states?.lists(name.ref) === true,
        activeFrom: this.#states?.activeFrom(name),
      }),
    )
    this.#toldKeys = lines.join('\n')
    return lines
  }

  #tellKeys(): void {
    const before = this.#toldKeys
    const keys = this.#heldKeys()
    if (this.#toldKeys !== before) this.#writer.putList(0, { event: 'keys', keys })
  }

  /** Other processes may have put keys on the token, or taken them away. */
  #lookAgain(): void {
    this.#refreshKeys()
    this.#tellKeys()
  }

  #refreshKeys(): void {
    try {
      this.#token.refresh()
      this.#health.choose()
    } catch (error) {
      this.#faultOf(error)
    }
    this.#context = this.#freshContext()
  }

  #checkHealth(): void {
    try {
      if (this.#health.passes()) return
      log('error', 'the token answers wrongly')
    } catch (error) {
      if (error instanceof TokenError && classOf(error.code) === 'handle') {
        // The one key that was tried is gone, which its users will hear; the token itself still answers.
        this.#refreshKeys()
        this.#tellKeys()
        return
      }
      log('error', 'the token fails its health check')
    }
    process.exit(deviceLostExit)
  }

  /** Key states are changed by the keepers' tool; a database that is away leaves them as they were. */
  async #followInventory(): Promise<never> {
    for (;;) {
      await wait(inventoryMs)
      await this.#readStates().catch(() => undefined)
    }
  }

  async #readStates(): Promise<void> {
    const states = await this.#vault.keyStates()
    if (states.digest === this.#states?.digest) return
    this.#states = states
    this.#refreshKeys()
    if (this.#toldKeys !== undefined) this.#tellKeys()
  }

  #receive(chunk: Buffer): void {
    let frames: Frame[]
    try {
      frames = this.#reader.push(chunk)
    } catch (error) {
      log('error', error instanceof WireError ? 'a frame that is not ours' : 'a fault in reading')
      process.exit(1)
    }
    // Answers leave together, yet none waits long for those behind it: so the caller can go on meanwhile.
    let flushedAt = performance.now()
    for (const frame of frames) {
      this.#serve(frame)
      const now = performance.now()
      if (now - flushedAt < answersWaitMs) continue
      this.#writer.flush()
      flushedAt = now
    }
    this.#writer.flush()
    this.#collectWhenIdle()
  }

  #serve({ id, fields }: Frame): void {
    try {
      const answer = this.#answer(fields)
      if (!(answer instanceof Promise)) {
        this.#send(id, answer)
        return
      }
      answer.then(
        (late) => this.#send(id, late),
        (error: unknown) => this.#refuse(id, error),
      )
    } catch (error) {
      this.#refuse(id, error)
    } finally {
      wipe(fields)
    }
  }

  #answer(fields: Fields): Fields | Promise<Fields> {
    const name = fields['command']
    if (typeof name !== 'string') throw new HsmError({ kind: 'refused', why: 'badRequest' })
    const request = new Request(fields)
    switch (name) {
      case 'ping':
        return {}
      case 'health':
        this.#checkHealth()
        return {}
      case 'tokenise':
        return this.#tokenise(request)
      case 'verifyThenTokenise':
        return this.#verifyThenTokenise(request)
      case 'receiveKey':
        return this.#withInventory(receiveKey(this.#context, request, this.#ask))
      case 'advanceKey':
        return this.#withInventory(advanceKey(request, this.#ask))
      case 'followKeys':
        return this.#withInventory(Promise.resolve({}))
      case 'detokenise':
        return this.#vault.detokenise(request.text('token', tokenText)).then((pan) => ({ pan }))
      default: {
        const command = commandNamed(name)
        if (command === undefined) throw new HsmError({ kind: 'refused', why: 'badRequest' })
        return isPinCommand(name) ? this.#throttled(command, request) : command(this.#context, request)
      }
    }
  }

  readonly #ask: Ask = (text, values) => this.#vault.ask(text, values)

  /** What was done to the inventory holds here before it is said to be done. */
  async #withInventory(done: Promise<Fields>): Promise<Fields> {
    const answer = await done
    await this.#readStates()
    this.#context = this.#freshContext()
    this.#tellKeys()
    return answer
  }

  /** In the same turn for a known card, so that its answer leaves with those beside it. */
  #tokenise(request: Request): Fields | Promise<Fields> {
    const expiry = request.has('expiry') ? request.text('expiry', expiryText) : undefined
    const token = this.#vault.tokenise(request.text('pan', panText), expiry)
    return typeof token === 'string' ? { token } : token.then((late) => ({ token: late }))
  }

  /** The verdict about the seal stands whatever becomes of the token. */
  #verifyThenTokenise(request: Request): Fields | Promise<Fields> {
    if (!commands.verifyMac(this.#context, request).verified) return { verified: false }
    const told = (answer: Fields): Fields => ({ verified: true, ...answer })
    const failed = (error: unknown): Fields => told({ tokenFault: fieldsOf(this.#faultOf(error)) })
    try {
      const answer = this.#tokenise(request)
      return answer instanceof Promise ? answer.then(told, failed) : told(answer)
    } catch (error) {
      return failed(error)
    }
  }

  #throttled(command: Command, request: Request): Fields {
    const named = request.text(request.has('from') ? 'from' : 'key', refText)
    // Faults of one key count together, by whichever of its versions it was named.
    const key = parseLabel(named)?.ref ?? named
    const source = request.has('source') ? request.text('source', sourceText) : undefined
    // Too many faults look as a full queue does: nothing is asked of the token.
    if (!this.#pinFaults.allows(key, source)) throw new HsmError({ kind: 'shed' })
    try {
      return command(this.#context, request)
    } catch (error) {
      if (error instanceof HsmError && error.fault.kind === 'pinBlock') this.#pinFaults.fault(key, source)
      throw error
    }
  }

  #refuse(id: number, error: unknown): void {
    this.#send(id, fieldsOf(this.#faultOf(error)))
  }

  #faultOf(error: unknown): HsmFault {
    if (error instanceof HsmError) return error.fault
    if (!(error instanceof TokenError)) {
      log('error', `a fault of our own: ${error instanceof Error ? error.name : 'unknown'}`)
      process.exit(deviceLostExit)
    }
    switch (classOf(error.code)) {
      case 'data':
        return { kind: 'refused', why: 'badRequest' }
      case 'handle':
        // The object is not there any more, and was looked for again.
        setImmediate(() => this.#lookAgain())
        return { kind: 'refused', why: 'unknownKey' }
      case 'session':
      case 'device':
        // Nothing is answered: the client asks another process, or this one's successor.
        log('error', `the token failed: ${error.message}`)
        process.exit(deviceLostExit)
    }
  }

  #freshContext(): Context {
    const token = this.#token
    return {
      token,
      keys: new KeyTable(token.objects(), (key) =>
        this.#capabilities[capabilityFor(key)] ? (this.#states?.of(key) ?? 'unknown') : 'unsupported',
      ),
      random: (output) => token.random(output),
    }
  }

  #send(id: number, fields: Fields): void {
    this.#writer.put(id, fields)
    wipe(fields)
    if (this.#flushing) return
    // Answers that had to wait for something often come several in one turn.
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.#writer.flush()
    })
  }

  /** What the collector has not yet freed may still hold what passed through; when there is time, it is freed. */
  #collectWhenIdle(): void {
    if (this.#idle !== undefined) {
      this.#idle.refresh()
      return
    }
    this.#idle = setTimeout(() => globalThis.gc?.(), 2_000)
    this.#idle.unref()
  }
}

const isPinCommand = (name: string): boolean =>
  name === 'translatePin' || name === 'verifyPin' || name === 'pinReference'

/** Whatever the caller counts by: a terminal, a peer. Never a card number. */
const sourceText = /^[A-Za-z0-9._:-]{1,40}$/

const healthMs = 5_000
const lookAgainMs = 60_000
const inventoryMs = 1_000
const databaseHeadStartMs = 300
const answersWaitMs = 0.2

/** Requests and answers are read once, and may hold PIN blocks. */
function wipe(fields: Fields): void {
  for (const value of Object.values(fields)) if (value instanceof Uint8Array) value.fill(0)
}

const tokenText = /^tok_[a-z2-7]{26}$/

/** Standard error is the log; the parent reads it line by line. */
function log(level: 'warn' | 'error', message: string): void {
  process.stderr.write(`${JSON.stringify({ level, message })}\n`)
}
