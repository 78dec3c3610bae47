import { type Codec, tableOf } from './codec.ts'
import { DecodedMessage } from './decoded.ts'
import { type Dump, dump } from './dump.ts'
import { IsoCodecError } from './error.ts'
import type { FieldValue, Message, MessageBody } from './message.ts'
import { safeName } from './safe-name.ts'
import { elementsMax, making, type Table } from './table.ts'

/** The clear dump of a message, for a person who asked for it. Never for a log. */
export function revealJson(codec: Codec, message: Message): Dump {
  return dump(message, tableOf(codec), true)
}

/** The body whose encoding is the message again, byte for byte where it was regular. Clear values. */
export function bodyOf(message: Message): MessageBody {
  if (message instanceof DecodedMessage) return { mti: message.mti, fields: message.values() }
  const fields: Record<number, FieldValue> = {}
  for (const de of message.elements) fields[de] = message.reveal(de)!
  return { mti: message.mti, fields }
}

/**
 * Reads a body from JSON as `revealJson` writes it: amounts as digits or a number, bytes as hexadecimal, nested
 * data as an object or as the hexadecimal of all of it. Throws `IsoCodecError`.
 */
export function bodyFromJson(codec: Codec, json: unknown): MessageBody {
  const table = tableOf(codec)
  const wrong = (path: string): never => {
    throw new IsoCodecError({ code: 'VALUE_WRONG_TYPE', path, dialect: codec.name })
  }
  if (typeof json !== 'object' || json === null) return wrong('')
  const { mti, fields } = json as { mti?: unknown; fields?: unknown }
  if (mti === undefined || fields === undefined)
    throw new IsoCodecError({
      code: 'VALUE_MISSING',
      path: mti === undefined ? 'mti' : 'fields',
      dialect: codec.name,
    })
  if (typeof mti !== 'string') return wrong('mti')
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return wrong('fields')
  const out: Record<number, FieldValue> = {}
  for (const [key, value] of Object.entries(fields)) {
    const de = Number(key)
    if (!/^\d{1,3}$/.test(key) || de > elementsMax) {
      throw new IsoCodecError({
        code: 'FIELD_NOT_IN_SPEC',
        path: /^\d{1,6}$/.test(key) ? key : `fields.${safeName(key)}`,
        dialect: codec.name,
      })
    }
    out[de] = valueFrom(table, de, value, key, wrong)
  }
  return { mti, fields: out }
}

function valueFrom(
  table: Table,
  row: number,
  json: unknown,
  path: string,
  wrong: (path: string) => never,
): FieldValue {
  const kind = table.making[row]!
  switch (kind) {
    case making.amount:
      return amountFrom(json, path, wrong)
    case making.bytes:
    case making.hex:
      return hexFrom(json, path, wrong)
    case making.nested: {
      if (typeof json === 'string') return hexFrom(json, path, wrong)
      const node = table.nodes[table.nested[row]!]!
      return partsFrom(json, path, wrong, (name, part, inner) => {
        const partRow = node.rowOf(name)
        return partRow === 0 ? tagFrom(part, inner, wrong) : valueFrom(table, partRow, part, inner, wrong)
      })
    }
    case making.parts: {
      if (typeof json === 'string') return json
      const { names, amounts } = table.parts[row]!
      return partsFrom(json, path, wrong, (name, part, inner) => {
        if (amounts[names.indexOf(name)] === true) return amountFrom(part, inner, wrong)
        return typeof part === 'string' ? part : wrong(inner)
      })
    }
    default:
      return typeof json === 'string' ? json : wrong(path)
  }
}

/** Tags are bytes, or tags again. */
function tagFrom(json: unknown, path: string, wrong: (path: string) => never): FieldValue {
  if (typeof json === 'string') return hexFrom(json, path, wrong)
  return partsFrom(json, path, wrong, (_name, part, inner) => tagFrom(part, inner, wrong))
}

function partsFrom(
  json: unknown,
  path: string,
  wrong: (path: string) => never,
  read: (name: string, part: unknown, path: string) => FieldValue,
): FieldValue {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return wrong(path)
  const out = Object.create(null) as Record<string, FieldValue>
  for (const [name, part] of Object.entries(json)) {
    out[name] = read(name, part, `${path}.${safeName(name)}`)
  }
  return out
}

function amountFrom(json: unknown, path: string, wrong: (path: string) => never): bigint {
  if (typeof json === 'string' && /^\d{1,30}$/.test(json)) return BigInt(json)
  return typeof json === 'number' && Number.isSafeInteger(json) && json >= 0 ? BigInt(json) : wrong(path)
}

function hexFrom(json: unknown, path: string, wrong: (path: string) => never): Uint8Array {
  if (typeof json !== 'string' || !/^([0-9A-Fa-f]{2})*$/.test(json)) return wrong(path)
  return new Uint8Array(Buffer.from(json, 'hex'))
}
