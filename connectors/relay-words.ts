import Type from 'typebox'
import type { ExchangeOutcome } from '../iso8583/iso8583.ts'
import { hasForm } from '../kernel/form.ts'

/** What a node asks of the one that holds a line, and is asked of it. */
export interface RelayedRequest {
  readonly mti: string
  /** Encoded and sealed, as it is to go to the network. */
  readonly message: Buffer
}

/** As an exchange of our own would end; of an answer the bytes that came. */
export type RelayedOutcome =
  | { readonly kind: 'answered'; readonly message: Buffer }
  | Exclude<ExchangeOutcome, { readonly kind: 'answered' }>

/** What nodes say to each other, one to a frame. */
export type Word =
  /** The sender may use these lines now. */
  | { readonly kind: 'holds'; readonly holds: readonly string[] }
  | {
      readonly kind: 'ask'
      readonly id: number
      readonly destination: string
      readonly mti: string
      /** How long the sender waits: the clocks of two nodes have nothing in common. */
      readonly withinMs: number
      readonly message: Buffer
    }
  /** An answer that came when nobody waited for it any more. */
  | { readonly kind: 'late'; readonly destination: string; readonly message: Buffer }
  | { readonly kind: 'outcome'; readonly id: number; readonly outcome: RelayedOutcome }

const closed = { additionalProperties: false } as const
const id = Type.Integer({ minimum: 1 })
const message = Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$' })
const literals = <const Words extends readonly string[]>(words: Words) =>
  Type.Union(words.map((word) => Type.Literal(word as Words[number])))

const notSentReasons = ['closed', 'congested', 'malformed', 'noTime'] as const
const maybeSentReasons = [
  ...(['deadline', 'linkLost', 'badSeal', 'sealUnchecked', 'unparseable', 'abandoned'] as const),
] as const

const wordForm = Type.Union([
  Type.Object({ kind: Type.Literal('holds'), holds: Type.Array(Type.String()) }, closed),
  Type.Object(
    {
      ...{ kind: Type.Literal('ask'), id, message },
      ...{ destination: Type.String(), mti: Type.String({ pattern: '^[0-9]{4}$' }) },
      withinMs: Type.Number({ minimum: 0, maximum: 600_000 }),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('late'), destination: Type.String(), message }, closed),
  Type.Object({ kind: Type.Literal('outcome'), id, answered: message }, closed),
  Type.Object({ kind: Type.Literal('outcome'), id, notSent: literals(notSentReasons) }, closed),
  Type.Object({ kind: Type.Literal('outcome'), id, maybeSent: literals(maybeSentReasons) }, closed),
])

export function wordOf(word: Word): Buffer {
  switch (word.kind) {
    case 'holds':
      return written(word)
    case 'ask':
    case 'late':
      return written({ ...word, message: word.message.toString('base64') })
    case 'outcome': {
      const { id, kind, outcome } = word
      if (outcome.kind === 'answered')
        return written({ kind, id, answered: outcome.message.toString('base64') })
      return written({ kind, id, [outcome.kind]: outcome.reason })
    }
  }
}

/** undefined: whoever said it is no node of ours. */
export function readWord(body: Buffer): Word | undefined {
  const said = parsed(body)
  if (!hasForm(wordForm, said)) return undefined
  if (said.kind === 'holds') return said
  if (said.kind === 'ask' || said.kind === 'late')
    return { ...said, message: Buffer.from(said.message, 'base64') }
  return { kind: 'outcome', id: said.id, outcome: outcomeOf(said) }
}

function outcomeOf(
  said:
    | { readonly answered: string }
    | { readonly notSent: (typeof notSentReasons)[number] }
    | { readonly maybeSent: (typeof maybeSentReasons)[number] },
): RelayedOutcome {
  if ('answered' in said) return { kind: 'answered', message: Buffer.from(said.answered, 'base64') }
  if ('notSent' in said) return { kind: 'notSent', reason: said.notSent }
  return { kind: 'maybeSent', reason: said.maybeSent }
}

function written(word: object): Buffer {
  return Buffer.from(JSON.stringify(word), 'latin1')
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('latin1'))
  } catch {
    return undefined
  }
}
