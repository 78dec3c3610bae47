import type { ObjectSpec } from '../objects.ts'
import type { TokenObject } from '../token.ts'
import type { Context } from './context.ts'

/** Puts a derived key on the token for as long as `use` runs. The value stays the caller's to wipe. */
export function withLent<Result>(
  { token }: Context,
  object: Omit<ObjectSpec, 'label' | 'id'>,
  use: (lent: TokenObject) => Result,
): Result {
  const lent = token.lend({ ...object, label: 'derived', id: 'derived' })
  try {
    return use(lent)
  } finally {
    token.forget(lent)
  }
}
