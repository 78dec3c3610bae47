import { type Dialect, dialect, extend } from './dialect.ts'
import { IsoCodecError } from './error.ts'
import { digits } from './fields.ts'
import { readField, readFields } from './load-field.ts'
import { charsetNames, isObject, type Json, Mistakes, pads } from './load-mistakes.ts'

/**
 * Reads a dialect from JSON: the same declaration, its formats in the words of a specification (`llvar n 19 pan`;
 * docs/dialects/README.md). `find` gives the dialects that a file may extend. Throws one `BAD_DIALECT` with every
 * mistake; what only `compile` can see is reported there.
 */
export function dialectFromJson(json: unknown, find: (name: string) => Dialect | undefined): Dialect {
  const mistakes = new Mistakes()
  const result = readDialect(mistakes, json, find)
  if (mistakes.all.length > 0 || result === undefined) {
    const name = isObject(json) && typeof json['name'] === 'string' ? json['name'] : '?'
    throw new IsoCodecError({ code: 'BAD_DIALECT', path: '', dialect: name, mistakes: mistakes.all })
  }
  return result
}

function readDialect(
  mistakes: Mistakes,
  json: unknown,
  find: (name: string) => Dialect | undefined,
): Dialect | undefined {
  if (!isObject(json)) return mistakes.wrong('file', 'is not a JSON object')
  mistakes.known(json, 'file', [
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
  if (typeof name !== 'string') return mistakes.wrong('name', 'is missing')
  if (!['string', 'undefined'].includes(typeof json['about'])) mistakes.wrong('about', 'is not text')
  if (!isObject(json['settings'] ?? {})) mistakes.wrong('settings', 'is not an object')
  if (!Array.isArray(json['notClaimed'] ?? [])) mistakes.wrong('notClaimed', 'is not a list')
  const fields = readFields(mistakes, json['fields'] ?? {}, 'fields')
  const changes = {
    name,
    fields,
    ...(typeof json['about'] === 'string' && { about: json['about'] }),
    ...(isObject(json['settings']) && { settings: readSettings(mistakes, json['settings']) }),
    ...(json['defaults'] !== undefined && { defaults: readDefaults(mistakes, json['defaults']) }),
    ...(json['mti'] !== undefined && { mti: readField(mistakes, json['mti'], 'mti') ?? digits(4) }),
    ...(json['bitmap'] !== undefined && { bitmap: readBitmap(mistakes, json['bitmap']) }),
    ...(json['version'] !== undefined && {
      version: mistakes.oneOf(version, 'version', ['1987', '1993', '2003']) as '1987',
    }),
    ...(json['fidelity'] !== undefined && {
      fidelity: mistakes.oneOf(json['fidelity'], 'fidelity', ['generic', 'illustrative']) as 'generic',
    }),
    ...(json['answers'] !== undefined && { answers: readAnswers(mistakes, json['answers']) }),
    ...(Array.isArray(json['notClaimed']) && { notClaimed: json['notClaimed'].map(String) }),
  }
  if (json['extends'] !== undefined) {
    const base = typeof json['extends'] === 'string' ? find(json['extends']) : undefined
    return base === undefined
      ? mistakes.wrong('extends', 'names no dialect that is known')
      : extend(base, changes)
  }
  for (const part of ['version', 'defaults', 'bitmap']) {
    if (json[part] === undefined) mistakes.wrong(part, 'is missing, and nothing is extended')
  }
  if (mistakes.all.length > 0) return undefined
  const present = Object.fromEntries(Object.entries(fields).filter(([, field]) => field.kind !== 'absent'))
  return dialect({ mti: digits(4), ...changes, fields: present } as unknown as Dialect)
}

function readDefaults(mistakes: Mistakes, json: unknown): Dialect['defaults'] {
  const given = isObject(json) ? json : {}
  mistakes.known(given, 'defaults', ['text', 'digits', 'len', 'bytes', 'odd'])
  return {
    text: mistakes.oneOf(given['text'], 'defaults.text', charsetNames) as 'ascii',
    digits: mistakes.oneOf(given['digits'], 'defaults.digits', [...charsetNames, 'bcd']) as 'bcd',
    len: mistakes.oneOf(given['len'], 'defaults.len', [...charsetNames, 'bcd', 'binary']) as 'bcd',
    bytes: mistakes.oneOf(given['bytes'], 'defaults.bytes', ['bytes', 'hex']) as 'bytes',
    ...(given['odd'] !== undefined && {
      odd: mistakes.oneOf(given['odd'], 'defaults.odd', pads) as 'left-0',
    }),
  }
}

function readBitmap(mistakes: Mistakes, json: unknown): Dialect['bitmap'] {
  const given = isObject(json) ? json : {}
  mistakes.known(given, 'bitmap', ['written', 'max'])
  const max = mistakes.number(given['max'], 'bitmap.max')
  if (max < 1 || max > 3) mistakes.wrong('bitmap.max', 'is not 1, 2 or 3')
  return {
    written: mistakes.oneOf(given['written'], 'bitmap.written', ['binary', 'hex']) as 'hex',
    max: max as 1,
  }
}

function readAnswers(mistakes: Mistakes, json: unknown): NonNullable<Dialect['answers']> {
  const { echo = [], mti = {} } = isObject(json) ? json : {}
  mistakes.known(isObject(json) ? json : {}, 'answers', ['echo', 'mti'])
  if (!Array.isArray(echo) || !echo.every((de) => Number.isInteger(de)))
    mistakes.wrong('answers.echo', 'is not a list of element numbers')
  if (!isObject(mti) || !Object.values(mti).every((to) => typeof to === 'string'))
    mistakes.wrong('answers.mti', 'is not an object of message types')
  return { echo: echo as number[], mti: mti as Record<string, string> }
}

function readSettings(mistakes: Mistakes, json: Json): NonNullable<Dialect['settings']> {
  const allowed = {
    trailing: ['refuse', 'allow'],
    emptyBitmap: ['accept', 'refuse'],
    emptyFields: ['refuse', 'write'],
  }
  mistakes.known(json, 'settings', Object.keys(allowed))
  const chosen = Object.entries(allowed).flatMap(([name, values]) =>
    json[name] === undefined ? [] : [[name, mistakes.oneOf(json[name], `settings.${name}`, values)]],
  )
  return Object.fromEntries(chosen) as NonNullable<Dialect['settings']>
}
