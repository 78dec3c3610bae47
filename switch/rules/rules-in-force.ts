import { JournalUnavailable } from '../journal.ts'
import type { Observer } from '../observer.ts'
import { diffRules, type RuleDifference } from './diff.ts'
import type { RuleTexts, WrittenRules } from './files.ts'
import { mistakeText, type RuleMistake, readRules } from './read.ts'
import type { KnownToRules, Rules, RulesVersion } from './rules.ts'

/** Who wanted the rules to be read, and why. */
export interface RuleRequest {
  /** Of a request that was made through the journal. */
  readonly id?: string
  readonly cause: 'start' | 'signal' | 'operator'
  readonly who: string
  readonly why: string
}

/** What became of it, for the record. */
export interface RuleChange extends RuleRequest {
  readonly node: string
  readonly outcome: 'adopted' | 'unchanged' | 'refused'
  /** In force afterwards, and before; absent before the first. */
  readonly number?: number
  readonly before?: number
  readonly mistakes: readonly string[]
}

/** Where sets of rules and their changes are kept for good. Everything rejects with `JournalUnavailable` when nobody knows. */
export interface RuleBook {
  /** The number of a set, which is given to it when it is seen first. */
  number(set: { readonly hash: string; readonly texts: RuleTexts }): Promise<number>
  record(change: RuleChange): Promise<void>
  /** Requests behind the one named, oldest first; of `undefined` the last one there is. */
  requests(after: string | undefined): Promise<readonly (RuleRequest & { readonly id: string })[]>
}

export interface RulesInForcePorts {
  readonly node: string
  readonly known: KnownToRules
  /** The files of the folder by name. May reject: then it can't be read. */
  readonly texts: () => Promise<RuleTexts>
  readonly book: RuleBook
  readonly observer: Pick<Observer, 'alarm'>
  /** Told of each set that comes into force, and of each that is refused. */
  readonly onChange: (change: RuleChange, differences: readonly RuleDifference[]) => void
  /** Called with each set that comes into force, at once. */
  readonly adopt: (rules: Rules) => void
}

export type Reloaded =
  | { readonly kind: 'adopted'; readonly rules: Rules; readonly differences: readonly RuleDifference[] }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly mistakes: readonly RuleMistake[] }

/**
 * The rules that this node decides by. They are read from their files at the start and whenever somebody asks, as a
 * whole: where one file is wrong all stays as it was (F51). What is in force is one reference that is replaced, so that
 * nobody ever sees half of a set; whoever is being served has the one it began with in hand.
 */
export class RulesInForce {
  readonly #ports: RulesInForcePorts
  #current: { readonly rules: Rules; readonly written: WrittenRules } | undefined
  #lastRequest: string | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(ports: RulesInForcePorts) {
    this.#ports = ports
  }

  get current(): Rules {
    if (this.#current === undefined) throw new Error('the rules have not been opened')
    return this.#current.rules
  }

  /** Throws `RulesRefused` when the files are not sound: a node does not start without rules. */
  async open(): Promise<void> {
    const { book, node } = this.#ports
    this.#lastRequest = (await book.requests(undefined)).at(-1)?.id ?? '0'
    const reloaded = await this.#reload({ cause: 'start', who: node, why: 'start' })
    if (reloaded.kind === 'refused') throw new RulesRefused(reloaded.mistakes)
  }

  /** Reads the files again. One at a time. Never rejects: what can't be recorded is refused. */
  reload(request: RuleRequest): Promise<Reloaded> {
    return this.#inTurn(request).catch((error: unknown) => this.#unrecorded(error))
  }

  /**
   * What operators have asked for since. One that could not be recorded is made when the journal is there again: of all
   * nodes none stays with the rules of before because of a moment. Rejects with `JournalUnavailable` until then.
   */
  async follow(): Promise<void> {
    for (const request of await this.#ports.book.requests(this.#lastRequest)) {
      await this.#inTurn(request)
      this.#lastRequest = request.id
    }
  }

  #inTurn(request: RuleRequest): Promise<Reloaded> {
    const done = this.#turn.then(() => this.#reload(request))
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #reload(request: RuleRequest): Promise<Reloaded> {
    const { book, known, node } = this.#ports
    const before = this.#current
    const change = {
      ...request,
      node,
      ...(before === undefined ? {} : { before: before.rules.version.number }),
    }
    const texts = await this.#texts()
    const read = texts === undefined ? unreadable : readRules(texts, known)
    if (read.kind === 'refused') {
      const mistakes = read.mistakes.map(mistakeText)
      const refused = { ...change, ...numberOf(before?.rules.version), outcome: 'refused', mistakes } as const
      this.#ports.observer.alarm('the rules were refused, those before stay in force', mistakes.join('; '))
      this.#ports.onChange(refused, [])
      await book.record(refused)
      return read
    }
    if (before?.rules.version.hash === read.hash) {
      await book.record({ ...change, ...numberOf(before.rules.version), outcome: 'unchanged', mistakes: [] })
      return { kind: 'unchanged' }
    }
    const number = await book.number({ hash: read.hash, texts: texts! })
    const rules = { ...read.rules, version: { number, hash: read.hash } }
    const adopted = { ...change, number, outcome: 'adopted', mistakes: [] } as const
    const differences = before === undefined ? [] : diffRules(before.written, read.written)
    await book.record(adopted)
    this.#current = { rules, written: read.written }
    this.#ports.adopt(rules)
    this.#ports.onChange(adopted, differences)
    return { kind: 'adopted', rules, differences }
  }

  async #texts(): Promise<RuleTexts | undefined> {
    try {
      return await this.#ports.texts()
    } catch {
      return undefined
    }
  }

  /** What nobody could look up later is not begun. */
  #unrecorded(error: unknown): Reloaded {
    if (!(error instanceof JournalUnavailable)) throw error
    const reason = 'the journal could not be asked, and a change that is not on record is not made'
    this.#ports.observer.alarm('the rules were refused, those before stay in force', reason)
    return { kind: 'refused', mistakes: [{ file: 'rules', line: 1, path: 'file', reason }] }
  }
}

const unreadable = {
  kind: 'refused',
  mistakes: [{ file: 'rules', line: 1, path: 'file', reason: 'the folder can not be read' }],
} as const

function numberOf(version: RulesVersion | undefined): { readonly number?: number } {
  return version === undefined ? {} : { number: version.number }
}

export class RulesRefused extends Error {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly RuleMistake[]) {
    const texts = mistakes.map(mistakeText)
    super(['the rules are refused:', ...texts].join('\n  '))
    this.name = 'RulesRefused'
    this.mistakes = texts
  }
}
