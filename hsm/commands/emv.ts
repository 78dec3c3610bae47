/**
 * Chip cards (EMV 4.3 book 2): the card's keys from the issuer's, the application cryptogram, the issuer's answer,
 * and the MAC on a script. PKCS#11 derives none of these keys, so they pass through this process in buffers that
 * are wiped, and work as lent objects.
 */
import { createHash } from 'node:crypto'
import { packNibbles, sameText, scannedDigits } from '../decimal.ts'
import type { LoadedKey } from '../key-table.ts'
import type { Usage } from '../key.ts'
import { xorInto } from '../pin-block.ts'
import { setOddParity } from '../soft.ts'
import type { TokenObject } from '../token.ts'
import type { Context } from './context.ts'
import { withLent } from './lend.ts'
import { lentRetailMac, padded } from './mac.ts'
import type { Padding } from './mac.ts'
import { badRequest } from './request.ts'
import { ownBytes, withSecret } from '../memory.ts'

export interface CardKey {
  /** Issuer master key. */
  readonly key: string
  /** How the card's key follows from it (annex A1.4). */
  readonly option: 'A' | 'B'
  readonly pan: string
  /** PAN sequence number, two digits. */
  readonly sequence: string
}

export interface SessionKey extends CardKey {
  /**
   * Eight bytes: the transaction counter and six zeros for cryptograms, the cryptogram itself for scripts. Cards
   * without session keys (Visa CVN 10) have none, and the card's own key is used.
   */
  readonly diversifier?: Buffer
}

export function verifyArqc(
  context: Context,
  request: SessionKey & { readonly data: Buffer; readonly padding: Padding; readonly arqc: Buffer },
): boolean {
  const expected = arqcOf(context, request)
  return sameText(expected.toString('hex'), request.arqc.toString('hex'))
}

export function arqcOf(
  context: Context,
  request: SessionKey & { readonly data: Buffer; readonly padding: Padding },
): Buffer {
  return withApplicationKey(context, request, ['E0'], (value) =>
    lentRetailMac(context, value, padded(request.data, request.padding)),
  )
}

/** Method 1 (8.2.1): the cryptogram and the response code, enciphered, under the session key or the card's key. */
export function arpc1(
  context: Context,
  request: SessionKey & {
    readonly arqc: Buffer
    readonly responseCode: Buffer
    readonly under: 'session' | 'card'
  },
): Buffer {
  const mixed = ownBytes(8)
  mixed.set(request.arqc)
  xorInto(mixed.subarray(0, 2), request.responseCode)
  const seal = (value: Buffer): Buffer =>
    withCipher(context, value, (object) => enciphered(context, object, mixed))
  return request.under === 'session'
    ? withApplicationKey(context, request, ['E0'], seal)
    : withCardKey(context, request, ['E0'], seal)
}

/** Method 2 (8.2.2): a MAC of four bytes over cryptogram, card status update and proprietary data. */
export function arpc2(
  context: Context,
  request: SessionKey & {
    readonly arqc: Buffer
    readonly statusUpdate: Buffer
    readonly proprietary: Buffer
  },
): Buffer {
  const data = Buffer.concat([request.arqc, request.statusUpdate, request.proprietary])
  return withApplicationKey(context, request, ['E0'], (value) => {
    const mac = lentRetailMac(context, value, padded(data, 2))
    return Buffer.from(mac.subarray(0, 4))
  })
}

/** The MAC on an issuer script's command (9.2). */
export function scriptMac(
  context: Context,
  request: SessionKey & { readonly data: Buffer; readonly bytes: number },
): Buffer {
  return withApplicationKey(context, request, ['E2'], (value) => {
    const mac = lentRetailMac(context, value, padded(request.data, 2))
    return Buffer.from(mac.subarray(0, request.bytes))
  })
}

/** The three digits of a contactless stripe's CVC3: a MAC over the track, then counter and challenge. */
export function cvc3(
  context: Context,
  request: CardKey & { readonly track: Buffer; readonly counter: Buffer; readonly challenge: Buffer },
): string {
  return withCardKey(context, request, ['E4'], (value) => {
    const mac = lentRetailMac(context, value, padded(request.track, 2))
    const block = Buffer.concat([mac.subarray(6, 8), request.challenge, request.counter])
    const out = withCipher(context, value, (object) => enciphered(context, object, block))
    return (out.readUInt16BE(6) % 1000).toString().padStart(3, '0')
  })
}

/** Lends the card's own master key (annex A1.4). */
export function withCardKey<Result>(
  context: Context,
  { key, option, pan, sequence }: CardKey,
  usages: readonly Usage[],
  use: (value: Buffer) => Result,
): Result {
  const issuer: LoadedKey = context.keys.active(key, usages, ['X'])
  const input = packNibbles(
    option === 'A' || pan.length <= 16 ? optionA(pan, sequence) : optionB(pan, sequence),
  )
  return withSecret(16, (value) => {
    enciphered(context, issuer.object, input).copy(value, 0)
    for (let index = 0; index < 8; index++) input[index]! ^= 0xff
    enciphered(context, issuer.object, input).copy(value, 8)
    setOddParity(value)
    return use(value)
  })
}

function optionA(pan: string, sequence: string): string {
  return (pan + sequence).slice(-16).padStart(16, '0')
}

/** For card numbers of more than 16 digits: digits of a hash of the whole. */
function optionB(pan: string, sequence: string): string {
  const text = pan + sequence
  const hash = createHash('sha1')
    .update(packNibbles(text.length % 2 === 0 ? text : `0${text}`))
    .digest()
  return scannedDigits(hash, 16).join('')
}

/** Lends the EMV common session key (annex A1.3.1), or the card's own key where there is no diversifier. */
export function withApplicationKey<Result>(
  context: Context,
  { diversifier, ...card }: SessionKey,
  usages: readonly Usage[],
  use: (value: Buffer) => Result,
): Result {
  if (diversifier === undefined) return withCardKey(context, card, usages, use)
  if (diversifier.length !== 8) throw badRequest()
  return withCardKey(context, card, usages, (key) =>
    withCipher(context, key, (object) =>
      withSecret(16, (value) => {
        const input = ownBytes(8)
        diversifier.copy(input)
        input[2] = 0xf0
        enciphered(context, object, input).copy(value, 0)
        input[2] = 0x0f
        enciphered(context, object, input).copy(value, 8)
        setOddParity(value)
        return use(value)
      }),
    ),
  )
}

function enciphered({ token }: Context, object: TokenObject, input: Buffer): Buffer {
  const output = ownBytes(8)
  token.encrypt({ object, mechanism: 'des3-ecb', input, output })
  return output
}

function withCipher<Result>(context: Context, value: Buffer, use: (object: TokenObject) => Result): Result {
  return withLent(context, { kind: 'DES2', value, grants: ['encrypt'], mechanisms: ['des3-ecb'] }, use)
}
