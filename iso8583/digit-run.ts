import type { EncodingProfile, FieldSpec, PlainSpec } from './dialect.ts'
import type { DigitParts } from './table.ts'
import { writingOf } from './writing.ts'

/** Digits beside digits are one run: packed, a part may begin in the middle of a byte. */
export function digitRun(
  spec: Extract<FieldSpec, { kind: 'positional' }>,
  defaults: EncodingProfile,
): { spec: PlainSpec; parts: DigitParts } | undefined {
  const parts = Object.entries(spec.parts)
  const first = parts[0]?.[1]
  if (first?.kind !== 'plain' || spec.optionalFrom !== undefined) return undefined
  const written = writingOf(first, defaults)
  let size = 0
  for (const [, part] of parts) {
    if (part.kind !== 'plain' || part.allowed !== 'n' || part.length !== undefined || part.trim !== undefined)
      return undefined
    if (part.min !== part.max || writingOf(part, defaults) !== written || part.refine !== undefined)
      return undefined
    size += part.max
  }
  const plain = parts.map(([, part]) => part as PlainSpec)
  return {
    spec: {
      kind: 'plain',
      allowed: 'n',
      value: 'text',
      written,
      min: size,
      max: size,
      ...(spec.length !== undefined && { length: spec.length }),
    },
    parts: {
      names: parts.map(([name]) => name),
      sizes: plain.map((part) => part.max),
      amounts: plain.map((part) => part.value === 'amount'),
      fills: plain.map((part) => part.fill === 'left-0'),
      sensitive: plain.map((part) => part.sensitive),
    },
  }
}
