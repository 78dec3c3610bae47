import type { FieldValue, Message } from './message.ts'
import { making, type Table } from './table.ts'

/** A message as JSON holds it: digits and text as they are, bytes as upper-case hexadecimal. */
export interface Dump {
  readonly mti: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** `clear` gives the values as they are: for the person at the keyboard who asked for it, never for a log. */
export function dump(message: Message, table: Table, clear: boolean): Dump {
  const fields: Record<string, unknown> = {}
  for (const de of message.elements) {
    const value = clear ? message.reveal(de) : message.get(de)
    if (value !== undefined) fields[de] = printable(table, de, value)
  }
  return { mti: message.mti, fields }
}

/** Amounts keep the zeros they have on the wire, so that a dump compares with other tools' dumps. */
export function printable(table: Table, row: number, value: FieldValue): unknown {
  if (typeof value === 'bigint') {
    return value.toString().padStart(table.making[row] === making.amount ? table.min[row]! : 0, '0')
  }
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return hexOf(value)
  const parts = table.parts[row]
  const node = table.nodes[table.nested[row]!]
  const out = Object.create(null) as Record<string, unknown>
  for (const [name, part] of Object.entries(value)) {
    const nth = parts?.names.indexOf(name) ?? -1
    if (nth >= 0)
      out[name] = typeof part === 'bigint' ? part.toString().padStart(parts!.sizes[nth]!, '0') : part
    else out[name] = printable(table, node?.rowOf(name) ?? 0, part)
  }
  return out
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex').toUpperCase()
}
