/** What one set of rules says otherwise than another, for people to look at before and after. */
export interface RuleDifference {
  /** `timers.yaml destinations.knet.timeoutMs` */
  readonly where: string
  readonly before?: string
  readonly after?: string
}

export function diffRules(before: object, after: object): readonly RuleDifference[] {
  const differences: RuleDifference[] = []
  compare('', before, after, differences)
  return differences
}

function compare(where: string, before: unknown, after: unknown, into: RuleDifference[]): void {
  if (textOf(before) === textOf(after)) return
  if (!isNamed(before) || !isNamed(after)) {
    into.push({
      where,
      ...(before === undefined ? {} : { before: textOf(before) }),
      ...(after === undefined ? {} : { after: textOf(after) }),
    })
    return
  }
  const [old, fresh] = [entriesOf(before), entriesOf(after)]
  for (const name of new Set([...old.keys(), ...fresh.keys()])) {
    const place = where === '' ? name : where.endsWith('.yaml') ? `${where} ${name}` : `${where}.${name}`
    compare(place, old.get(name), fresh.get(name), into)
  }
}

function isNamed(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Items of a list go by what names them, so that one that is put in front does not change all behind it. */
function entriesOf(value: object): Map<string, unknown> {
  if (!Array.isArray(value)) return new Map(Object.entries(value))
  const entries = new Map<string, unknown>()
  for (const item of value as readonly unknown[]) {
    const name = nameOf(item)
    let unique = `[${name}]`
    for (let n = 2; entries.has(unique); n++) unique = `[${name} (${n})]`
    entries.set(unique, item)
  }
  return entries
}

const naming = ['low', 'high', 'priority', 'bin', 'kind', 'currency', 'destination'] as const

function nameOf(item: unknown): string {
  if (!isNamed(item)) return textOf(item)
  const names = naming.flatMap((name) => {
    const value: unknown = (item as Readonly<Record<string, unknown>>)[name]
    return typeof value === 'string' ? [value] : []
  })
  return names.length > 0 ? names.join(' ') : textOf(item)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value)
}
