import {
  type Absent,
  absent,
  type Field,
  type FieldSpec,
  type PlainSpec,
  type Sensitivity,
  type TagTable,
} from './dialect.ts'
import { emvTags } from './dialects/emv-tags.ts'
import { readFormat, readLength } from './load-format.ts'
import { isObject, type Json, type Mistakes, sensitivities } from './load-mistakes.ts'

/** Elements by their numbers; null takes one away from what is extended. */
export function readFields(mistakes: Mistakes, json: unknown, path: string): Record<number, Field | Absent> {
  const out: Record<number, Field | Absent> = {}
  if (!isObject(json)) {
    mistakes.wrong(path, 'is not an object')
    return out
  }
  for (const [key, value] of Object.entries(json)) {
    if (!/^\d{1,3}$/.test(key)) mistakes.wrong(`${path}.${key}`, 'is not a number')
    else if (value === null) out[Number(key)] = absent
    else {
      const field = readField(mistakes, value, `${path}.${key}`)
      if (field !== undefined) out[Number(key)] = field
    }
  }
  return out
}

/** A format in one line, or an object with `format` or one kind of nested data. */
export function readField(mistakes: Mistakes, json: unknown, path: string): Field | undefined {
  if (typeof json === 'string') return readFormat(mistakes, json, path)
  if (!isObject(json)) return mistakes.wrong(path, 'is neither a format nor an object')
  mistakes.known(json, path, [
    'title',
    'format',
    'sensitive',
    'length',
    'positional',
    'optionalFrom',
    'tagged',
    'bertlv',
    'bitmapped',
    'datasets',
  ])
  const common = {
    ...(typeof json['title'] === 'string' && { title: json['title'] }),
    ...(json['sensitive'] !== undefined && {
      sensitive: mistakes.oneOf(json['sensitive'], `${path}.sensitive`, sensitivities) as Sensitivity,
    }),
    ...(typeof json['length'] === 'string' && {
      length: readLength(mistakes, json['length'].split(/\s+/), `${path}.length`),
    }),
  }
  if (typeof json['format'] === 'string') {
    const field = readFormat(mistakes, json['format'], path)
    return field && { ...field, ...common }
  }
  const nested = readNested(mistakes, json, path)
  return nested && { ...nested, ...common }
}

function readNested(mistakes: Mistakes, json: Json, path: string): FieldSpec | undefined {
  const { positional, tagged, bertlv, bitmapped, datasets } = json
  if (isObject(positional)) {
    const parts = Object.entries(positional).flatMap(([name, part]) => {
      const field = readField(mistakes, part, `${path}.${name}`)
      return field === undefined ? [] : [[name, field] as const]
    })
    const from = json['optionalFrom']
    return {
      kind: 'positional',
      parts: Object.fromEntries(parts),
      ...(typeof from === 'string' && { optionalFrom: from }),
    }
  }
  if (isObject(tagged)) return readTagged(mistakes, tagged, path)
  if (isObject(bertlv)) {
    mistakes.known(bertlv, path, ['tags', 'unknown', 'padding', 'max', 'written'])
    const { written, padding = 'refuse' } = bertlv
    return {
      kind: 'bertlv',
      sensitive: 'emv',
      tags: readTags(mistakes, bertlv['tags'] ?? 'emv', path),
      unknown: readUnknown(mistakes, bertlv, path),
      padding: mistakes.oneOf(padding, `${path}.padding`, ['refuse', 'zeros']) as 'refuse',
      max: mistakes.number(bertlv['max'], `${path}.max`),
      ...(written !== undefined && {
        written: mistakes.oneOf(written, `${path}.written`, ['bytes', 'hex']) as 'bytes',
      }),
    }
  }
  if (isObject(datasets)) {
    mistakes.known(datasets, path, ['tags', 'unknown', 'max'])
    return {
      kind: 'datasets',
      tags: readTags(mistakes, datasets['tags'] ?? {}, path),
      unknown: readUnknown(mistakes, datasets, path),
      max: mistakes.number(datasets['max'], `${path}.max`),
    }
  }
  if (isObject(bitmapped)) {
    mistakes.known(bitmapped, path, ['fields', 'written', 'bitmapBytes', 'max'])
    const fields = readFields(mistakes, bitmapped['fields'] ?? {}, path)
    for (const [bit, field] of Object.entries(fields))
      if (field.kind === 'absent') mistakes.wrong(`${path}.${bit}`, 'is null, and nothing is extended here')
    return {
      kind: 'bitmapped',
      bitmap: {
        written: mistakes.oneOf(bitmapped['written'] ?? 'binary', `${path}.written`, [
          'binary',
          'hex',
        ]) as 'hex',
        bytes: mistakes.number(bitmapped['bitmapBytes'], `${path}.bitmapBytes`),
      },
      fields: fields as Record<number, FieldSpec>,
      max: mistakes.number(bitmapped['max'], `${path}.max`),
    }
  }
  return mistakes.wrong(path, 'has neither a format nor nested data')
}

function readTagged(mistakes: Mistakes, json: Json, path: string): FieldSpec | undefined {
  const plain = (part: unknown, name: string): PlainSpec | undefined => {
    const field = typeof part === 'string' ? readFormat(mistakes, part, `${path}.${name}`) : undefined
    return field?.kind === 'plain' ? field : mistakes.wrong(`${path}.${name}`, 'is not a format')
  }
  mistakes.known(json, path, ['tag', 'len', 'content', 'tags', 'unknown', 'max'])
  const max = mistakes.number(json['max'], `${path}.max`)
  const tag = plain(json['tag'], 'tag')
  const content = plain(json['content'] ?? `ans ..${max}`, 'content')
  const inner =
    typeof json['len'] === 'string'
      ? readLength(mistakes, json['len'].split(/\s+/), `${path}.len`)
      : undefined
  if (inner === undefined) return mistakes.wrong(`${path}.len`, 'is missing')
  const tags = isObject(json['tags']) ? json['tags'] : {}
  const known = Object.entries(tags).flatMap(([name, part]) => {
    const field = plain(part, name)
    return field === undefined ? [] : [[name, field] as const]
  })
  if (tag === undefined || content === undefined) return undefined
  return {
    kind: 'tagged',
    tag,
    len: inner,
    content,
    tags: Object.fromEntries(known),
    unknown: readUnknown(mistakes, json, path),
    max,
  }
}

function readTags(mistakes: Mistakes, json: unknown, path: string): TagTable {
  if (json === 'emv') return emvTags
  if (!isObject(json)) {
    mistakes.wrong(path, 'has tags that are neither "emv" nor an object')
    return {}
  }
  return Object.fromEntries(
    Object.entries(json).map(([tag, known]) => [
      tag,
      {
        name: isObject(known) && typeof known['name'] === 'string' ? known['name'] : tag,
        open: isObject(known) && known['open'] === true,
      },
    ]),
  )
}

function readUnknown(mistakes: Mistakes, json: Json, path: string): 'keep' | 'refuse' {
  return mistakes.oneOf(json['unknown'] ?? 'keep', `${path}.unknown`, ['keep', 'refuse']) as 'keep'
}
