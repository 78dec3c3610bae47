import { hexOf, printable } from './dump.ts'
import { isParts } from './field/nested.ts'
import { hidden, mask } from './mask.ts'
import type { FieldValue, Message, MessageBody } from './message.ts'
import { elementsMax, type Table } from './table.ts'

/**
 * A message in one masked line; the only way a message reaches a log. Whatever cannot be understood is hidden, and
 * nothing here throws: a line in a log is not worth a transaction.
 */
export function describe(table: Table, message: Message | MessageBody): string {
  try {
    const elements = 'fields' in message ? bodyElements(table, message) : messageElements(table, message)
    const mti = /^\d{4}$/.test(message.mti) ? message.mti : '????'
    return [mti, ...elements].join(' ')
  } catch {
    return '[message not describable]'
  }
}

function messageElements(table: Table, message: Message): string[] {
  return message.elements.map((de) => `${de}=${shown(printable(table, de, message.get(de) ?? ''))}`)
}

function bodyElements(table: Table, { fields }: MessageBody): string[] {
  return Object.keys(fields)
    .map(Number)
    .filter((de) => fields[de] !== undefined)
    .map((de) => `${Number.isInteger(de) ? de : '?'}=${shown(maskedOf(table, de, fields[de] as FieldValue))}`)
}

/** A clear value as its element's declaration lets it be shown. */
function maskedOf(table: Table, de: number, value: FieldValue): unknown {
  const isDeclared =
    de >= 1 && de <= elementsMax && (table.declared[(de - 1) >> 5]! & (0x80000000 >>> ((de - 1) & 31))) !== 0
  if (!isDeclared) return hidden('private')
  const sensitivity = table.sensitive[de]
  if (sensitivity !== undefined && sensitivity !== 'emv') return mask(sensitivity, value)
  return maskedParts(table, de, value)
}

function maskedParts(table: Table, row: number, value: FieldValue): unknown {
  const node = table.nodes[table.nested[row]!]
  if (node === undefined) {
    const parts = table.parts[row]
    if (!isParts(value)) return parts === undefined ? printable(table, row, value) : hidden('private')
    if (parts === undefined) return hidden('private')
    const entries = Object.entries(value).map(([name, part]) => {
      const nth = parts.names.indexOf(name)
      const sensitivity = nth < 0 ? 'private' : parts.sensitive[nth]
      return [name, sensitivity === undefined ? printable(table, 0, part) : mask(sensitivity, part)]
    })
    return Object.fromEntries(entries)
  }
  if (!isParts(value)) return hidden(table.sensitive[row] ?? 'private')
  const out = Object.create(null) as Record<string, unknown>
  for (const [name, part] of Object.entries(value)) {
    const inner = node.rowOf(name)
    const sensitivity = table.sensitive[inner]
    if (inner !== 0)
      out[name] = sensitivity === undefined ? maskedParts(table, inner, part) : mask(sensitivity, part)
    else if (isParts(part)) out[name] = hidden('private')
    else
      out[name] =
        node.mayShow(name) && part instanceof Uint8Array
          ? hexOf(part)
          : hidden(table.sensitive[row] ?? 'private')
  }
  return out
}

/** `400000******0002`, `{"type":"00"}` without what JSON needs and people don't. */
function shown(value: unknown): string {
  if (typeof value === 'string')
    return /[^\x21-\x7e]|=/.test(value) || value === '' ? JSON.stringify(value) : value
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([name, part]) => `${name}:${shown(part)}`)
      .join(' ')}}`
  }
  return String(value)
}
