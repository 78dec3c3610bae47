import type { HsmLog } from './backend.ts'
import { breakerLimits } from './breaker.ts'
import type { BreakerLimits } from './breaker.ts'
import { Dispatcher } from './dispatcher.ts'
import { faultOf } from './fault-fields.ts'
import { HsmError } from './fault.ts'
import type {
  Hsm,
  HsmStatus,
  IssuerHsm,
  KeyExchangeHsm,
  KeyVersion,
  PinTranslation,
  ReceivedKey,
  SealedCard,
  SealedCardAnswer,
  SentKey,
} from './contract.ts'
import type { Fields } from './wire.ts'

export interface HsmOptions {
  readonly driver: 'pkcs11' | 'twin'
  /** For `pkcs11`: the library, the token's label, and the file with its user PIN. */
  readonly module?: string
  readonly tokenLabel?: string
  readonly pinFile?: string
  /** SoftHSM's configuration file. */
  readonly softhsmConf?: string
  /** For `twin`: the keys, in clear. */
  readonly keyFile?: string
  readonly vaultDatabaseUrl: string
  /** A private folder for the socket; made, and closed to others, when it is not there. */
  readonly socketFolder: string
  /** `bin/hsm.ts`. */
  readonly processFile: string
  /** In `production`, drivers that protect nothing are refused, unless `allowInsecureDriver`. */
  readonly environment: string
  readonly allowInsecureDriver?: boolean
  /** For each call. */
  readonly deadlineMs?: number
  /** Calls without an answer yet; the next one is shed. */
  readonly queueMax?: number
  /** A process that is not ready after this is killed and started again; 10 seconds when it is left out. */
  readonly startMaxMs?: number
  /** HSM processes on each token; 1 when it is left out. */
  readonly processes?: number
  /** After this, or after so many answers, a process is replaced by a fresh one; a day and 50 million if left out. */
  readonly processMaxMs?: number
  readonly answersMax?: number
  /** When a successor that did not start is tried again; a minute when it is left out. */
  readonly successorAgainMs?: number
  /** When a process is left alone for a while; five failures in ten seconds, for five seconds, if left out. */
  readonly breaker?: BreakerLimits
  /** Further tokens that hold the same keys: what one cannot answer, another does. */
  readonly others?: readonly TokenPlace[]
  /** Written to the vault's access log. */
  readonly actor?: string
  readonly log: HsmLog
}

/** Where a token is, as in `HsmOptions`. */
export interface TokenPlace {
  readonly module: string
  readonly tokenLabel: string
  readonly pinFile: string
  readonly softhsmConf?: string
}

/** Starts the HSM process or processes; resolves when one can serve, and throws an `Error` when none ever will. */
export async function startHsm(options: HsmOptions): Promise<Hsm & IssuerHsm & KeyExchangeHsm> {
  const { socketFolder, processFile, log } = options
  const config = {
    driver: options.driver,
    ...pick(options, ['keyFile']),
    vaultDatabaseUrl: options.vaultDatabaseUrl,
    environment: options.environment,
    allowInsecureDriver: options.allowInsecureDriver ?? false,
    actor: options.actor ?? 'switch',
    deadlineMs: options.deadlineMs ?? 500,
  }
  const dispatcher = new Dispatcher({
    places: [options, ...(options.others ?? [])].flatMap((place) =>
      Array.from({ length: options.processes ?? 1 }, () => ({
        softhsmConf: place.softhsmConf,
        config: { ...config, ...pick(place, ['module', 'tokenLabel', 'pinFile']) },
      })),
    ),
    processFile,
    socketFolder,
    deadlineMs: options.deadlineMs ?? 500,
    queueMax: options.queueMax ?? 256,
    silenceMaxMs: 1_000,
    startMaxMs: options.startMaxMs ?? 10_000,
    processMaxMs: options.processMaxMs ?? 86_400_000,
    answersMax: options.answersMax ?? 50_000_000,
    breaker: options.breaker ?? breakerLimits,
    ...pick(options, ['successorAgainMs']),
    log,
  })
  try {
    await dispatcher.start()
  } catch (error) {
    await dispatcher.close()
    throw error
  }
  return new Client(dispatcher, options.driver)
}

class Client implements Hsm, IssuerHsm, KeyExchangeHsm {
  readonly #dispatcher: Dispatcher
  readonly #driver: HsmStatus['driver']

  constructor(dispatcher: Dispatcher, driver: HsmStatus['driver']) {
    this.#dispatcher = dispatcher
    this.#driver = driver
  }

  async translatePin({ from, to, pinBlock, pan, source }: PinTranslation): Promise<Uint8Array> {
    return bytesOf(await this.#ask('translatePin', { from, to, pinBlock, pan, source }), 'pinBlock')
  }

  async generateMac({ key, data }: Parameters<Hsm['generateMac']>[0]): Promise<Uint8Array> {
    return bytesOf(await this.#ask('generateMac', { key, data }), 'mac')
  }

  async verifyMac({ key, data, mac }: Parameters<Hsm['verifyMac']>[0]): Promise<boolean> {
    return isVerified(await this.#ask('verifyMac', { key, data, mac }))
  }

  async tokenise(pan: string, expiry?: string): Promise<string> {
    return textOf(await this.#ask('tokenise', { pan, expiry }), 'token')
  }

  async verifyThenTokenise(request: SealedCard): Promise<SealedCardAnswer> {
    const answer = await this.#ask('verifyThenTokenise', { ...request })
    if (!isVerified(answer)) return { verified: false }
    const fault = faultOf((answer['tokenFault'] as Fields | undefined) ?? {})
    return fault === undefined
      ? { verified: true, token: textOf(answer, 'token') }
      : { verified: true, fault }
  }

  async detokenise(token: string): Promise<string> {
    return textOf(await this.#ask('detokenise', { token }), 'pan')
  }

  async movePin({ key, ...request }: Parameters<IssuerHsm['movePin']>[0]): Promise<Uint8Array> {
    return bytesOf(await this.#ask('translatePin', { from: key, ...request }), 'pinBlock')
  }

  async verifyPin(request: Parameters<IssuerHsm['verifyPin']>[0]): Promise<boolean> {
    return isVerified(await this.#ask('verifyPin', { ...request }))
  }

  async pinReference(request: Parameters<IssuerHsm['pinReference']>[0]): Promise<string> {
    return textOf(await this.#ask('pinReference', { ...request }), 'reference')
  }

  async sealMessage(request: Parameters<IssuerHsm['sealMessage']>[0]): Promise<Uint8Array> {
    return bytesOf(await this.#ask('generateMac', { ...request }), 'mac')
  }

  async checkMessage(request: Parameters<IssuerHsm['checkMessage']>[0]): Promise<boolean> {
    return isVerified(await this.#ask('verifyMac', { ...request }))
  }

  async generateCardValue(request: Parameters<IssuerHsm['generateCardValue']>[0]): Promise<string> {
    return textOf(await this.#ask('generateCardValue', { ...request }), 'value')
  }

  async verifyCardValue(request: Parameters<IssuerHsm['verifyCardValue']>[0]): Promise<boolean> {
    return isVerified(await this.#ask('verifyCardValue', { ...request }))
  }

  async verifyArqc(request: Parameters<IssuerHsm['verifyArqc']>[0]): Promise<boolean> {
    return isVerified(await this.#ask('verifyArqc', { ...request }))
  }

  async generateArpc(request: Parameters<IssuerHsm['generateArpc']>[0]): Promise<Uint8Array> {
    return bytesOf(await this.#ask('generateArpc', { ...request }), 'arpc')
  }

  async scriptMac(request: Parameters<IssuerHsm['scriptMac']>[0]): Promise<Uint8Array> {
    return bytesOf(await this.#ask('scriptMac', { ...request }), 'mac')
  }

  async random(bytes: number): Promise<Uint8Array> {
    return bytesOf(await this.#ask('random', { bytes }), 'random')
  }

  async sign(request: Parameters<IssuerHsm['sign']>[0]): Promise<Uint8Array> {
    return bytesOf(await this.#ask('sign', { ...request }), 'signature')
  }

  async publicKey(key: string): Promise<Uint8Array> {
    return bytesOf(await this.#ask('publicKey', { key }), 'point')
  }

  async receiveKey({ refs, kcv, ...sent }: SentKey): Promise<ReceivedKey> {
    const [answer] = await this.#dispatcher.callEach(
      {
        ...sent,
        refs: refs.join(' '),
        command: 'receiveKey',
        ...(kcv === undefined ? {} : { kcv: kcv.toUpperCase() }),
      },
      keyLifePatience,
    )
    const state = (['pending', 'arriving', 'active'] as const).find((one) => one === answer!['state'])
    if (state === undefined) throw new HsmError({ kind: 'unavailable' })
    return {
      ...{ ref: textOf(answer!, 'ref'), version: Number(answer!['version']) },
      ...{ kcv: textOf(answer!, 'kcv'), state },
    }
  }

  async advanceKey(key: KeyVersion, to: 'arriving' | 'active', graceSeconds: number): Promise<void> {
    const { ref, version } = key
    const command = 'advanceKey'
    await this.#dispatcher.call({ ref, version, to, graceSeconds, command }, keyLifePatience)
    await this.#dispatcher.callEach({ command: 'followKeys' }, keyLifePatience)
  }

  status(): HsmStatus {
    const { backends, figures, pending, state } = this.#dispatcher
    const now = Date.now() / 1_000
    return {
      driver: this.#driver,
      ...{ state, pending },
      restarts: backends.restarts,
      up: backends.up,
      pids: backends.pids(),
      backends: backends.status(),
      keys: backends.keys().map(({ label, id, state, activeFrom }) => ({
        ...{ label, id, state },
        ...(activeFrom === undefined ? {} : { ageSeconds: Math.max(0, Math.round(now - activeFrom)) }),
      })),
      operations: figures.operations(),
    }
  }

  close(): Promise<void> {
    return this.#dispatcher.close()
  }

  #ask(command: string, fields: Fields): Promise<Fields> {
    return this.#dispatcher.call({ ...fields, command })
  }
}

/** No payment waits for a change of keys. */
const keyLifePatience = 8

function bytesOf(fields: Fields, name: string): Uint8Array {
  const value = fields[name]
  if (!(value instanceof Uint8Array)) throw new HsmError({ kind: 'unavailable' })
  return value
}

function isVerified(fields: Fields): boolean {
  return fields['verified'] === true
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw new HsmError({ kind: 'unavailable' })
  return value
}

function pick<From extends object, Name extends keyof From>(
  from: From,
  names: readonly Name[],
): Pick<From, Name> {
  const picked: Partial<Pick<From, Name>> = {}
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name]
  return picked as Pick<From, Name>
}
