import { nearestYear } from '../../kernel/calendar.ts'
import { Secret } from '../../kernel/secret.ts'
import type { Random } from '../../kernel/random.ts'
import type { InboundCompletion, InboundRequest, InboundReversal } from '../../switch/arrivals.ts'
import type { Waiter } from '../../switch/live.ts'
import type { Answer } from '../../switch/transaction/transaction.ts'
import { simulatedRules, simulatedSource as source } from './rules.ts'
import type { Door } from './door.ts'
import type { FaultRates } from './faults/faults.ts'
import type { SimulatedKind } from './kinds/kind.ts'
import { incremental } from './kinds/incremental.ts'
import { drawKind } from './kinds/kinds.ts'
import { purchase } from './kinds/purchase.ts'
import { refund } from './kinds/refund.ts'
import { transfer } from './kinds/transfer.ts'
import { transmittedAtOf } from './time.ts'
import type { World } from './world.ts'

const noRules = simulatedRules(new Map(), { number: 1, standsIn: false })

/** What one terminal knows of one purchase: its own book, which nothing in the switch can touch. */
export interface Told {
  readonly rrn: string
  readonly kind: SimulatedKind
  readonly pan: string
  /** DE7 by the terminal's own clock. */
  readonly transmittedAt: string
  readonly amountMinor: bigint
  /** What was approved of it. */
  approvedMinor: bigint
  readonly sourceKey: string
  /** When it was asked for first, ms since the history began. */
  readonly askedAtMs: number
  readonly answers: Answer[]
  reversalAsked: boolean
  reversalAcknowledged: boolean
  /** The node it asks. It has one line at a time; whoever answers on an earlier one talks to nobody. */
  line: number
  lines: number
  /** Another amount under the same key was tried, and must not have been approved. */
  mismatchApproved: boolean
  /** What each partial reversal wanted left, and what it was told. */
  readonly parts: { readonly actualMinor: bigint; answer: string | undefined }[]
  gaveUp: boolean
  /** Its reversal was refused: it had been refunded. */
  reversalRefused: boolean
  /** What it says has become of an authorization, one after another, and what it was told. */
  readonly completions: Completion[]
  /** What it raises, or gives money back for. */
  readonly parent: Told | undefined
  readonly children: Told[]
}

interface Completion {
  readonly number: number
  readonly amountMinor: bigint
  readonly byAuthId: boolean
  /** Others follow. */
  readonly isPart: boolean
  answer: string | undefined
}

const approvals = ['00', '10', '85']

/** A message is on its way for no longer. */
const wayMsMax = 20

/** Cards of test ranges, one for each network. */
const cards = Array.from({ length: 8 }, (_, last) => `888888000000000${last}`)

/** A way to a node, which is shut while it is down. */
interface Line {
  readonly door: Door | undefined
}

/** Terminals that buy, and do what terminals do when the answer is late or wrong. */
export class SimulatedTerminals {
  readonly book: Told[] = []
  readonly #asked = new Set<string>()
  readonly #world: World
  readonly #random: Random
  readonly #rates: () => FaultRates
  readonly #lines: readonly Line[]

  constructor(world: World, rates: () => FaultRates, lines: readonly Line[]) {
    this.#world = world
    this.#random = world.random('terminals')
    this.#rates = rates
    this.#lines = lines
  }

  schedule(count: number, withinMs: number): void {
    for (let index = 0; index < count; index++) {
      this.#world.after(this.#random.below(withinMs), () => void this.buy(index, drawKind(this.#random)))
    }
  }

  /** Asks for something, and does from then on what terminals do. */
  buy(index: number, kind: SimulatedKind = purchase, parent?: Told, minor?: bigint): Told {
    const rrn = String(index + 1).padStart(12, '0')
    const amountMinor = minor ?? kind.amountMinor(this.#random)
    const transmittedAt = this.#transmittedAt()
    const told: Told = {
      rrn,
      kind,
      pan: parent?.pan ?? cards[this.#random.below(cards.length)]!,
      amountMinor,
      approvedMinor: amountMinor,
      transmittedAt,
      sourceKey: `acq|${kind.mti}|${nearestYear(transmittedAt, this.#world.wallMs())}${transmittedAt}|${rrn.slice(-6)}||T0000001`,
      askedAtMs: this.#world.monotonicMs(),
      answers: [],
      line: this.#random.below(this.#lines.length),
      lines: 1,
      reversalAsked: false,
      reversalAcknowledged: false,
      mismatchApproved: false,
      parts: [],
      gaveUp: false,
      reversalRefused: false,
      completions: [],
      parent,
      children: [],
    }
    this.book.push(told)
    parent?.children.push(told)
    this.#ask(told)
    const { mismatch, repeat, reverseEarly } = this.#rates()
    if (this.#chance(mismatch)) this.#world.after(this.#random.below(5_000), () => this.#askOther(told))
    // Nobody repeats at once: a line keeps the order of what is sent on it.
    if (this.#chance(repeat)) this.#world.after(wayMsMax + this.#random.below(9_000), () => this.#ask(told))
    if (this.#chance(reverseEarly)) this.#world.after(this.#random.below(100), () => this.#reverse(told))
    else this.#world.after(source.terminalTimeoutMs, () => this.#judge(told))
    return told
  }

  /** The time to wait is over: ask once more, or have it undone. */
  #judge(told: Told): void {
    const approval = told.answers.find(({ responseCode }) => approvals.includes(responseCode))
    if (approval !== undefined) {
      told.approvedMinor = approval.amountMinor ?? told.amountMinor
      if (told.kind.taken !== 0n && this.#chance(this.#rates().partial)) this.#reduce(told)
      if (told.parent === undefined && told.kind.taken !== 0n && told.kind.mti === '0100')
        this.#goOnWith(told)
      if (told.kind.taken === 1n && told.kind !== transfer && told.parent === undefined && this.#chance(0.3))
        this.#refund(told)
      if (this.#chance(this.#rates().reverseAfter))
        this.#world.after(this.#random.below(50), () => this.#reverse(told))
      return
    }
    if (told.answers.length > 0) return
    if (!told.gaveUp && this.#chance(0.5)) {
      told.gaveUp = true
      if (this.#chance(0.5)) this.#turnToAnother(told)
      this.#ask(told)
      return void this.#world.after(source.terminalTimeoutMs, () => this.#judge(told))
    }
    this.#reverse(told)
  }

  /** What becomes of an authorization: it is raised, and taken in one or several parts. */
  #goOnWith(told: Told): void {
    if (this.#chance(0.3)) {
      this.#world.after(this.#random.below(20_000), () => this.#child(told, incremental))
    }
    if (this.#chance(0.6)) this.#world.after(this.#random.below(45_000), () => this.#complete(told))
  }

  /** Money back for what was paid, now and then more of it than there was, and by several at once. */
  #refund(told: Told): void {
    const count = 1 + this.#random.below(3)
    for (let index = 0; index < count; index++) {
      const minor = (told.approvedMinor * BigInt(20 + this.#random.below(90))) / 100n
      this.#world.after(this.#random.below(5_000), () => this.#child(told, refund, minor))
    }
  }

  #child(parent: Told, kind: SimulatedKind, minor?: bigint): void {
    if (!parent.reversalAsked || this.#chance(0.2)) this.buy(1_000 + this.book.length, kind, parent, minor)
  }

  /** A terminal that was declined doesn't ask again: the switch may have forgotten a refusal that it could not record. */
  #ask(told: Told): void {
    if (told.reversalAsked || told.answers.some(({ responseCode }) => !approvals.includes(responseCode)))
      return
    this.#send(told, told.amountMinor, (answer) => {
      // What comes after the terminal asked for its undoing is nothing to it.
      if (told.reversalAsked) return
      this.#world.note(`terminal ${told.rrn} hears ${answer.responseCode}`)
      told.answers.push(answer)
    })
  }

  /**
   * Only after an answer that is on record: otherwise the other data might be the first to be recorded, and be the
   * request itself.
   */
  #askOther(told: Told): void {
    if (!told.answers.some(({ responseCode }) => approvals.includes(responseCode))) return
    this.#send(told, told.amountMinor + 7n, (answer) => {
      if (approvals.includes(answer.responseCode)) told.mismatchApproved = true
    })
  }

  #send(told: Told, amountMinor: bigint, hear: (answer: Answer) => void): void {
    const repeat = this.#asked.has(told.rrn)
    this.#asked.add(told.rrn)
    if (this.#chance(this.#rates().drop)) return
    this.#world.after(1 + this.#random.below(wayMsMax), () => {
      const { lines } = told
      const waiter = this.#waiter((answer) => {
        if (told.lines === lines) hear(answer)
      })
      const isShut = this.#lines[told.line]!.door === undefined
      if (isShut && this.#lines.length > 1) return this.#turnToAnother(told)
      const { door } = this.#lines[told.line]!
      if (told.kind.kind === 'completion') void door?.completion(this.#forced(told, amountMinor), waiter)
      else void door?.request(this.#purchase(told, amountMinor, repeat), waiter)
    })
  }

  #turnToAnother(told: Told): void {
    told.line = this.#random.below(this.#lines.length)
    told.lines++
  }

  reverse(told: Told): void {
    this.#reverse(told)
  }

  #reverse(told: Told): void {
    if (told.reversalAcknowledged) return
    told.reversalAsked = true
    this.#world.note(`terminal ${told.rrn} reverses`)
    if (!this.#chance(this.#rates().drop)) {
      this.#world.after(1 + this.#random.below(wayMsMax), () => {
        const waiter = this.#waiter((answer) => {
          const wasRefunded = answer.responseCode === '12' && told.children.length > 0
          if (wasRefunded) told.reversalRefused = true
          if (['00', '21', '25'].includes(answer.responseCode) || wasRefunded)
            told.reversalAcknowledged = true
        })
        void this.#door()?.reversal(this.#reversal(told), waiter)
      })
    }
    this.#world.after(5_000, () => this.#reverse(told))
  }

  /** One part back, and sometimes another soon after; on the way the second may overtake the first. */
  #reduce(told: Told): void {
    const actualMinor =
      (told.parts.at(-1)?.actualMinor ?? told.approvedMinor) - BigInt(1 + this.#random.below(300))
    told.parts.push({ actualMinor, answer: undefined })
    this.#askPart(told, told.parts.length - 1)
    if (told.parts.length < 3 && this.#chance(0.5))
      this.#world.after(this.#random.below(3_000), () => this.#reduce(told))
  }

  #askPart(told: Told, index: number): void {
    const part = told.parts[index]!
    if (part.answer !== undefined) return
    this.#world.note(`terminal ${told.rrn} keeps ${part.actualMinor}`)
    if (!this.#chance(this.#rates().drop)) {
      this.#world.after(1 + this.#random.below(wayMsMax), () => {
        const waiter = this.#waiter((answer) => {
          // Of what was taken, let go or refunded in between there is no part any more.
          const mayBeTaken = told.kind.mti !== '0200' || told.children.length > 0
          const ends = mayBeTaken ? ['00', '12', '21'] : ['00', '21']
          if (ends.includes(answer.responseCode)) part.answer ??= answer.responseCode
        })
        const sourceKey = `${told.sourceKey}|part ${index}`
        const reversal = { ...this.#reversal(told), sourceKey, actualMinor: part.actualMinor }
        void this.#door()?.reversal(reversal, waiter)
      })
    }
    this.#world.after(5_000, () => this.#askPart(told, index))
  }

  /**
   * So much of it was used: a little less than was set aside, or more, within what is tolerated or beyond; or a part of it,
   * and others follow.
   */
  #complete(told: Told): void {
    if (told.reversalAsked) return
    const leftMinor = told.parts.at(-1)?.actualMinor ?? told.approvedMinor
    const number = told.completions.length + 1
    const isPart = number < 3 && this.#chance(0.4)
    const percent = isPart || number > 1 ? 20 + this.#random.below(40) : 80 + this.#random.below(40)
    const amountMinor = (leftMinor * BigInt(percent)) / 100n
    const completion = { number, amountMinor, byAuthId: this.#chance(0.5), isPart, answer: undefined }
    told.completions.push(completion)
    this.#askCompletion(told, completion)
  }

  #askCompletion(told: Told, completion: Completion): void {
    if (completion.answer !== undefined) return
    this.#world.note(`terminal ${told.rrn} completes with ${completion.amountMinor}`)
    if (!this.#chance(this.#rates().drop)) {
      this.#world.after(1 + this.#random.below(wayMsMax), () => {
        const waiter = this.#waiter(({ responseCode }) => {
          if (completion.answer !== undefined) return
          completion.answer = responseCode
          const goesOn = completion.isPart && responseCode === '00' && this.#chance(0.8)
          if (goesOn) this.#world.after(this.#random.below(10_000), () => this.#complete(told))
        })
        void this.#door()?.completion(this.#completion(told, completion), waiter)
      })
    }
    this.#world.after(5_000, () => this.#askCompletion(told, completion))
  }

  #waiter(hear: (answer: Answer) => void): Waiter {
    return (answer) => {
      const { answerUnsent, answerLost } = this.#rates()
      if (this.#chance(answerUnsent)) return Promise.resolve('notSent')
      if (!this.#chance(answerLost)) this.#world.after(1 + this.#random.below(wayMsMax), () => hear(answer))
      return Promise.resolve('written')
    }
  }

  /** A reversal goes to whichever node. */
  #door(): Door | undefined {
    return this.#lines[this.#random.below(this.#lines.length)]!.door
  }

  #transmittedAt(): string {
    const wrongMs = this.#chance(this.#rates().terminalClock)
      ? (this.#random.fraction() * 2 - 1) * 48 * 3_600_000
      : 0
    return transmittedAtOf(this.#world.wallMs() + wrongMs)
  }

  #chance(rate: number): boolean {
    return this.#random.fraction() < rate
  }

  #purchase(told: Told, amountMinor: bigint, repeat: boolean): InboundRequest {
    return {
      kind: 'request',
      repeat,
      source,
      // The node says by which it is decided.
      rules: noRules,
      sourceKey: told.sourceKey,
      ...(told.parent === undefined ? {} : { names: { originalKey: told.parent.sourceKey } }),
      fingerprint: `${maskOf(told.pan)}|${told.kind.kind}|${amountMinor}|KWD|M1`,
      cardMask: maskOf(told.pan),
      request: {
        kind: told.kind.kind,
        mti: told.kind.mti,
        processingCode: told.kind.processingCode,
        amountMinor,
        currency: 'KWD',
        transmittedAt: told.transmittedAt,
        stan: told.rrn.slice(-6),
        localTime: '120000',
        localDate: '1122',
        entryMode: '051',
        conditionCode: told.kind.conditionCode ?? '00',
        rrn: told.rrn,
        terminalId: 'T0000001',
        merchantId: 'M1',
        ...told.kind.extra?.(told.rrn),
      },
      // Every other one has no PIN, so that somebody may stand in for its issuer.
      secrets: new Secret({
        pan: told.pan,
        ...(Number(told.rrn) % 2 === 0 ? {} : { pinBlock: new Uint8Array(8) }),
      }),
      // The node says when it came.
      receivedMonotonicMs: 0,
      described: '0200',
    }
  }

  /** A completion of nothing: a transaction of its own. */
  #forced(told: Told, amountMinor: bigint): InboundCompletion {
    const { repeat: _repeat, receivedMonotonicMs: _at, ...asked } = this.#purchase(told, amountMinor, false)
    return { ...asked, kind: 'completion', isPart: false, originalKey: undefined }
  }

  #completion(told: Told, { amountMinor, byAuthId, isPart, number }: Completion): InboundCompletion {
    const { repeat: _repeat, receivedMonotonicMs: _at, ...asked } = this.#purchase(told, amountMinor, false)
    const authId = told.answers.find((answer) => answer.authId !== undefined)?.authId ?? ''
    return {
      ...asked,
      kind: 'completion',
      isPart,
      part: { number: String(number), ...(isPart ? {} : { last: String(number) }) },
      sourceKey: `${told.sourceKey}|completion ${number}`,
      originalKey: byAuthId ? undefined : told.sourceKey,
      request: { ...asked.request, kind: 'completion', mti: '0220', ...(byAuthId ? { authId } : {}) },
    }
  }

  #reversal(told: Told): InboundReversal {
    return {
      kind: 'reversal',
      source,
      sourceKey: `${told.sourceKey}|reversal`,
      fingerprint: told.sourceKey,
      originalKey: told.sourceKey,
      amountMinor: told.amountMinor,
      actualMinor: 0n,
      rrn: told.rrn,
      isAdvice: true,
      isVoid: false,
      described: '0420',
    }
  }
}

function maskOf(pan: string): string {
  return `${pan.slice(0, 6)}******${pan.slice(-4)}`
}
