import type { Alphabet } from './alphabet.ts'
import type { Field, LengthSpec, PlainSpec, Sensitivity } from './dialect.ts'
import { charsetNames, type Mistakes, pads, sensitivities } from './load-mistakes.ts'

const alphabets: readonly string[] = ['n', 'a', 'an', 'ans', 'z', 'x', 'h', 'any', 'b'] satisfies Alphabet[]
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

/** What the words of a length are called in a declaration. */
const lengthFields = new Map([
  ['len', 'written'],
  ['lenBytes', 'bytes'],
  ['counts', 'counts'],
])

/** `llvar n 19 pan`, `b 8 secret`, `n 12 amount`: [length] alphabet size [words]. */
export function readFormat(mistakes: Mistakes, text: string, path: string): (PlainSpec & Field) | undefined {
  const words = text.trim().split(/\s+/)
  const isVariable = /^l{1,6}var$/.test(words[0] ?? '')
  const [alphabet = '', size = '', ...rest] = isVariable ? words.slice(1) : words
  if (!alphabets.includes(alphabet)) return mistakes.wrong(path, `has no alphabet (${alphabets.join(', ')})`)
  const open = size.startsWith('..')
  const max = Number(open ? size.slice(2) : size)
  if (!/^(\.\.)?\d{1,6}$/.test(size)) return mistakes.wrong(path, 'has no size')
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
      spec = { ...spec, [name]: readWord(mistakes, wordsOfField, name, value, path) }
    else if (word === 'amount') spec = { ...spec, value: 'amount' }
    else if (sensitivities.includes(word)) spec = { ...spec, sensitive: word as Sensitivity }
    else mistakes.wrong(path, `has a word that is not known: ${word}`)
  }
  if (lengthWords.length > 0) spec = { ...spec, length: readLength(mistakes, lengthWords, path) }
  return spec
}

/** `lllvar len=binary lenBytes=1 counts=bytes`. */
export function readLength(mistakes: Mistakes, words: readonly string[], path: string): LengthSpec {
  const [prefix = '', ...rest] = words
  if (!/^l{1,6}var$/.test(prefix)) mistakes.wrong(path, 'has no length (lvar to llllllvar)')
  let spec: LengthSpec = { width: prefix.length - 3 }
  for (const word of rest) {
    const [name = '', value = ''] = word.split('=')
    const field = lengthFields.get(name)
    if (field === undefined) mistakes.wrong(path, `has a word that is not known: ${word}`)
    else spec = { ...spec, [field]: readWord(mistakes, wordsOfLength, name, value, path) }
  }
  return spec
}

function readWord(
  mistakes: Mistakes,
  table: typeof wordsOfField,
  name: string,
  value: string,
  path: string,
): string | number {
  const allowed = table[name]!
  if (allowed === 'number')
    return mistakes.number(/^\d{1,6}$/.test(value) ? Number(value) : undefined, `${path} ${name}`)
  return mistakes.oneOf(value, `${path} ${name}`, allowed)
}
