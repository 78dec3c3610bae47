/**
 * Card verification values: CVV and CVC on the stripe, CVV2 on the card, iCVV on the chip. The three are one
 * calculation over different service codes. The steps are ISO 9797-1 algorithm 3 over two blocks.
 */
import { digitsText, packNibbles, sameText, scannedDigits } from '../decimal.ts'
import type { Context } from './context.ts'
import { retailMac } from './mac.ts'

export type CardValueKind = 'cvv' | 'cvv2' | 'icvv'

export interface CardValueRequest {
  readonly key: string
  readonly kind: CardValueKind
  readonly pan: string
  /** Four digits in the order in which the scheme takes them for this kind of value. */
  readonly expiry: string
  /** For `cvv`; the other kinds have a fixed one. */
  readonly serviceCode: string
}

export function generateCardValue(context: Context, request: CardValueRequest): string {
  return cardValue(context, request, ['C', 'G'])
}

export function verifyCardValue(context: Context, request: CardValueRequest & { value: string }): boolean {
  return sameText(cardValue(context, request, ['C', 'V']), request.value)
}

const fixedServiceCode = { cvv: undefined, cvv2: '000', icvv: '999' } as const

function cardValue(
  context: Context,
  { key, kind, pan, expiry, serviceCode }: CardValueRequest,
  modes: readonly ('C' | 'G' | 'V')[],
): string {
  const cvk = context.keys.active(key, ['C0'], modes)
  const data = pan + expiry + (fixedServiceCode[kind] ?? serviceCode)
  const blocks = packNibbles(data.padEnd(32, '0'))
  const mac = retailMac(context.token, cvk, blocks)
  blocks.fill(0)
  return digitsText(scannedDigits(mac, 3))
}
