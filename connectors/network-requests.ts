import type { Message } from '../iso8583/iso8583.ts'
import type { Clock } from '../kernel/clock.ts'
import type { NetworkReply, NetworkRequestHandler, NetworkRequestKind } from './connector.ts'
import { codeElementOf, type Log, type SessionProfile } from './network.ts'
import { monthAndDayOf } from './outcomes.ts'

export interface NetworkRequestsOptions {
  readonly profile: SessionProfile
  readonly clock: Clock
  readonly log: Log
  readonly describe: (message: Message) => string
  /** Who acts on them. */
  readonly handlers: ReadonlyMap<NetworkRequestKind, NetworkRequestHandler>
}

/** More of a network's requests than this under way at once are left unanswered: the network asks again. */
const underWayMax = 8
const refusals = { refused: '05', unsupported: '12', malfunction: '96' }

/**
 * What a network asks of us beside echo and sign-on: it is handed to whoever acts on it, and answered when that is
 * done. A repeat that comes meanwhile, on this session or another, joins the wait and has the same answer.
 */
export class NetworkRequests {
  readonly #options: NetworkRequestsOptions
  readonly #underWay = new Map<string, Promise<NetworkReply | undefined>>()

  constructor(options: NetworkRequestsOptions) {
    this.#options = options
  }

  /** What the network is to be told; undefined: nothing, since nobody could say in time. */
  async reply(request: Message): Promise<Told | undefined> {
    const { handlers, profile } = this.#options
    const { refused, unsupported } = profile.refusals ?? refusals
    const codeElement = codeElementOf(profile)
    const kind = kindOf(profile, request.text(codeElement) ?? '')
    const handler = kind && handlers.get(kind)
    if (kind === undefined || handler === undefined) return { responseCode: unsupported }
    const key = [7, 11, codeElement].map((de) => request.text(de)).join('|')
    let replying = this.#underWay.get(key)
    if (replying === undefined) {
      if (this.#underWay.size >= underWayMax) return undefined
      replying = this.#handled(handler, kind, request).finally(() => this.#underWay.delete(key))
      this.#underWay.set(key, replying)
    }
    const reply = await replying
    if (reply === 'accepted') return { responseCode: profile.approved[0]! }
    if (reply === 'refused') return { responseCode: refused }
    return reply && { ...reply, responseCode: reply.responseCode ?? profile.approved[0]! }
  }

  /** Resolves within the time that an 0810 may take. */
  #handled(
    handler: NetworkRequestHandler,
    kind: NetworkRequestKind,
    message: Message,
  ): Promise<NetworkReply | undefined> {
    const { clock, describe, log, profile } = this.#options
    const { malfunction } = profile.refusals ?? refusals
    const code = message.text(codeElementOf(profile)) ?? ''
    const date = monthAndDayOf(message)
    const described = describe(message)
    return new Promise((resolve) => {
      const timer = clock.after(profile.answerMs, () => {
        log.error({ kind, code }, 'a request of the network’s was not dealt with in time')
        resolve(undefined)
      })
      const settle = (reply: NetworkReply): void => {
        timer.cancel()
        resolve(reply)
      }
      handler({ kind, code, message, described, ...(date !== undefined && { date }) }).then(
        settle,
        (error: unknown) => {
          log.error(
            { kind, code, fault: nameOf(error) },
            'a request of the network’s could not be dealt with',
          )
          settle({ responseCode: malfunction })
        },
      )
    })
  }
}

export type Told = Exclude<NetworkReply, string> & { readonly responseCode: string }

function kindOf({ codes }: SessionProfile, code: string): NetworkRequestKind | undefined {
  if ((codes.cutover ?? ['201']).includes(code)) return 'cutover'
  return (codes.keyExchange ?? ['101']).includes(code) ? 'keyExchange' : undefined
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}
