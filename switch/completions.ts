import { uuidv7 } from '../kernel/ids.ts'
import type { CardOnFile } from './admission.ts'
import type { Advance, AdvancePorts } from './advance.ts'
import type { InboundCompletion } from './arrivals.ts'
import { type LiveRequests, tell, type Waiter } from './live.ts'
import { sameToken, transactionNamed } from './named.ts'
import { type Outcome, toldOf } from './results.ts'
import type { CompletionRequest } from './transaction/events.ts'
import type { StoredCard, Transaction } from './transaction/transaction.ts'

/** What a source says has become of an authorization (§4.10): of one that we know, or of none. */
export class Completions {
  readonly #ports: AdvancePorts
  readonly #advance: Advance
  readonly #live: LiveRequests

  constructor(ports: AdvancePorts, advance: Advance, live: LiveRequests) {
    this.#ports = ports
    this.#advance = advance
    this.#live = live
  }

  /** What it names, where we know that. */
  authorizationOf(inbound: InboundCompletion): Promise<Transaction | undefined> {
    const { originalKey, request } = inbound
    const { authId } = request
    return transactionNamed(this.#ports.journal, inbound, {
      ...(originalKey === undefined ? {} : { originalKey }),
      ...(authId === undefined ? {} : { authId }),
    })
  }

  /** Runs under the lock of what it names. */
  async complete(inbound: InboundCompletion, file: CardOnFile, waiter: Waiter): Promise<void> {
    const original = await this.authorizationOf(inbound)
    const live = original === undefined ? undefined : this.#live.get(original.sourceKey)
    // Whether it was given is still open: the source tells us again, and then it is known.
    if (original?.state === 'intent') return
    if (original === undefined || original.state === 'tombstone')
      return this.#forcePost(inbound, file, waiter)
    if (!isOfSame(original, inbound, file.card)) {
      this.#ports.observer.alarm('a completion does not fit its authorization', original.id)
      return void tell([waiter], { responseCode: toldOf(inbound.source.told, 'invalidTransaction') })
    }
    const { at, node } = this.#advance.now()
    const completion = this.#completionOf(inbound)
    const { destination } = original.leg ?? {}
    if (destination !== undefined && !(await this.#advance.dispatch.openFor(inbound.request, destination)))
      return
    const event = { kind: 'complete', completion, at, node, detail: { message: inbound.described } } as const
    const asked = { waiter }
    const advanced = await (live === undefined
      ? this.#advance.stored(original, event, asked)
      : this.#advance.advance(live, event, asked))
    // A copy of it was faster.
    if (advanced.kind === 'exists') await this.#retell(inbound, waiter)
  }

  /** Of no authorization that we know: its source's rules say whether it is taken all the same. */
  async #forcePost(inbound: InboundCompletion, file: CardOnFile, waiter: Waiter): Promise<void> {
    const { clock, node, random } = this.#ports
    const { dispatch } = this.#advance
    const { request, source } = inbound
    const refuse = (outcome: Outcome): void =>
      void tell([waiter], { responseCode: toldOf(source.told, outcome) })
    if (source.forcedPost !== 'flag') return refuse('notFound')
    if (request.amountMinor === 0n) return refuse('invalidAmount')
    const destination = dispatch.destinationOf(inbound, file.card)
    if (destination === undefined) return refuse('noSuchIssuer')
    const completion = this.#completionOf(inbound)
    // Without its token nobody could be told of it; the source tells us again.
    if (file.card.token === undefined) return
    const leg = await dispatch.namedFor(request, destination)
    if (leg === undefined) return
    const { fingerprint, sourceKey } = completion
    const businessDate = this.#ports.days.today(destination)
    const arrival = {
      id: uuidv7(clock, random),
      source: source.name,
      ...{ sourceKey, fingerprint, businessDate },
      approvableForMs: 0,
      rules: inbound.rules.version.number,
    }
    const { card } = file
    const at = clock.wallMs()
    const detail = { message: inbound.described }
    const event = {
      kind: 'completeUnknown',
      arrival,
      card,
      request,
      completion,
      leg,
      at,
      node,
      detail,
    } as const
    this.#ports.observer.alarm('a completion of no known authorization was posted', arrival.id)
    const advanced = await this.#advance.stored(undefined, event, { waiter })
    if (advanced.kind === 'exists') await this.#retell(inbound, waiter)
  }

  #completionOf(inbound: InboundCompletion): CompletionRequest {
    const { fingerprint, isPart, part, request, source, sourceKey } = inbound
    return {
      isPart,
      ...(part === undefined ? {} : { part }),
      source: source.name,
      ...{ sourceKey, fingerprint },
      mti: request.mti === '0120' ? '0120' : '0220',
      amountMinor: request.amountMinor,
    }
  }

  async #retell({ source, sourceKey }: InboundCompletion, waiter: Waiter): Promise<void> {
    const stored = await this.#ports.journal.sourceAct(sourceKey)
    if (stored !== undefined) return void tell([waiter], stored.answer)
    // Its own reversal came first.
    const first = await this.#ports.journal.transactionByKey(sourceKey)
    const responseCode = toldOf(source.told, 'invalidTransaction')
    if (first?.state === 'tombstone') void tell([waiter], { responseCode })
  }
}

function isOfSame(original: Transaction, { request }: InboundCompletion, card: StoredCard): boolean {
  const isSameCard = original.card !== undefined && sameToken(original.card, card)
  return isSameCard && original.request?.currency === request.currency
}
