import { isNode, LineCounter, parseDocument } from 'yaml'

/** A file of rules that a person wrote: names, lists and texts. */
export type Written = string | readonly Written[] | { readonly [name: string]: Written }

export interface RuleDocument {
  readonly written: unknown
  /** The line of what stands at a path such as `routes.0.low`, or of what it would stand in. */
  lineOf(path: string): number
}

export type ReadDocument =
  | ({ readonly kind: 'read' } & RuleDocument)
  | { readonly kind: 'unreadable'; readonly line: number; readonly reason: string }

/**
 * YAML in which everything that is no list and no name is a text: a code such as 05 and the digits of a card keep their
 * zeros, and an amount never is a floating-point number. Aliases and tags are refused.
 */
export function readDocument(text: string): ReadDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    schema: 'failsafe',
    uniqueKeys: true,
    version: '1.2',
  })
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line)
  const mistake = document.errors[0] ?? document.warnings[0]
  if (mistake !== undefined) {
    // The rest of what the parser says may quote the file.
    const reason = mistake.message.split(/ at line|\n/)[0]!.replace(/:.*$/, '')
    return { kind: 'unreadable', line: lineAt(mistake.pos[0]), reason }
  }
  let written: unknown
  try {
    written = document.toJS({ maxAliasCount: 0 }) as unknown
  } catch {
    return { kind: 'unreadable', line: 1, reason: 'aliases are not taken here' }
  }
  return {
    kind: 'read',
    written,
    lineOf(path) {
      const parts = path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
      for (let length = parts.length; length > 0; length--) {
        const node = at(document, parts.slice(0, length))
        if (node?.range) return lineAt(node.range[0])
      }
      return 1
    },
  }
}

function at(document: ReturnType<typeof parseDocument>, path: readonly (string | number)[]) {
  const node: unknown = document.getIn(path, true) ?? document.getIn(path.map(String), true)
  return isNode(node) ? node : undefined
}
