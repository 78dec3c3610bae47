/**
 * The commands by name: the level at which a payment HSM works, so that its driver is another object of this
 * shape. Each takes a request's fields, checks them, and gives an answer's fields.
 */
import type { PinFormat } from '../pin-block.ts'
import type { Fields } from '../wire.ts'
import type { Context } from './context.ts'
import { generateMac, verifyMac } from './mac.ts'
import { translatePin } from './pin.ts'
import { panText, refText, Request } from './request.ts'

export type Command = (context: Context, request: Request) => Fields

const formats: readonly PinFormat[] = [0, 1, 2, 3, 4]
const data = { min: 0, max: 65_536 }
const block = { min: 1, max: 64 }

export const commands = {
  translatePin: (context, request) => ({
    pinBlock: translatePin(context, {
      source: {
        key: request.text('from', refText),
        format: request.oneOf('fromFormat', formats, 0),
        block: request.bytes('pinBlock', block),
      },
      target: { key: request.text('to', refText), format: request.oneOf('toFormat', formats, 0) },
      pan: request.text('pan', panText),
    }),
  }),
  generateMac: (context, request) => ({
    mac: generateMac(context, {
      key: request.text('key', refText),
      data: request.bytes('data', data),
      padding: request.oneOf('padding', [1, 2, 3], 1),
      bytes: request.whole('bytes', { min: 4, max: 32, otherwise: 8 }),
    }),
  }),
  verifyMac: (context, request) => ({
    verified: verifyMac(context, {
      key: request.text('key', refText),
      data: request.bytes('data', data),
      padding: request.oneOf('padding', [1, 2, 3], 1),
      mac: request.bytes('mac', { min: 4, max: 32 }),
    }),
  }),
} as const satisfies Record<string, Command>

export type CommandName = keyof typeof commands

/** Undefined for a command there is not. */
export function commandNamed(name: string): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name as CommandName] : undefined
}

/** Runs one command in this process. Throws `HsmError`, and `TokenError` when the token failed. */
export function runCommand(context: Context, name: CommandName, fields: Fields): Fields {
  return commands[name](context, new Request(fields))
}
