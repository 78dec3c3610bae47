import { createHash, createPublicKey, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { DatabaseClient } from '../kernel/database.ts'
import { KeyTable } from './key-table.ts'
import type { Token } from './token.ts'

/** Signs the record of every act. Its private half never leaves the token it was made in. */
export const auditKey = 'sign.audit.both'

/** What was done to a key, and by whom; its clear text is what is signed. */
export interface KeyAct {
  readonly act: string
  readonly ref: string
  readonly version: number
  readonly kcv: string
  readonly by: string
  readonly witness: string
  readonly graceSeconds?: number
}

/** As it is on record: with its place among the others. */
export interface RecordedAct extends KeyAct {
  /** RFC 3339, UTC. */
  readonly at: string
  /** From 1; undefined for those from before acts were chained. */
  readonly number?: number
}

/** The acts in order, and whether they are all there and as they were signed. */
export interface KeyActs {
  readonly acts: readonly RecordedAct[]
  /** `NUMBER:HASH` of the last one, to be kept elsewhere: a later one that does not lead back to it was made anew. */
  readonly last: string | undefined
  /** What is wrong first, for people; undefined when nothing is. */
  readonly fault: string | undefined
}

interface Row {
  readonly record: string
  readonly signature: Buffer
}

/** Any number that nobody else takes: whoever writes acts waits for the one who does. */
const turn = 7_246_117_003

/**
 * Signs the record, and chains it to the one before (hash of its text and its signature), so that none can be changed,
 * taken away or put between others unseen. To be called within a transaction.
 */
export async function writeAct(token: Token, database: DatabaseClient, act: KeyAct): Promise<void> {
  await database.query('SELECT pg_advisory_xact_lock($1)', [turn])
  const { rows } = await database.query<Row & { readonly count: bigint }>(
    `SELECT record, signature, (SELECT count(*) FROM vault.key_act) AS count
       FROM vault.key_act ORDER BY id DESC LIMIT 1`,
  )
  const before = rows[0]
  const record = JSON.stringify({
    ...{ ...act, at: new Date().toISOString() },
    ...{ number: Number(before?.count ?? 0n) + 1, after: hashOf(before) },
  })
  const signature = Buffer.alloc(64)
  const { object } = new KeyTable(token.objects()).active(auditKey, ['S0'], ['S'])
  token.sign({ object, mechanism: 'ecdsa', data: Buffer.from(record, 'utf8'), output: signature })
  await database.query('INSERT INTO vault.key_act (record, signature) VALUES ($1, $2)', [record, signature])
}

/** Reads them all and checks signatures and chain; against `known`, what `last` was at an earlier time. */
export async function readActs(token: Token, database: DatabaseClient, known?: string): Promise<KeyActs> {
  const { rows } = await database.query<Row>('SELECT record, signature FROM vault.key_act ORDER BY id')
  const keys = publicKeysOf(token)
  const acts: RecordedAct[] = []
  let before: Row | undefined
  let fault: string | undefined
  let isKnown = known === undefined || known === nameOf(0, undefined)
  for (const [index, row] of rows.entries()) {
    const number = index + 1
    const follows = hashOf(before)
    before = row
    isKnown ||= known === nameOf(number, row)
    // What nobody signed may be anything, and is no act.
    if (!keys.some((key) => isSigned(row, key))) {
      fault ??= `act ${number} is not as it was signed`
      continue
    }
    const { after, ...act } = JSON.parse(row.record) as RecordedAct & { readonly after?: string }
    const chained = acts.at(-1)?.number !== undefined
    // The first ones may be from before there was a chain; none that comes after a chained one is.
    if (act.number === undefined ? chained : act.number !== number || after !== follows)
      fault ??= `act ${number} does not follow the one before it: something was taken away or put between`
    acts.push(act)
  }
  if (!isKnown) fault ??= `there is no act ${known}: the last ones were taken away, or all made anew`
  return { acts, last: before === undefined ? undefined : nameOf(rows.length, before), fault }
}

function hashOf(row: Row | undefined): string {
  if (row === undefined) return '0'.repeat(64)
  return createHash('sha256').update(row.record, 'utf8').update(row.signature).digest('hex')
}

function nameOf(number: number, row: Row | undefined): string {
  return `${number}:${hashOf(row)}`
}

/** Of all versions that the token has: what was signed before a rotation stays signed. */
function publicKeysOf(token: Token): KeyObject[] {
  const table = new KeyTable(token.objects())
  const versions = table.names().filter(({ ref }) => ref === auditKey)
  return versions.map(({ ref, version }) => {
    const point = token.publicPoint(table.version(ref, version)!.object)
    const jwk = { x: point.toString('base64url', 1, 33), y: point.toString('base64url', 33, 65) }
    return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', ...jwk } })
  })
}

function isSigned({ record, signature }: Row, key: KeyObject): boolean {
  return verify('sha256', Buffer.from(record, 'utf8'), { key, dsaEncoding: 'ieee-p1363' }, signature)
}
