import type { KeyTable } from '../key-table.ts'
import type { Token } from '../token.ts'

/** What every command works with. */
export interface Context {
  readonly token: Token
  readonly keys: KeyTable
  /** Fills with chance; the known-answer tests put their own in place of the token's. */
  random(output: Buffer): void
}
