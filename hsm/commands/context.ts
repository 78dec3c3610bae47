import type { KeyTable } from '../key-table.ts'
import type { Token } from '../token.ts'
import { ownBytes } from '../memory.ts'

/** What every command works with. */
export interface Context {
  readonly token: Token
  readonly keys: KeyTable
  /** Fills with chance; the known-answer tests put their own in place of the token's. */
  random(output: Buffer): void
}

/** Runs `use` with a buffer of zeros that is wiped afterwards, whatever happens. */
export function withSecret<Result>(bytes: number, use: (secret: Buffer) => Result): Result {
  const secret = ownBytes(bytes)
  try {
    return use(secret)
  } finally {
    secret.fill(0)
  }
}
