import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { SimulatorError } from './fault.ts'

/**
 * A file that a person wrote, in YAML: read element by element, and every complaint names file, line and reason. Aliases
 * and tags are refused; numbers that are amounts or codes are read as the text they were written as.
 */
export class Place {
  readonly #file: string
  readonly #lines: LineCounter
  readonly #node: Node | null | undefined
  readonly #parent: Node | undefined

  private constructor(file: string, lines: LineCounter, node: Node | null | undefined, parent?: Node) {
    this.#file = file
    this.#lines = lines
    this.#node = node
    this.#parent = parent
  }

  /** `file` is only named. */
  static read(text: string, file: string): Place {
    const lines = new LineCounter()
    const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: '1.2' })
    const mistake = document.errors[0]
    if (mistake !== undefined) {
      const line = lines.linePos(mistake.pos[0]).line
      throw new SimulatorError({
        kind: 'document',
        file,
        line,
        why: mistake.message.split(/ at line|\n/)[0]!,
      })
    }
    return new Place(file, lines, document.contents)
  }

  get line(): number {
    const at = this.#node?.range?.[0] ?? this.#parent?.range?.[0] ?? 0
    return this.#lines.linePos(at).line
  }

  refuse(why: string): never {
    throw new SimulatorError({ kind: 'document', file: this.#file, line: this.line, why })
  }

  /** What stands under each name. A name that is not among `names` is refused. */
  fields<const Name extends string>(names: readonly Name[]): Partial<Record<Name, Place>> {
    const fields: Partial<Record<string, Place>> = {}
    for (const [name, place] of this.entries()) {
      if (!(names as readonly string[]).includes(name))
        place.refuse(`${name} is not known here; there are ${names.join(', ')}`)
      fields[name] = place
    }
    return fields
  }

  entries(): [name: string, Place][] {
    const node = this.#node
    if (!isMap<Node, Node | null>(node)) return this.refuse('names and values are needed')
    return node.items.map(({ key, value }) => {
      const name = isScalar(key) ? String(key.source ?? key.value) : this.refuse('a name is needed')
      return [name, new Place(this.#file, this.#lines, value, key)]
    })
  }

  items(): Place[] {
    const node = this.#node
    if (!isSeq<Node>(node)) return this.refuse('a list is needed')
    return node.items.map((item) => new Place(this.#file, this.#lines, item, node))
  }

  /** One, or a list of them. */
  oneOrMore(): Place[] {
    return isSeq(this.#node) ? this.items() : [this]
  }

  /** As it was written, without quotes. */
  text(form?: RegExp, wanted = 'text'): string {
    const node = this.#node
    if (!isScalar(node) || node.value === null) return this.refuse(`${wanted} is needed`)
    const text = node.source ?? JSON.stringify(node.value)
    return form === undefined || form.test(text) ? text : this.refuse(`${wanted} is needed`)
  }

  oneOf<const Name extends string>(names: readonly Name[]): Name {
    const text = this.text()
    return names.find((name) => name === text) ?? this.refuse(`one of ${names.join(', ')} is needed`)
  }

  number({ min, max }: { readonly min: number; readonly max: number }): number {
    const value = Number(this.text())
    return value >= min && value <= max ? value : this.refuse(`a number from ${min} to ${max} is needed`)
  }
}
