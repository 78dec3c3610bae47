import { strict as assert } from 'node:assert'
import type { RowKind, SqlValue, Unit } from './contract.ts'

/** A row kind made ready: its statements over one array a column, and which of a row's values claim. */
export interface CompiledKind {
  readonly name: string
  readonly columns: number
  readonly guard: string | undefined
  readonly write: string
  readonly claims: readonly { readonly name: string; readonly index: number }[]
}

export type RowKinds = ReadonlyMap<string, CompiledKind>

/** A kind that makes no sense is a bug of the room that registers it: asserts. */
export function compileKinds(kinds: readonly RowKind[]): RowKinds {
  const compiled = new Map<string, CompiledKind>()
  for (const kind of kinds) {
    assert.ok(!compiled.has(kind.name), `row kind ${kind.name} is registered twice`)
    compiled.set(kind.name, compileKind(kind))
  }
  return compiled
}

function compileKind(kind: RowKind): CompiledKind {
  assert.match(kind.name, /^[A-Za-z][\w.-]*$/, 'a row kind has a plain name')
  assert.ok(kind.columns.length > 0, `row kind ${kind.name} has no columns`)
  const names = kind.columns.map(([name]) => name)
  for (const name of names)
    assert.match(name, /^[a-z_][a-z0-9_]*$/, `a column of ${kind.name} has a plain name`)
  const arrays = kind.columns.map(([, type], index) => `$${index + 1}::${type}[]`)
  const given = `unnest(${arrays.join(', ')})`
  const input = `WITH input AS (SELECT * FROM ${given} WITH ORDINALITY AS given(${[...names, 'ordinal'].join(', ')}))`
  return {
    name: kind.name,
    columns: names.length,
    guard: kind.guard === undefined ? undefined : over(input, kind.guard),
    write:
      typeof kind.write === 'string'
        ? counted(kind.name, input, kind.write, arrays[0]!)
        : `INSERT INTO ${kind.write.into} SELECT ${kind.write.values} FROM ${given} AS input(${names.join(', ')})`,
    claims: (kind.claims ?? []).map((name) => {
      const index = names.indexOf(name)
      assert.notEqual(index, -1, `row kind ${kind.name} claims ${name}, which is not a column`)
      return { name, index }
    }),
  }
}

/** Its rows are counted by the server, so that the COMMIT need not wait for us to do so. */
function counted(name: string, input: string, write: string, column: string): string {
  assert.doesNotMatch(write, /\bRETURNING\b/i, `row kind ${name} returns rows, which nobody reads`)
  return `${input}, done AS (${write} RETURNING 1)
    SELECT ledger.expect('${name}', (SELECT count(*) FROM done), cardinality(${column}))`
}

/** A statement may have common table expressions of its own. */
function over(input: string, statement: string): string {
  const own = /^\s*WITH\s+/i.exec(statement)
  return own === null ? `${input} ${statement}` : `${input}, ${statement.slice(own[0].length)}`
}

/** What is wrong with the rows of a unit, in words for a log; undefined when nothing is. */
export function rowsFault(kinds: RowKinds, unit: Unit): string | undefined {
  for (const { kind, values } of unit.rows) {
    const known = kinds.get(kind)
    if (known === undefined) return `no row kind ${kind}`
    if (known.columns !== values.length) return `a row of ${kind} has ${values.length} values`
  }
  return undefined
}

/** The things a unit is about, each as one text. */
export function claimsOf(kinds: RowKinds, unit: Unit): string[] {
  const claims: string[] = []
  for (const { kind, values } of unit.rows) {
    const { claims: columns } = kinds.get(kind)!
    if (columns.length === 0) continue
    claims.push(columns.map(({ name, index }) => `${name}=${claimText(values[index]!)}`).join('\0'))
  }
  return claims
}

function claimText(value: SqlValue): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
}

/** The rows of one kind in a batch: an array a column, and whose each row is. */
export class RowArrays {
  readonly kind: CompiledKind
  readonly columns: SqlValue[][]
  /** By ordinal less one: the place in the batch of the unit that the row belongs to. */
  readonly owners: number[] = []

  constructor(kind: CompiledKind) {
    this.kind = kind
    this.columns = Array.from({ length: kind.columns }, () => [])
  }

  add(owner: number, values: readonly SqlValue[]): void {
    this.owners.push(owner)
    for (let index = 0; index < values.length; index++) this.columns[index]!.push(values[index]!)
  }
}

/** The rows of the units that `wanted` keeps, by kind, in the order of registration. */
export function gatherRows(
  kinds: RowKinds,
  units: readonly Unit[],
  wanted: (place: number) => boolean,
): RowArrays[] {
  const gathered = new Map<string, RowArrays>()
  for (const [name, kind] of kinds) gathered.set(name, new RowArrays(kind))
  for (const [place, unit] of units.entries()) {
    if (!wanted(place)) continue
    for (const row of unit.rows) gathered.get(row.kind)!.add(place, row.values)
  }
  return [...gathered.values()].filter((rows) => rows.owners.length > 0)
}
