import { HsmError } from '../fault.ts'
import type { Fields } from '../wire.ts'

export function badRequest(): HsmError {
  return new HsmError({ kind: 'refused', why: 'badRequest' })
}

/** Reads a request's fields with their bounds. Whatever is not as it should be is `refused` (`badRequest`). */
export class Request {
  readonly #fields: Fields

  constructor(fields: Fields) {
    this.#fields = fields
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined
  }

  text(name: string, shape: RegExp): string {
    const value = this.#fields[name]
    if (typeof value !== 'string' || !shape.test(value)) throw badRequest()
    return value
  }

  bytes(name: string, { min, max }: { readonly min: number; readonly max: number }): Buffer {
    const value = this.#fields[name]
    if (!(value instanceof Uint8Array) || value.length < min || value.length > max) throw badRequest()
    return Buffer.isBuffer(value) ? value : Buffer.from(value)
  }

  /** A whole number from `min` to `max`; `otherwise` when it is not there. */
  whole(name: string, { min, max, otherwise }: { min: number; max: number; otherwise?: number }): number {
    const value = this.#fields[name] ?? otherwise
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw badRequest()
    return value
  }

  oneOf<Choice extends string | number>(
    name: string,
    choices: readonly Choice[],
    otherwise?: Choice,
  ): Choice {
    const value = this.#fields[name] ?? otherwise
    const found = choices.find((choice) => choice === value)
    if (found === undefined) throw badRequest()
    return found
  }

  /** A nested request. */
  part(name: string): Request {
    const value = this.#fields[name]
    if (typeof value !== 'object' || value instanceof Uint8Array || Array.isArray(value)) throw badRequest()
    return new Request(value as Fields)
  }
}

/** What names a key. */
export const refText = /^[a-z0-9.-]{5,60}$/
export const panText = /^[0-9]{12,19}$/
/** YYMM. */
export const expiryText = /^[0-9]{2}(0[1-9]|1[0-2])$/
