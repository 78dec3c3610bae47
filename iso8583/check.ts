import { checkField, type Say } from './check-field.ts'
import type { Dialect, FieldSpec, Sensitivity } from './dialect.ts'
import { isRequest } from './answer.ts'
import { elementsMax } from './table.ts'

/** What an element is in every year of the standard, so that no dialect can forget to hide it. */
const mustHide: Readonly<Record<number, readonly Sensitivity[]>> = {
  2: ['pan', 'secret', 'private'],
  34: ['pan', 'secret', 'private', 'track', 'emv'],
  35: ['track', 'secret'],
  36: ['track', 'secret'],
  45: ['track', 'secret'],
  48: ['private', 'secret'],
  52: ['secret'],
  55: ['emv', 'secret', 'private'],
  127: ['private', 'secret'],
}

/** Everything that is wrong with a declaration, each as one sentence. */
export function faultsOf(dialect: Dialect): string[] {
  const faults: string[] = []
  const say: Say = (path, what) => void faults.push(`${path} ${what}`)
  if (!/^[a-z0-9][a-z0-9-]*$/.test(dialect.name)) say('name', 'is lower-case letters, digits and hyphens')
  if (dialect.mti.kind !== 'plain' || dialect.mti.min !== 4 || dialect.mti.max !== 4 || dialect.mti.length) {
    say('mti', 'is four digits')
  }
  if (![1, 2, 3].includes(dialect.bitmap.max)) say('bitmap', 'is one of up to three')
  if (dialect.fidelity === 'illustrative' && (dialect.notClaimed ?? []).length === 0)
    say('notClaimed', 'must say what an illustrative dialect does not know')
  checkAnswers(dialect, say)
  for (const [key, field] of Object.entries(dialect.fields)) {
    const de = Number(key)
    const path = `DE${key}`
    if (!Number.isInteger(de) || de < 2 || de > elementsMax) {
      say(path, `is not the number of an element (2 to ${elementsMax})`)
      continue
    }
    if (de > dialect.bitmap.max * 64) say(path, `is beyond the ${dialect.bitmap.max} bitmaps`)
    if ((de === 65 && dialect.bitmap.max === 3) || de === 129) say(path, 'is the place of a further bitmap')
    const hides = mustHide[de]
    if (
      hides !== undefined &&
      (field.sensitive === undefined || !hides.includes(field.sensitive)) &&
      !hidesInside(de, field)
    ) {
      say(path, `must be declared sensitive (${hides.join(' or ')})`)
    }
    checkField(field, path, dialect, say)
  }
  return faults
}

/** Data of two parties' own may be masked part by part: what a nested declaration doesn't know, it hides. */
function hidesInside(de: number, field: FieldSpec): boolean {
  if (field.kind === 'datasets') return true
  return (de === 48 || de === 55 || de === 127) && field.kind !== 'plain'
}

/** Whether requests can be answered by the dialect's own rule without telling what nobody asked for. */
function checkAnswers({ answers, fields }: Dialect, say: Say): void {
  for (const [request, answer] of Object.entries(answers?.mti ?? {})) {
    const path = `answers.mti.${request}`
    if (!isMti(request) || !isMti(answer)) say(path, 'is not a message type and its answer')
    else if (!isRequest(request) || isRequest(answer)) say(path, 'does not answer a request with a response')
  }
  const seen = new Set<number>()
  for (const de of answers?.echo ?? []) {
    const field = fields[de]
    if (seen.has(de)) say(`answers.echo DE${de}`, 'is there twice')
    seen.add(de)
    // An element that a derived dialect took away cannot come, and so does no harm.
    if (!Number.isInteger(de) || de < 2 || de > elementsMax)
      say(`answers.echo DE${de}`, `is not the number of an element (2 to ${elementsMax})`)
    else if (field?.sensitive === 'secret' || field?.sensitive === 'track')
      say(`answers.echo DE${de}`, 'must not travel back')
  }
}

const isMti = (mti: string): boolean => /^\d{4}$/.test(mti)
