import type { Alphabet } from './alphabet.ts'
import {
  type Absent,
  absent,
  type Dialect,
  dialect,
  extend,
  type Field,
  type FieldSpec,
  type LengthSpec,
  type PlainSpec,
  type Sensitivity,
  type TagTable,
} from './dialect.ts'
import { emvTags } from './dialects/emv-tags.ts'
import { IsoCodecError } from './error.ts'
import { digits } from './fields.ts'

/**
 * Reads a dialect from JSON: the same declaration, its formats in the words of a specification (`llvar n 19 pan`;
 * docs/dialects/README.md). `find` gives the dialects that a file may extend. Throws one `BAD_DIALECT` with every
 * mistake; what only `compile` can see is reported there.
 */
export function dialectFromJson(json: unknown, find: (name: string) => Dialect | undefined): Dialect {
  const reader = new Reader()
  const result = reader.dialect(json, find)
  if (reader.mistakes.length > 0 || result === undefined) {
    const name = isObject(json) && typeof json['name'] === 'string' ? json['name'] : '?'
    throw new IsoCodecError({ code: 'BAD_DIALECT', path: '', dialect: name, mistakes: reader.mistakes })
  }
  return result
}

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const alphabets: readonly string[] = ['n', 'a', 'an', 'ans', 'z', 'x', 'h', 'any', 'b'] satisfies Alphabet[]
const sensitivities: readonly string[] = ['pan', 'track', 'secret', 'emv', 'private'] satisfies Sensitivity[]
const charsetNames = ['ascii', 'ebcdic037', 'ebcdic500', 'ebcdic1047']
const pads = ['left-0', 'left-F', 'right-0', 'right-F']
const fills = ['left-space', 'right-space', 'left-0']

/** What may stand on the right of each `word=`. */
const wordsOfField: Readonly<Record<string, readonly string[] | 'number'>> = {
  written: [...charsetNames, 'text', 'bcd', 'nibbles', 'bytes', 'hex'],
  odd: pads,
  fill: fills,
  trim: fills,
  min: 'number',
}
const wordsOfLength: Readonly<Record<string, readonly string[] | 'number'>> = {
  len: [...charsetNames, 'bcd', 'binary'],
  lenBytes: 'number',
  counts: ['digits', 'characters', 'bytes'],
}

class Reader {
  readonly mistakes: string[] = []

  dialect(json: unknown, find: (name: string) => Dialect | undefined): Dialect | undefined {
    if (!isObject(json)) return this.#wrong('file', 'is not a JSON object')
    this.#known(json, 'file', [
      'name',
      'version',
      'about',
      'extends',
      'defaults',
      'mti',
      'bitmap',
      'settings',
      'fidelity',
      'notClaimed',
      'answers',
      'fields',
    ])
    const { name, version } = json
    if (typeof name !== 'string') return this.#wrong('name', 'is missing')
    const fields = this.#fields(json['fields'] ?? {}, 'fields')
    const changes = {
      name,
      fields,
      ...(typeof json['about'] === 'string' && { about: json['about'] }),
      ...(isObject(json['settings']) && { settings: this.#settings(json['settings']) }),
      ...(json['defaults'] !== undefined && { defaults: this.#defaults(json['defaults']) }),
      ...(json['mti'] !== undefined && { mti: this.field(json['mti'], 'mti') ?? digits(4) }),
      ...(json['bitmap'] !== undefined && { bitmap: this.#bitmap(json['bitmap']) }),
      ...(json['version'] !== undefined && {
        version: this.#oneOf(version, 'version', ['1987', '1993', '2003']) as '1987',
      }),
      ...(json['fidelity'] !== undefined && {
        fidelity: this.#oneOf(json['fidelity'], 'fidelity', ['generic', 'illustrative']) as 'generic',
      }),
      ...(json['answers'] !== undefined && { answers: this.#answers(json['answers']) }),
      ...(Array.isArray(json['notClaimed']) && { notClaimed: json['notClaimed'].map(String) }),
    }
    if (json['extends'] !== undefined) {
      const base = typeof json['extends'] === 'string' ? find(json['extends']) : undefined
      return base === undefined
        ? this.#wrong('extends', 'names no dialect that is known')
        : extend(base, changes)
    }
    for (const part of ['version', 'defaults', 'bitmap']) {
      if (json[part] === undefined) this.#wrong(part, 'is missing, and nothing is extended')
    }
    if (this.mistakes.length > 0) return undefined
    const present = Object.fromEntries(Object.entries(fields).filter(([, field]) => field.kind !== 'absent'))
    return dialect({ mti: digits(4), ...changes, fields: present } as unknown as Dialect)
  }

  #fields(json: unknown, path: string): Record<number, Field | Absent> {
    const out: Record<number, Field | Absent> = {}
    if (!isObject(json)) {
      this.#wrong(path, 'is not an object')
      return out
    }
    for (const [key, value] of Object.entries(json)) {
      if (!/^\d{1,3}$/.test(key)) this.#wrong(`${path}.${key}`, 'is not a number')
      else if (value === null) out[Number(key)] = absent
      else {
        const field = this.field(value, `${path}.${key}`)
        if (field !== undefined) out[Number(key)] = field
      }
    }
    return out
  }

  /** A format in one line, or an object with `format` or one kind of nested data. */
  field(json: unknown, path: string): Field | undefined {
    if (typeof json === 'string') return this.#format(json, path)
    if (!isObject(json)) return this.#wrong(path, 'is neither a format nor an object')
    this.#known(json, path, [
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
        sensitive: this.#oneOf(json['sensitive'], `${path}.sensitive`, sensitivities) as Sensitivity,
      }),
      ...(typeof json['length'] === 'string' && {
        length: this.#length(json['length'].split(/\s+/), `${path}.length`),
      }),
    }
    if (typeof json['format'] === 'string') {
      const field = this.#format(json['format'], path)
      return field && { ...field, ...common }
    }
    const nested = this.#nested(json, path)
    return nested && { ...nested, ...common }
  }

  #nested(json: Json, path: string): FieldSpec | undefined {
    const { positional, tagged, bertlv, bitmapped, datasets } = json
    if (isObject(positional)) {
      const parts = Object.entries(positional).flatMap(([name, part]) => {
        const field = this.field(part, `${path}.${name}`)
        return field === undefined ? [] : [[name, field] as const]
      })
      const from = json['optionalFrom']
      return {
        kind: 'positional',
        parts: Object.fromEntries(parts),
        ...(typeof from === 'string' && { optionalFrom: from }),
      }
    }
    if (isObject(tagged)) return this.#tagged(tagged, path)
    if (isObject(bertlv)) {
      const written = bertlv['written']
      return {
        kind: 'bertlv',
        sensitive: 'emv',
        tags: this.#tags(bertlv['tags'] ?? 'emv', path),
        unknown: this.#unknown(bertlv, path),
        padding: bertlv['padding'] === 'zeros' ? 'zeros' : 'refuse',
        max: this.#number(bertlv['max'], `${path}.max`),
        ...((written === 'bytes' || written === 'hex') && { written }),
      }
    }
    if (isObject(datasets)) {
      return {
        kind: 'datasets',
        tags: this.#tags(datasets['tags'] ?? {}, path),
        unknown: this.#unknown(datasets, path),
        max: this.#number(datasets['max'], `${path}.max`),
      }
    }
    if (isObject(bitmapped)) {
      const fields = this.#fields(bitmapped['fields'] ?? {}, path)
      return {
        kind: 'bitmapped',
        bitmap: {
          written: bitmapped['written'] === 'hex' ? 'hex' : 'binary',
          bytes: this.#number(bitmapped['bitmapBytes'], `${path}.bitmapBytes`),
        },
        fields: fields as Record<number, FieldSpec>,
        max: this.#number(bitmapped['max'], `${path}.max`),
      }
    }
    return this.#wrong(path, 'has neither a format nor nested data')
  }

  #tagged(json: Json, path: string): FieldSpec | undefined {
    const plain = (part: unknown, name: string): PlainSpec | undefined => {
      const field = typeof part === 'string' ? this.#format(part, `${path}.${name}`) : undefined
      return field?.kind === 'plain' ? field : this.#wrong(`${path}.${name}`, 'is not a format')
    }
    const max = this.#number(json['max'], `${path}.max`)
    const tag = plain(json['tag'], 'tag')
    const content = plain(json['content'] ?? `ans ..${max}`, 'content')
    const inner =
      typeof json['len'] === 'string' ? this.#length(json['len'].split(/\s+/), `${path}.len`) : undefined
    if (inner === undefined) return this.#wrong(`${path}.len`, 'is missing')
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
      unknown: this.#unknown(json, path),
      max,
    }
  }

  /** `llvar n 19 pan`, `b 8 secret`, `n 12 amount`: [length] alphabet size [words]. */
  #format(text: string, path: string): (PlainSpec & Field) | undefined {
    const words = text.trim().split(/\s+/)
    const isVariable = /^l{1,6}var$/.test(words[0] ?? '')
    const [alphabet = '', size = '', ...rest] = isVariable ? words.slice(1) : words
    if (!alphabets.includes(alphabet)) return this.#wrong(path, `has no alphabet (${alphabets.join(', ')})`)
    const open = size.startsWith('..')
    const max = Number(open ? size.slice(2) : size)
    if (!/^(\.\.)?\d{1,6}$/.test(size)) return this.#wrong(path, 'has no size')
    let spec: PlainSpec = {
      kind: 'plain',
      allowed: alphabet as Alphabet,
      value: alphabet === 'b' ? 'bytes' : 'text',
      min: isVariable || open ? 0 : max,
      max,
    }
    const lengthWords = isVariable ? [words[0]!] : []
    for (const word of rest) {
      const [name = '', value = ''] = word.split('=')
      if (Object.hasOwn(wordsOfLength, name)) lengthWords.push(word)
      else if (Object.hasOwn(wordsOfField, name))
        spec = { ...spec, [name]: this.#word(wordsOfField, name, value, path) }
      else if (word === 'amount') spec = { ...spec, value: 'amount' }
      else if (sensitivities.includes(word)) spec = { ...spec, sensitive: word as Sensitivity }
      else this.#wrong(path, `has a word that is not known: ${word}`)
    }
    if (lengthWords.length > 0) spec = { ...spec, length: this.#length(lengthWords, path) }
    return spec
  }

  /** `lllvar len=binary lenBytes=1 counts=bytes`. */
  #length(words: readonly string[], path: string): LengthSpec {
    const [prefix = '', ...rest] = words
    if (!/^l{1,6}var$/.test(prefix)) this.#wrong(path, 'has no length (lvar to llllllvar)')
    let spec: LengthSpec = { width: prefix.length - 3 }
    for (const word of rest) {
      const [name = '', value = ''] = word.split('=')
      const field = { len: 'written', lenBytes: 'bytes', counts: 'counts' }[name]
      if (field === undefined) this.#wrong(path, `has a word that is not known: ${word}`)
      else spec = { ...spec, [field]: this.#word(wordsOfLength, name, value, path) }
    }
    return spec
  }

  #word(table: typeof wordsOfField, name: string, value: string, path: string): string | number {
    const allowed = table[name]!
    if (allowed === 'number')
      return this.#number(/^\d{1,6}$/.test(value) ? Number(value) : undefined, `${path} ${name}`)
    return this.#oneOf(value, `${path} ${name}`, allowed)
  }

  #tags(json: unknown, path: string): TagTable {
    if (json === 'emv') return emvTags
    if (!isObject(json)) {
      this.#wrong(path, 'has tags that are neither "emv" nor an object')
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

  #defaults(json: unknown): Dialect['defaults'] {
    const given = isObject(json) ? json : {}
    this.#known(given, 'defaults', ['text', 'digits', 'len', 'bytes', 'odd'])
    return {
      text: this.#oneOf(given['text'], 'defaults.text', charsetNames) as 'ascii',
      digits: this.#oneOf(given['digits'], 'defaults.digits', [...charsetNames, 'bcd']) as 'bcd',
      len: this.#oneOf(given['len'], 'defaults.len', [...charsetNames, 'bcd', 'binary']) as 'bcd',
      bytes: this.#oneOf(given['bytes'], 'defaults.bytes', ['bytes', 'hex']) as 'bytes',
      ...(given['odd'] !== undefined && { odd: this.#oneOf(given['odd'], 'defaults.odd', pads) as 'left-0' }),
    }
  }

  #bitmap(json: unknown): Dialect['bitmap'] {
    const given = isObject(json) ? json : {}
    this.#known(given, 'bitmap', ['written', 'max'])
    const max = this.#number(given['max'], 'bitmap.max')
    if (max < 1 || max > 3) this.#wrong('bitmap.max', 'is not 1, 2 or 3')
    return {
      written: this.#oneOf(given['written'], 'bitmap.written', ['binary', 'hex']) as 'hex',
      max: max as 1,
    }
  }

  #answers(json: unknown): NonNullable<Dialect['answers']> {
    const { echo = [], mti = {} } = isObject(json) ? json : {}
    this.#known(isObject(json) ? json : {}, 'answers', ['echo', 'mti'])
    if (!Array.isArray(echo) || !echo.every((de) => Number.isInteger(de)))
      this.#wrong('answers.echo', 'is not a list of element numbers')
    if (!isObject(mti) || !Object.values(mti).every((to) => typeof to === 'string'))
      this.#wrong('answers.mti', 'is not an object of message types')
    return { echo: echo as number[], mti: mti as Record<string, string> }
  }

  #settings(json: Json): NonNullable<Dialect['settings']> {
    const allowed = {
      trailing: ['refuse', 'allow'],
      emptyBitmap: ['accept', 'refuse'],
      emptyFields: ['refuse', 'write'],
    }
    this.#known(json, 'settings', Object.keys(allowed))
    const chosen = Object.entries(allowed).flatMap(([name, values]) =>
      json[name] === undefined ? [] : [[name, this.#oneOf(json[name], `settings.${name}`, values)]],
    )
    return Object.fromEntries(chosen) as NonNullable<Dialect['settings']>
  }

  #unknown(json: Json, path: string): 'keep' | 'refuse' {
    return this.#oneOf(json['unknown'] ?? 'keep', `${path}.unknown`, ['keep', 'refuse']) as 'keep'
  }

  #oneOf(value: unknown, path: string, allowed: readonly string[]): string {
    if (typeof value === 'string' && allowed.includes(value)) return value
    this.#wrong(path, `is not one of ${allowed.join(', ')}`)
    return allowed[0]!
  }

  #number(value: unknown, path: string): number {
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 1e6) return value
    this.#wrong(path, 'is not a number above 0')
    return 1
  }

  #known(json: Json, path: string, names: readonly string[]): void {
    for (const name of Object.keys(json)) {
      if (!names.includes(name)) this.#wrong(`${path}.${name}`, 'is not known')
    }
  }

  #wrong(path: string, what: string): undefined {
    this.mistakes.push(`${path} ${what}`)
    return undefined
  }
}
