/**
 * Whether the token still works, by a real operation with a stored key: a token that has vanished still gives
 * random numbers and says that its session is fine.
 */
import { classOf } from './refusal.ts'
import { TokenError } from './token.ts'
import type { Token, TokenObject } from './token.ts'

export class HealthCheck {
  readonly #token: Token
  #probe: { readonly object: TokenObject; readonly run: () => Buffer; readonly expected: Buffer } | undefined

  constructor(token: Token) {
    this.#token = token
    this.choose()
  }

  /** Takes a stored key that can be tried; again when the keys have changed. */
  choose(): void {
    this.#probe = undefined
    for (const object of this.#token.objects()) {
      const run = probeOf(this.#token, object)
      const expected = run === undefined ? undefined : firstAnswer(run)
      if (run === undefined || expected === undefined) continue
      this.#probe = { object, run, expected }
      return
    }
  }

  /** Throws `TokenError` when the token failed; false when it answers wrongly. True when there is no key to try. */
  passes(): boolean {
    return this.#probe === undefined || this.#probe.run().equals(this.#probe.expected)
  }
}

/** Undefined for a key that this token has no mechanism for. */
function firstAnswer(run: () => Buffer): Buffer | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof TokenError && classOf(error.code) === 'data') return undefined
    throw error
  }
}

function probeOf(token: Token, object: TokenObject): (() => Buffer) | undefined {
  const usage = object.id.slice(0, 2)
  const des = object.kind === 'DES2' || object.kind === 'DES3'
  if (usage === 'M6' && !object.label.includes('#')) {
    const mechanism = des ? 'des3-cmac' : 'aes-cmac'
    return () => {
      const output = Buffer.alloc(des ? 8 : 16)
      token.sign({ object, mechanism, data: Buffer.from('health'), output })
      return output
    }
  }
  if (usage === 'M3' || usage === 'M1' || usage === 'C0') {
    return () => {
      const output = Buffer.alloc(8)
      token.encrypt({ object, mechanism: 'des3-cbc', input: Buffer.from('thehealt'), output })
      return output
    }
  }
  return undefined
}
