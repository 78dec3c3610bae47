import { sha256Of } from '../../kernel/digest.ts'
import { hasForm, mistakesOf } from '../../kernel/form.ts'
import { readDocument, type RuleDocument } from './document.ts'
import { type RuleFileName, ruleFileNames, ruleForms, type RuleTexts, type WrittenRules } from './files.ts'
import { compileRules } from './compile.ts'
import type { KnownToRules, Rules } from './rules.ts'

/** What a file of rules got wrong. Never with what stands there. */
export interface RuleMistake {
  readonly file: string
  readonly line: number
  /** `routes.0.low`; `file` where it is the whole. */
  readonly path: string
  readonly reason: string
}

export type ReadRules =
  | {
      readonly kind: 'sound'
      readonly rules: Omit<Rules, 'version'>
      readonly written: WrittenRules
      readonly hash: string
    }
  | { readonly kind: 'refused'; readonly mistakes: readonly RuleMistake[] }

/** All of the files, or none of them: every mistake is told, with its file, line and path. Pure. */
export function readRules(texts: RuleTexts, known: KnownToRules): ReadRules {
  const mistakes: RuleMistake[] = []
  const documents = new Map<string, RuleDocument>()
  const written: Partial<Record<RuleFileName, unknown>> = {}
  for (const file of Object.keys(texts)) {
    if (!(ruleFileNames as string[]).includes(file))
      mistakes.push({
        file,
        line: 1,
        path: 'file',
        reason: `no rules are called so; there are ${ruleFileNames.join(', ')}`,
      })
  }
  for (const file of ruleFileNames) {
    const document = documentOf(file, texts, mistakes)
    if (document === undefined) continue
    documents.set(file, document)
    written[file] = document.written
  }
  if (mistakes.length > 0 || !isWhole(written)) return { kind: 'refused', mistakes }
  const rules = compileRules(written, known, (file, path, reason) =>
    mistakes.push({ file, path, reason, line: documents.get(file)!.lineOf(path) }),
  )
  if (mistakes.length > 0) return { kind: 'refused', mistakes }
  return { kind: 'sound', rules, written, hash: hashOf(written) }
}

function documentOf(file: RuleFileName, texts: RuleTexts, mistakes: RuleMistake[]): RuleDocument | undefined {
  const text = texts[file]
  if (text === undefined) {
    mistakes.push({ file, line: 1, path: 'file', reason: 'is missing' })
    return undefined
  }
  const document = readDocument(text)
  if (document.kind === 'unreadable') {
    mistakes.push({ file, line: document.line, path: 'file', reason: document.reason })
    return undefined
  }
  const wrong = mistakesOf(ruleForms[file], document.written)
  for (const mistake of wrong) {
    const [, path = 'file', reason = mistake] = /^(\S+): (.*)$/.exec(mistake) ?? []
    mistakes.push({ file, line: document.lineOf(path), path, reason })
  }
  return wrong.length > 0 ? undefined : document
}

function isWhole(written: Partial<Record<RuleFileName, unknown>>): written is WrittenRules {
  return ruleFileNames.every((file) => hasForm(ruleForms[file], written[file]))
}

/** Of what is said, whatever the order in which names stand. */
function hashOf(written: WrittenRules): string {
  const inOrder = JSON.stringify(written, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  )
  return sha256Of(inOrder)
}

/** `stand-in.yaml:12: ranges.0.bin: 4 to 11 digits are needed` */
export function mistakeText({ file, line, path, reason }: RuleMistake): string {
  return `${file}:${line}: ${path}: ${reason}`
}
