/**
 * The commands by name: the level at which a payment HSM works, so that its driver is another object of this
 * shape. Each takes a request's fields, checks them, and gives an answer's fields.
 */
import type { PinFormat } from '../pin-block.ts'
import type { Fields } from '../wire.ts'
import type { Context } from './context.ts'
import { generateCardValue, verifyCardValue } from './card.ts'
import type { CardValueRequest } from './card.ts'
import { arpc1, arpc2, scriptMac, verifyArqc } from './emv.ts'
import type { SessionKey } from './emv.ts'
import { generateMac, verifyMac } from './mac.ts'
import type { MacRequest } from './mac.ts'
import { pinReference, verifyPin } from './pin-verify.ts'
import type { PinCheck } from './pin-verify.ts'
import { translatePin } from './pin.ts'
import type { PinSource } from './pin.ts'
import { panText, refText } from './request.ts'
import type { Request } from './request.ts'
import { ownBytes } from '../memory.ts'

export type Command = (context: Context, request: Request) => Fields

const formats: readonly PinFormat[] = [0, 1, 2, 3, 4]
const data = { min: 0, max: 65_536 }
const block = { min: 1, max: 64 }
const ksn = { min: 10, max: 12 }
const eight = { min: 8, max: 8 }
const paddings = [1, 2, 3] as const

export const commands = {
  translatePin: (context, request) => ({
    pinBlock: translatePin(context, {
      source: pinSource(request, 'from'),
      target: { key: request.text('to', refText), format: request.oneOf('toFormat', formats, 0) },
      pan: request.text('pan', panText),
    }),
  }),
  verifyPin: (context, request) => ({
    verified: verifyPin(context, {
      ...pinCheck(request),
      reference: request.text('reference', /^[0-9]{4,12}$/),
    }),
  }),
  pinReference: (context, request) => ({ reference: pinReference(context, pinCheck(request)) }),
  generateMac: (context, request) => ({
    mac: generateMac(context, {
      ...macInput(request),
      bytes: request.whole('bytes', { min: 4, max: 32, otherwise: 8 }),
    }),
  }),
  verifyMac: (context, request) => ({
    verified: verifyMac(context, { ...macInput(request), mac: request.bytes('mac', { min: 4, max: 32 }) }),
  }),
  generateCardValue: (context, request) => ({ value: generateCardValue(context, cardValue(request)) }),
  verifyCardValue: (context, request) => ({
    verified: verifyCardValue(context, { ...cardValue(request), value: request.text('value', /^[0-9]{3}$/) }),
  }),
  verifyArqc: (context, request) => ({
    verified: verifyArqc(context, {
      ...sessionKey(request),
      data: request.bytes('data', { min: 1, max: 1_024 }),
      padding: request.oneOf('padding', paddings, 2),
      arqc: request.bytes('arqc', eight),
    }),
  }),
  generateArpc: (context, request) => {
    const common = { ...sessionKey(request), arqc: request.bytes('arqc', eight) }
    if (request.oneOf('method', [1, 2]) === 1) {
      const responseCode = request.bytes('responseCode', { min: 2, max: 2 })
      const under = request.oneOf('under', ['session', 'card'], 'session')
      return { arpc: arpc1(context, { ...common, responseCode, under }) }
    }
    const statusUpdate = request.bytes('statusUpdate', { min: 4, max: 4 })
    const proprietary = request.has('proprietary')
      ? request.bytes('proprietary', { min: 0, max: 8 })
      : ownBytes(0)
    return { arpc: arpc2(context, { ...common, statusUpdate, proprietary }) }
  },
  scriptMac: (context, request) => ({
    mac: scriptMac(context, {
      ...sessionKey(request),
      data: request.bytes('data', { min: 1, max: 1_024 }),
      bytes: request.whole('bytes', { min: 4, max: 8, otherwise: 8 }),
    }),
  }),
  random: (context, request) => {
    const bytes = ownBytes(request.whole('bytes', { min: 1, max: 1_024 }))
    context.random(bytes)
    return { random: bytes }
  },
  sign: (context, request) => {
    const { object } = context.keys.active(request.text('key', refText), ['S0'], ['S'])
    const output = ownBytes(64)
    context.token.sign({ object, mechanism: 'ecdsa', data: request.bytes('data', data), output })
    return { signature: output }
  },
  publicKey: (context, request) => {
    const { object } = context.keys.active(request.text('key', refText), ['S0'], ['S'])
    return { point: context.token.publicPoint(object) }
  },
} as const satisfies Record<string, Command>

function pinSource(request: Request, key: string): PinSource {
  return {
    key: request.text(key, refText),
    format: request.oneOf('fromFormat', formats, 0),
    block: request.bytes('pinBlock', block),
    ...(request.has('ksn') ? { ksn: request.bytes('ksn', ksn) } : {}),
  }
}

function pinCheck(request: Request): PinCheck {
  const key = request.text('verificationKey', refText)
  const method =
    request.oneOf('method', ['visaPvv', 'ibm3624']) === 'visaPvv'
      ? ({ kind: 'visaPvv', key, keyIndex: request.whole('keyIndex', { min: 1, max: 6 }) } as const)
      : ({
          kind: 'ibm3624',
          key,
          decimalisation: request.text('decimalisation', /^[0-9]{16}$/),
          validation: request.text('validation', /^[0-9A-F]{16}$/),
        } as const)
  return { source: pinSource(request, 'key'), pan: request.text('pan', panText), method }
}

function macInput(request: Request): Omit<MacRequest, 'bytes'> {
  const input = {
    key: request.text('key', refText),
    data: request.bytes('data', data),
    padding: request.oneOf('padding', paddings, 1),
  }
  if (!request.has('ksn')) return input
  const dukpt = {
    ksn: request.bytes('ksn', ksn),
    direction: request.oneOf('direction', ['request', 'response']),
    algorithm: request.oneOf('algorithm', ['retail', 'cmac'], 'retail'),
  }
  return { ...input, dukpt }
}

function cardValue(request: Request): CardValueRequest {
  const kind = request.oneOf('kind', ['cvv', 'cvv2', 'icvv'])
  return {
    key: request.text('key', refText),
    kind,
    pan: request.text('pan', panText),
    expiry: request.text('expiry', /^[0-9]{4}$/),
    serviceCode: kind === 'cvv' ? request.text('serviceCode', /^[0-9]{3}$/) : '',
  }
}

function sessionKey(request: Request): SessionKey {
  return {
    key: request.text('key', refText),
    option: request.oneOf('option', ['A', 'B'], 'A'),
    pan: request.text('pan', panText),
    sequence: request.text('sequence', /^[0-9]{2}$/),
    ...(request.has('diversifier') ? { diversifier: request.bytes('diversifier', eight) } : {}),
  }
}

/** Undefined for a command there is not. */
export function commandNamed(name: string): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name as keyof typeof commands] : undefined
}
