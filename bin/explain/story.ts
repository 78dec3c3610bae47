import { type CurrencyCode, formatMoney } from '../../kernel/money.ts'
import type { Life, LifeEvent } from '../../switch/switch.ts'
import { sentenceOf } from './sentences.ts'

export interface EntryLine {
  readonly recordedAt: Date
  readonly reference: string
  readonly kind: string
  readonly account: string
  /** Set aside, not moved. */
  readonly isPending: boolean
  readonly currency: string
  readonly amount: bigint
}

export type ToldLife = Life & { readonly entries: readonly EntryLine[] }

/** The whole life of a transaction in words, in order, with what it is about. Of the card there is only its mask. */
export function storyOf(life: ToldLife, family: readonly Life[]): string {
  return [
    ...headOf(life),
    ...relativesOf(life, family),
    '',
    ...legsOf(life),
    ...eventsOf(life),
    ...owedOf(life),
    ...feesOf(life),
    ...booksOf(life),
    '',
  ].join('\n')
}

function headOf(life: Life): string[] {
  const { actualMinor, amountMinor, approvedMinor, card, completedMinor, currency, flag, kind } = life
  const amount = money(amountMinor, currency)
  const part = approvedMinor === null ? '' : `, of which ${money(approvedMinor, currency)} was approved`
  const left = actualMinor === null ? '' : `, partly reversed to ${money(actualMinor, currency)}`
  // Of a request that never came nobody knows what it was.
  const what = kind === undefined ? 'no request' : `card ${card}  ${amount}  ${kind}${part}${left}`
  const answer =
    life.responseCode === null
      ? 'no answer'
      : `answer ${life.responseCode}${life.authId === null ? '' : ` authorization ${life.authId}`}`
  const delivery = life.delivery === 'none' ? '' : `${life.delivery}  `
  return [
    `RRN ${life.rrn}  terminal ${life.terminal.trim()}  ${what}`,
    `id ${life.id}  from ${life.source}  business date ${life.businessDate}${life.rules === null ? '' : `  rules ${life.rules}`}`,
    `${life.state.toUpperCase()}  ${answer}  ${delivery}reversal ${life.reversal}`,
    `that is: ${meaningOf(life)}`,
    ...(completedMinor === null
      ? []
      : [`completed with ${money(completedMinor, currency)}  advice to the issuer ${life.advice}`]),
    ...(flag === null ? [] : flag.split(' ').map((one) => `FLAGGED ${flags[one] ?? one}`)),
    `received ${life.receivedAt.toISOString()}, approvable until ${after(life, life.approvableUntil).trim()}`,
  ]
}

/** What the state of a transaction means to the cardholder. */
function meaningOf({ kind, standIn: rule, state }: Life): string {
  const standIn = rule === null ? '' : ` by us, in the issuer's place, by the rule for ${rule}`
  const meanings: Readonly<Record<string, string>> = {
    tombstone: 'a reversal came for a request that had not come',
    refused: 'refused by the switch; no destination was asked, or none could be',
    intent: 'under way',
    reversing: 'under way, and reversed by its source meanwhile',
    approved: `approved${standIn}${kind === 'authorization' || kind === 'preauthorization' || kind === 'incremental' ? '; the money is set aside' : ''}`,
    declined: 'declined by its destination',
    unknown: 'declined, because nobody knows what its destination did; undone there',
    reversed: 'approved or under way once, undone since',
    completed: 'approved, and the money taken',
    expired: 'approved, and let go because nobody took the money in time',
  }
  return meanings[state] ?? state
}

/** An authorization with its raises, a payment with its refunds. */
function relativesOf(life: Life, family: readonly Life[]): string[] {
  const nameOf = ({ amountMinor, currency, id, kind, rrn, state }: Life): string =>
    `${kind ?? ''} of ${money(amountMinor, currency)}  ${state}  RRN ${rrn}  id ${id}`
  const parent = family.find(({ id }) => id === life.parentId)
  return [
    ...(parent === undefined
      ? []
      : [`${life.kind === 'refund' ? 'gives back of the' : 'raises the'} ${nameOf(parent)}`]),
    ...family
      .filter(({ parentId }) => parentId === life.id)
      .map((child) => `${child.kind === 'refund' ? 'refunded by a' : 'raised by an'} ${nameOf(child)}`),
  ]
}

function legsOf({ legs }: Life): string[] {
  const states: Readonly<Record<string, string>> = {
    intent: 'under way',
    notSent: 'never left',
    maybeSent: 'may have arrived',
    answered: 'answered',
  }
  return legs.map((leg) => {
    const code = leg['response_code'] === null ? '' : ` ${leg['response_code'] ?? ''}`
    const state = states[leg['state'] ?? ''] ?? leg['state'] ?? ''
    return `leg to ${leg['destination'] ?? ''}  STAN ${leg['stan'] ?? ''}  DE7 ${leg['transmitted_at'] ?? ''}  ${state}${code}`
  })
}

function eventsOf(life: Life): string[] {
  let date = ''
  return life.events.flatMap((event) => {
    const turned = event.businessDate !== null && event.businessDate !== date
    if (turned) date = event.businessDate!
    return [...(turned ? [`business date ${date}`] : []), ...linesOf(life, event)]
  })
}

function linesOf(life: Life, event: LifeEvent): string[] {
  const { state, sent, message, ...figures } = event.detail
  const told = {
    kind: event.kind,
    state: String(state),
    cause: event.cause,
    detail: { ...figures },
  }
  const around = {
    source: life.source,
    destination:
      life.legs.at(-1)?.['destination'] ??
      (life.obligations[0]?.['destination'] as string | undefined) ??
      'nobody',
    responseCode: life.responseCode ?? 'no code',
  }
  const sentence = sentenceOf(told, around) ?? `${event.kind} ${event.cause}`
  return [
    `${after(life, event.at)}  ${event.kind.padEnd(18)} -> ${String(state).padEnd(10)} ${sentence}`,
    ...(sent === undefined ? [] : [`${' '.repeat(13)}out ${String(sent)}`]),
    ...(message === undefined ? [] : [`${' '.repeat(13)}in  ${String(message)}`]),
  ]
}

/** What the destination had or has to hear until it acknowledges, and why. */
function owedOf({ currency, obligations }: Life): string[] {
  return obligations.map((row) => {
    const { attempts, cause, destination, kind, last_cause, response_code, stan, state } = row as Readonly<
      Record<string, string | null>
    >
    const { actual_minor: left, advice } = row as {
      readonly actual_minor: bigint | null
      readonly advice: { readonly amountMinor: string } | null
    }
    const down = left === null ? '' : ` down to ${money(left, currency)}`
    const of = advice === null ? '' : ` of ${money(BigInt(advice.amountMinor), currency)}`
    const number = stan === null ? '' : `  STAN ${stan ?? ''}`
    const answered = response_code === null ? '' : `  answered ${response_code ?? ''}`
    const waits = state === 'due' && last_cause !== null ? `  last: ${last_cause ?? ''}` : ''
    return (
      `owed to ${destination ?? ''}: ${kind ?? ''}${down}${of} (${cause ?? ''}: ${causes[cause ?? ''] ?? ''})` +
      `  ${state ?? ''}  attempts ${String(attempts)}${number}${answered}${waits}`
    )
  })
}

const causes: Readonly<Record<string, string>> = {
  timeout: 'no answer came in time',
  linkLost: 'the line was lost with the request on it',
  badAnswer: 'the answer could not be trusted or read',
  wrongAmount: 'another amount or currency was approved',
  partialApproval: 'a part was approved that the source can not use',
  postingRefused: 'the books would not take the approval',
  undelivered: 'the approval never reached the source',
  sourceReversal: 'the source wants it undone',
  partialReversal: 'the source keeps a part',
  completionReversal: 'the source wants one of its completions undone',
  recovered: 'a node was gone before it knew the outcome',
  completion: 'the source told what became of the authorization',
  standIn: "it was approved in the issuer's place",
}

/** What its network charges or pays us for it, and whether that went back. */
function feesOf({ entries }: ToldLife): string[] {
  return entries.flatMap(({ account, amount, currency, reference }) => {
    const [word, destination = ''] = account.split(':')
    if (word !== 'scheme') return []
    const isBack = reference.endsWith('-back')
    const isCharge = amount > 0n !== isBack
    const says = isCharge ? (isBack ? 'gives back' : 'charges us') : isBack ? 'takes back' : 'pays us'
    const size = money(amount > 0n ? amount : -amount, currency)
    return [`fee: ${destination} ${says} ${size} for handling it; the cardholder has nothing to do with that`]
  })
}

function booksOf(life: ToldLife): string[] {
  const seen = new Set(life.entries.map(({ account }) => account.split(':', 1)[0]!))
  const legend = [...seen].flatMap((word) =>
    accounts[word] === undefined ? [] : [`${word}: ${accounts[word]}`],
  )
  const lines = life.entries.map((entry) => {
    const side = entry.amount > 0n ? 'debit ' : 'credit'
    const size = entry.amount > 0n ? entry.amount : -entry.amount
    return `${after(life, entry.recordedAt)}  ${entry.kind.padEnd(9)} ${side} ${entry.account.padEnd(36)} ${money(size, entry.currency)}${entry.isPending ? '  set aside' : ''}`
  })
  return legend.length === 0 ? lines : [...lines, `books:  ${legend.join('; ')}`]
}

/** The first word of an account's path. */
const accounts: Readonly<Record<string, string>> = {
  net: 'what the network answers for on a business date',
  adjustment: 'what belongs to a date that is closed',
  authorized: 'what the network has authorized and nobody has taken',
  merchant: 'what is owed to the merchant',
  cashback: 'cash from a merchant’s till',
  fees: 'what was charged for the transaction',
  holder: "a cardholder's account",
  scheme: 'what the network charges us, less what it pays us',
}

const flags: Readonly<Record<string, string>> = {
  feesUnread:
    'its network said fees that nobody can book: in no currency that is known, or in no form of a fee',
  overTolerance: 'the completion took more than was set aside and its trade may take: a forced post',
  afterExpiry: 'the completion came after the authorization had expired: a forced post',
  unknownAuthorization: 'a completion of no authorization that we know: a forced post',
  refusedByBooks:
    'the network has it, and the books refuse the entries: parked, nothing of it is posted (mafraq saf)',
  settlementDisputed:
    'what the network says it pays for what it was told of is contradicted by its own rate, or in a currency nobody knows: it was not believed',
  undoingDisputed: 'the network says that it has nothing to undo of what it approved: whose money is it?',
  voidAfterCutover: 'cancelled by the customer after the cutover of its day',
}

function after({ receivedAt }: Life, at: Date): string {
  return `+${String(at.getTime() - receivedAt.getTime())} ms`.padStart(11)
}

function money(amountMinor: bigint, currency: string): string {
  return currency === '' ? '' : formatMoney({ amountMinor, currency: currency as CurrencyCode })
}
