import type { FieldValue, Message } from '../iso8583/iso8583.ts'

/** How keys are exchanged with a network: data of its dialect. Without it, keys change by people alone. */
export interface KeyExchangeRules {
  /** The element that a key block (X9.143) travels in, as text or as the bytes of that text. */
  readonly element: number
  readonly form: 'text' | 'bytes'
  /** Leading digits of the check value behind the block; 0: none travels. */
  readonly checkDigits: 0 | 4 | 6
  /** The code of network management with which we ask for keys: the network then sends them by its own request. */
  readonly askCode: string
  /** DE39 of a key that we do not take: another check value than the one that came with it, and all else. */
  readonly answers: { readonly kcvDiffers: string; readonly refused: string }
  /** DE39 of an answer that says that keys are out of step. */
  readonly outOfStep: readonly string[]
  /** How long the key before is honoured in what comes. */
  readonly graceSeconds: number
  /** When we ask for new keys of our own accord (K5). Absent: when people want it, or keys are out of step. */
  readonly renew?: {
    /** The age of the older of the two keys. */
    readonly afterSeconds?: number
    /** Messages that this node has sealed since it last had a new key. */
    readonly afterSeals?: number
  }
}

/** Five minutes, for what is in flight (§4.16, K4). */
export const usualKeyExchange = {
  form: 'text',
  checkDigits: 6,
  askCode: '101',
  answers: { kcvDiffers: '63', refused: '30' },
  outOfStep: ['81'],
  graceSeconds: 300,
} as const satisfies Partial<KeyExchangeRules>

/** The key block of a request and the check value behind it. undefined: it carries no whole block. */
export function keyOf(
  message: Message,
  { element, checkDigits }: KeyExchangeRules,
): { readonly block: string; readonly kcv?: string } | undefined {
  const text = textOf(message.reveal(element))
  // A block says how long it is, after the letter of its version.
  const blockChars = Number(/^[A-D](\d{4})/.exec(text)?.[1])
  if (!Number.isInteger(blockChars) || text.length !== blockChars + checkDigits) return undefined
  const block = text.slice(0, blockChars)
  return checkDigits === 0 ? { block } : { block, kcv: text.slice(blockChars) }
}

function textOf(value: FieldValue | undefined): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  return typeof value === 'string' ? value.trimEnd() : ''
}

/** What a connector has to do with the keys of its line. */
export interface ConnectorKeys {
  readonly rules: KeyExchangeRules
  /** Whether seals are wrong again and again: nothing but network management is sent until keys are in step (X3). */
  readonly outOfStep: boolean
  onOutOfStep(listener: () => void): void
  /** Whether a DE39 of the network's agrees to what it was asked. */
  agrees(responseCode: string): boolean
  /** Messages sealed since there was a new key, or since the start. */
  readonly seals: number
  /** There is a new key: what was wrong before says nothing any more. */
  renewed(): void
}
