import type { Route } from '../../switch/switch.ts'

/** A row of the routing table as a file has it: amounts are minor units in digits. */
export type WrittenRoute = Written<Route>

type Written<T> = T extends bigint
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Written<Item>[]
    : T extends object
      ? { readonly [key in keyof T]: Written<T[key]> }
      : T

const amounts = new Set(['amountMinorMin', 'amountMinorMax', 'feeMinor'])

export function routeOf(written: WrittenRoute): Route {
  return readAmounts(written) as Route
}

function readAmounts(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readAmounts)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      amounts.has(key) ? BigInt(inner as string) : readAmounts(inner),
    ]),
  )
}
