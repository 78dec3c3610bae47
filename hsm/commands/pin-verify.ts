/** PIN verification by the issuer: Visa PVV and IBM 3624 offset; and setting the value to verify against. */
import { packNibbles, sameText, scannedDigits } from '../decimal.ts'
import { HsmError } from '../fault.ts'
import type { LoadedKey } from '../key-table.ts'
import type { Mode } from '../key.ts'
import { nibble, pinBufferBytes, pinLength } from '../pin-block.ts'
import { withSecret } from '../memory.ts'
import type { Context } from './context.ts'
import { withPin } from './pin.ts'
import type { PinSource } from './pin.ts'
import { badRequest } from './request.ts'

export type PinMethod =
  | { readonly kind: 'visaPvv'; readonly key: string; readonly keyIndex: number }
  | {
      readonly kind: 'ibm3624'
      readonly key: string
      readonly decimalisation: string
      /** 16 hexadecimal digits, made of the PAN as the issuer has agreed. */
      readonly validation: string
    }

export interface PinCheck {
  readonly source: PinSource
  readonly pan: string
  readonly method: PinMethod
}

/** Whether the PIN in the block is the one that `reference` (a PVV or an offset) stands for. */
export function verifyPin(context: Context, request: PinCheck & { readonly reference: string }): boolean {
  return sameText(pinReferenceOf(context, request, ['C', 'V'], request.reference.length), request.reference)
}

/** The PVV or offset of the PIN in the block, to be stored with the card. */
export function pinReference(context: Context, request: PinCheck): string {
  return pinReferenceOf(context, request, ['C', 'G'])
}

function pinReferenceOf(
  context: Context,
  { source, pan, method }: PinCheck,
  modes: readonly Mode[],
  digits?: number,
): string {
  const key = context.keys.active(method.key, [method.kind === 'visaPvv' ? 'V2' : 'V1'], modes)
  return withPin(context, { source, pan }, (pin) =>
    method.kind === 'visaPvv'
      ? pvvOf(context, key, { pin, pan, keyIndex: method.keyIndex })
      : offsetOf(context, key, { pin, ...method, ...(digits === undefined ? {} : { digits }) }),
  )
}

/** Eleven PAN digits before the check digit, the key's index, four PIN digits; enciphered; four digits of it. */
export function pvvOf(
  context: Context,
  key: LoadedKey,
  { pin, pan, keyIndex }: { readonly pin: Buffer; readonly pan: string; readonly keyIndex: number },
): string {
  const block = packNibbles(`${pan.slice(-12, -1)}${keyIndex}0000`)
  block[6] = (pin[0]! << 4) | pin[1]!
  block[7] = (pin[2]! << 4) | pin[3]!
  return withSecret(8, (output) => {
    context.token.encrypt({ object: key.object, mechanism: 'des3-ecb', input: block, output })
    block.fill(0)
    return scannedDigits(output, 4).join('')
  })
}

interface Ibm3624 {
  readonly decimalisation: string
  readonly validation: string
}

/** The PIN less the natural PIN, digit by digit modulo ten, over as many digits as were asked for. */
export function offsetOf(
  context: Context,
  key: LoadedKey,
  { pin, digits = pinLength(pin), ...method }: Ibm3624 & { readonly pin: Buffer; readonly digits?: number },
): string {
  if (digits < 4 || digits > pinLength(pin)) throw new HsmError({ kind: 'pinBlock' })
  return withNaturalPin(context, key, method, (natural) =>
    Array.from({ length: digits }, (_, index) => (pin[index]! + 10 - natural[index]!) % 10).join(''),
  )
}

/** Lends the PIN that an offset stands for; only known-answer tests ask for it. */
export function withPinOfOffset<Result>(
  context: Context,
  key: LoadedKey,
  { offset, ...method }: Ibm3624 & { readonly offset: string },
  use: (pin: Buffer) => Result,
): Result {
  return withNaturalPin(context, key, method, (natural) =>
    withSecret(pinBufferBytes, (pin) => {
      for (let index = 0; index < offset.length; index++) {
        pin[index] = (natural[index]! + offset.charCodeAt(index) - 48) % 10
      }
      return use(pin)
    }),
  )
}

function withNaturalPin<Result>(
  context: Context,
  key: LoadedKey,
  { decimalisation, validation }: Ibm3624,
  use: (natural: Buffer) => Result,
): Result {
  checkDecimalisation(decimalisation)
  const input = packNibbles(validation)
  return withSecret(8, (enciphered) =>
    withSecret(16, (natural) => {
      context.token.encrypt({ object: key.object, mechanism: 'des3-ecb', input, output: enciphered })
      input.fill(0)
      for (let index = 0; index < 16; index++) {
        natural[index] = decimalisation.charCodeAt(nibble(enciphered, index)) - 48
      }
      return use(natural)
    }),
  )
}

/**
 * A table of few digits turns verification into a guessing game of few steps (Bond and Zieliński, 2003), so a
 * table must have at least eight different digits, and none more than four times.
 */
function checkDecimalisation(table: string): void {
  const counts = new Map<string, number>()
  for (const digit of table) counts.set(digit, (counts.get(digit) ?? 0) + 1)
  if (counts.size < 8 || Math.max(...counts.values()) > 4) throw badRequest()
}
