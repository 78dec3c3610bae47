import {
  type Connector,
  type ConnectorKeys,
  keyOf,
  type NetworkReply,
  type NetworkRequest,
} from '../connectors/connector.ts'
import { type Hsm, HsmError, type KeyExchangeHsm, type KeyVersion } from '../hsm/hsm.ts'
import type { Message } from '../iso8583/iso8583.ts'
import { type Clock, sleep } from '../kernel/clock.ts'
import { JournalUnavailable } from './journal.ts'
import type { Observer } from './observer.ts'

export type KeyExchangeEvent = 'wanted' | 'asked' | 'unanswered' | 'taken' | 'refused' | 'activated'

export interface KeyExchangeRecord {
  readonly destination: string
  readonly event: KeyExchangeEvent
  /** `zak.knet.both.v002` and its check value: never the key. */
  readonly key?: string
  readonly kcv?: string
  readonly why: string
  readonly who: string
}

/** Where key exchanges are on record. Everything rejects with `JournalUnavailable` when nobody knows. */
export interface KeyExchangeBook {
  record(record: KeyExchangeRecord): Promise<void>
  /**
   * Puts on record that the network is being asked, unless somebody asked it less than a minute ago (K6). With `why` left
   * out: for a person who wants it, if there is one who has not been served. Whether it may be asked now.
   */
  claimAsk(destination: string, who: string, why: string | undefined): Promise<boolean>
}

/** A destination's keys: of PINs, of seals, and the one that both of them travel under. */
export interface ExchangedKeys {
  readonly pin: string
  readonly mac: string
  readonly kbpk: string
}

export interface KeyExchangePorts {
  readonly clock: Clock
  readonly node: string
  readonly hsm: KeyExchangeHsm & Pick<Hsm, 'status'>
  readonly book: KeyExchangeBook
  readonly connectors: ReadonlyMap<string, Connector>
  readonly keys: ReadonlyMap<string, ExchangedKeys>
  readonly observer: Pick<Observer, 'alarm'>
}

interface Line {
  readonly connector: Connector
  readonly exchange: ConnectorKeys
  readonly keys: ExchangedKeys
  /** Why the network is to be asked for keys, as soon as it may be. */
  wanted: string | undefined
  asking: boolean
}

/** A key that arrives is in use within milliseconds, or something was cut short. */
const arrivingMsMax = 10_000
const othersFollowMs = 1_500

/**
 * Key exchange with networks (§4.16). The network sends a key: it is taken into the HSM, honoured in what comes, put on
 * record, answered, and only then used. Whatever is cut short leaves both keys honoured; which of them the network has is
 * then settled by asking it for another.
 */
export class KeyExchanges {
  readonly #ports: KeyExchangePorts
  readonly #lines: readonly Line[]
  /** Answered and not yet in use: the network may have changed over. */
  readonly #unfinished = new Map<string, () => Promise<void>>()
  readonly #arrivingSince = new Map<string, number>()

  constructor(ports: KeyExchangePorts) {
    this.#ports = ports
    this.#lines = [...ports.connectors.values()].flatMap((connector) => {
      const keys = ports.keys.get(connector.name)
      const exchange = connector.keys
      if (keys === undefined || exchange === undefined) return []
      return [{ connector, exchange, keys, wanted: undefined, asking: false }]
    })
    for (const line of this.#lines) {
      line.connector.onNetworkRequest('keyExchange', (request) => this.#take(line, request))
      line.exchange.onOutOfStep(() => {
        this.#ports.observer.alarm('keys are out of step', line.connector.name)
        line.wanted ??= 'keys are out of step'
        void this.#ask(line)
      })
    }
  }

  /** What was cut short, what people want, what still has to be asked: run every second or so. */
  async sweep(): Promise<void> {
    for (const finish of [...this.#unfinished.values()]) await finish()
    this.#lookForArriving()
    await Promise.all(
      this.#lines.map((line) => {
        if (line.exchange.outOfStep) line.wanted ??= 'keys are out of step'
        return this.#ask(line)
      }),
    )
  }

  async #take(line: Line, { message }: Pick<NetworkRequest, 'message'>): Promise<NetworkReply> {
    const { answers } = line.exchange.rules
    const sent = keyOf(message, line.exchange.rules)
    if (sent === undefined) return this.#refused(line, 'no key block', answers.refused)
    const taken = await this.#receive(line, sent)
    if ('refused' in taken) {
      const { refused } = taken
      return this.#refused(line, refused, refused === 'kcvDiffers' ? answers.kcvDiffers : answers.refused)
    }
    // A repeat of one that is in use is acknowledged, and that is all.
    if (taken.state === 'active') return 'accepted'
    // Every process of every node reads within a second which keys are honoured: only then may the network seal with it.
    await sleep(this.#ports.clock, othersFollowMs)
    return { answered: () => void this.#finish(line, taken) }
  }

  /** Some networks put the key into their answer: with that they have our word already, and may use it at once. */
  async #takeFromAnswer(line: Line, answer: Message): Promise<void> {
    const sent = keyOf(answer, line.exchange.rules)
    if (sent === undefined) return
    const taken = await this.#receive(line, sent)
    if ('refused' in taken) await this.#refused(line, taken.refused, '')
    else if (taken.state !== 'active') await this.#finish(line, taken)
  }

  /** Onto the token, and honoured in what comes; on record. */
  async #receive(
    line: Line,
    sent: NonNullable<ReturnType<typeof keyOf>>,
  ): Promise<Awaited<ReturnType<KeyExchangeHsm['receiveKey']>> | { readonly refused: string }> {
    const { hsm } = this.#ports
    const { connector, exchange, keys } = line
    let received: Awaited<ReturnType<KeyExchangeHsm['receiveKey']>>
    try {
      const refs = [keys.pin, keys.mac]
      received = await hsm.receiveKey({ ...sent, kbpk: keys.kbpk, refs, peer: connector.name })
    } catch (error) {
      if (!(error instanceof HsmError) || error.fault.kind !== 'refused') throw error
      return { refused: error.fault.why }
    }
    if (received.state === 'active') return received
    await hsm.advanceKey(received, 'arriving', exchange.rules.graceSeconds)
    const why = received.state === 'pending' ? 'sent by the network' : 'sent again'
    await this.#record(line, 'taken', why, received)
    return received
  }

  /** The old key goes on (K4). */
  async #refused(line: Line, why: string, responseCode: string): Promise<NetworkReply> {
    this.#ports.observer.alarm('a key of the network was refused', `${line.connector.name}: ${why}`)
    await this.#record(line, 'refused', why)
    return { responseCode }
  }

  /** The network has our word that we have it. What fails here is tried again until it is done. */
  async #finish(line: Line, key: KeyVersion & { readonly kcv: string }): Promise<void> {
    const { hsm } = this.#ports
    let running: Promise<void> | undefined
    const attempt = async (): Promise<void> => {
      try {
        await hsm.advanceKey(key, 'active', line.exchange.rules.graceSeconds)
        line.exchange.renewed()
        await this.#record(line, 'activated', 'answered', key)
        this.#unfinished.delete(labelOf(key))
      } catch (error) {
        if (!(error instanceof HsmError) && !(error instanceof JournalUnavailable)) throw error
      }
    }
    // A sweep that comes while it is being done waits for it: done twice, it would be on record twice.
    const finish = (): Promise<void> => (running ??= attempt().finally(() => (running = undefined)))
    this.#unfinished.set(labelOf(key), finish)
    await finish()
  }

  /** After a crash, or a connection lost before the answer: nobody here knows which key the network uses now (F40). */
  #lookForArriving(): void {
    const { clock, hsm } = this.#ports
    const labels = (hsm.status().keys ?? []).flatMap(({ label, state }) =>
      state === 'arriving' && !this.#unfinished.has(label) ? [label] : [],
    )
    for (const label of this.#arrivingSince.keys())
      if (!labels.includes(label)) this.#arrivingSince.delete(label)
    for (const label of labels) {
      const since = this.#arrivingSince.get(label) ?? clock.monotonicMs()
      this.#arrivingSince.set(label, since)
      if (clock.monotonicMs() - since < arrivingMsMax) continue
      const line = this.#lines.find(({ keys }) =>
        [keys.pin, keys.mac].some((ref) => label.startsWith(`${ref}.v`)),
      )
      if (line !== undefined) line.wanted ??= 'a key exchange was cut short'
    }
  }

  /** Asks the network for keys, if somebody wants that and a minute has gone by. */
  async #ask(line: Line): Promise<void> {
    const { book, node, observer } = this.#ports
    const { connector, exchange, wanted = this.#renewal(line) } = line
    const { session } = connector.status()
    if (line.asking || (session !== 'online' && session !== 'keySync')) return
    line.asking = true
    try {
      if (!(await book.claimAsk(connector.name, node, wanted))) return
      line.wanted = undefined
      const answer = await connector.askNetwork({ code: exchange.rules.askCode })
      const responseCode = answer?.text(39)
      if (answer !== undefined && responseCode !== undefined && exchange.agrees(responseCode))
        return await this.#takeFromAnswer(line, answer)
      observer.alarm('the network does not send keys', connector.name)
      await this.#record(line, 'unanswered', responseCode ?? 'silence')
    } catch (error) {
      // What was cut short in the middle leaves a key that is honoured and not used: the network is asked for another.
      if (!(error instanceof JournalUnavailable) && !(error instanceof HsmError)) throw error
    } finally {
      line.asking = false
    }
  }

  /** Why the network is to be asked of our own accord, as long as there is a reason (K5). */
  #renewal({ exchange, keys }: Line): string | undefined {
    const { afterSeals, afterSeconds } = exchange.rules.renew ?? {}
    if (afterSeals !== undefined && exchange.seals >= afterSeals)
      return `${afterSeals} messages or more were sealed with the key`
    if (afterSeconds === undefined) return undefined
    const isOld = (this.#ports.hsm.status().keys ?? []).some(
      ({ ageSeconds = 0, label, state }) =>
        state === 'active' &&
        ageSeconds >= afterSeconds &&
        [keys.pin, keys.mac].some((ref) => label.startsWith(`${ref}.v`)),
    )
    return isOld ? `a key has been in use for ${afterSeconds} s or more` : undefined
  }

  #record(
    line: Line,
    event: KeyExchangeEvent,
    why: string,
    key?: KeyVersion & { readonly kcv: string },
  ): Promise<void> {
    const named = key === undefined ? {} : { key: labelOf(key), kcv: key.kcv }
    return this.#ports.book.record({
      destination: line.connector.name,
      ...{ event, why, who: this.#ports.node, ...named },
    })
  }
}

function labelOf({ ref, version }: KeyVersion): string {
  return `${ref}.v${version.toString().padStart(3, '0')}`
}
