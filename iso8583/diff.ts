import { type Codec, tableOf } from './codec.ts'
import { dump } from './dump.ts'
import type { Message } from './message.ts'

export interface Difference {
  readonly path: string
  /** Masked; absent where the message doesn't have it. */
  readonly left?: unknown
  readonly right?: unknown
}

/** Where two messages of one dialect differ. Clear values are compared, masked ones are told. */
export function diff(codec: Codec, left: Message, right: Message): readonly Difference[] {
  const table = tableOf(codec)
  const clear = [dump(left, table, true), dump(right, table, true)] as const
  const masked = [dump(left, table, false), dump(right, table, false)] as const
  const out: Difference[] = []
  if (left.mti !== right.mti) out.push({ path: 'mti', left: left.mti, right: right.mti })
  compare(clear[0].fields, clear[1].fields, masked[0].fields, masked[1].fields, '', out)
  return out
}

type Parts = Readonly<Record<string, unknown>>

function compare(
  left: Parts,
  right: Parts,
  leftMasked: Parts,
  rightMasked: Parts,
  path: string,
  out: Difference[],
): void {
  for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const [a, b] = [left[name], right[name]]
    if (isParts(a) && isParts(b) && isParts(leftMasked[name]) && isParts(rightMasked[name])) {
      compare(a, b, leftMasked[name], rightMasked[name], `${path}${name}.`, out)
    } else if (JSON.stringify(a) !== JSON.stringify(b)) {
      out.push({
        path: `${path}${name}`,
        ...(a !== undefined && { left: leftMasked[name] }),
        ...(b !== undefined && { right: rightMasked[name] }),
      })
    }
  }
}

function isParts(value: unknown): value is Parts {
  return typeof value === 'object' && value !== null
}
