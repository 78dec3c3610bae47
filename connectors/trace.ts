import type { FieldValue, Message } from '../iso8583/iso8583.ts'

/**
 * What an answer says of itself that later messages of the same transaction must repeat: a transaction identifier, the
 * network's own reference. By path, `63` or `62.2`; what did not come, or isn't text, is left out.
 */
export function traceOf(
  message: Message,
  paths: readonly string[],
): { readonly trace?: Readonly<Record<string, string>> } {
  const found = paths.flatMap((path) => {
    const [de, part] = path.split('.')
    const value = message.reveal(Number(de))
    const named = part === undefined ? value : partOf(value, part)
    return typeof named === 'string' ? [[path, named] as const] : []
  })
  return found.length === 0 ? {} : { trace: Object.fromEntries(found) }
}

/** The same as elements of a message to come. */
export function elementsOf(
  trace: Readonly<Record<string, string>> | undefined,
): Readonly<Record<number, FieldValue>> {
  const elements: Record<number, FieldValue> = {}
  for (const [path, value] of Object.entries(trace ?? {})) {
    const [de, part] = path.split('.')
    if (part === undefined) elements[Number(de)] = value
    else elements[Number(de)] = { ...(elements[Number(de)] as object | undefined), [part]: value }
  }
  return elements
}

function partOf(value: FieldValue | undefined, part: string): FieldValue | undefined {
  if (typeof value !== 'object' || value instanceof Uint8Array) return undefined
  return value[part]
}
