import type { DatabasePool } from '../kernel/database.ts'
import type { Kind } from './transaction/kinds.ts'

/** Everything the journal and the books know of the transactions with one RRN or id, in order. For `explain`. */
export interface Life {
  readonly id: string
  /** undefined on a tombstone: what it was is not known. */
  readonly kind: Kind | undefined
  readonly state: string
  readonly source: string
  readonly rrn: string
  readonly terminal: string
  readonly card: string
  readonly amountMinor: bigint
  /** What was approved of it; null: all, or nothing. */
  readonly approvedMinor: bigint | null
  /** What partial reversals have left of it; null: all. */
  readonly actualMinor: bigint | null
  readonly currency: string
  readonly businessDate: string
  readonly receivedAt: Date
  readonly approvableUntil: Date
  readonly responseCode: string | null
  readonly authId: string | null
  /** What its completion made of an authorization; null: none came. */
  readonly completedMinor: bigint | null
  readonly parentId: string | null
  /** Taken although a rule speaks against it. */
  readonly flag: string | null
  /** The rules that it was decided by, as `mafraq rules` names them. */
  readonly rules: string | null
  /** We approved it in the issuer's place: the range and currency of the rule. */
  readonly standIn: string | null
  readonly delivery: string
  readonly reversal: string
  readonly advice: string
  readonly legs: readonly Record<string, string | null>[]
  readonly events: readonly LifeEvent[]
  readonly obligations: readonly Record<string, unknown>[]
}

export interface LifeEvent {
  readonly sequence: number
  readonly kind: string
  readonly at: Date
  readonly recordedAt: Date
  readonly node: string
  /** On which it is accounted for; null: of nobody's date. */
  readonly businessDate: string | null
  readonly cause: string
  readonly detail: Readonly<Record<string, string | number | boolean>>
}

/** `name` is a DE37 or a transaction's id. */
export async function transactionLife(pool: DatabasePool, name: string): Promise<Life[]> {
  const byId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(name)
  const { rows } = await pool.query<LifeRow>(
    `SELECT id, state, source, rrn, terminal_id, card_mask, amount_minor, approved_minor, actual_minor,
       completed_minor, parent_id, flag, currency, business_date::text, received_at, approvable_until, kind, response_code,
       auth_id, delivery, reversal, advice, stand_in,
       (SELECT number || '-' || left(hash, 8) FROM switch.rule_set WHERE number = rules) AS rules
     FROM switch.transaction WHERE ${byId ? 'id = $1' : 'rrn = $1'} ORDER BY received_at`,
    [name],
  )
  return Promise.all(rows.map((row) => lifeOf(pool, row)))
}

/**
 * The same with what it is about and what is about it: of a raise its authorization, of a payment its refunds. What others
 * refer to comes first.
 */
export async function transactionFamily(pool: DatabasePool, name: string): Promise<Life[]> {
  const named = await transactionLife(pool, name)
  if (named.length === 0) return []
  const { rows } = await pool.query<{ id: string }>(
    `WITH named AS (SELECT id, coalesce(parent_id, id) AS root FROM switch.transaction WHERE id = ANY($1))
     SELECT id FROM switch.transaction
      WHERE id IN (SELECT root FROM named) OR parent_id IN (SELECT root FROM named)
      ORDER BY parent_id IS NOT NULL, received_at`,
    [named.map(({ id }) => id)],
  )
  const lives = await Promise.all(rows.map(({ id }) => transactionLife(pool, id)))
  return lives.flat()
}

interface LifeRow {
  id: string
  state: string
  source: string
  rrn: string | null
  terminal_id: string | null
  card_mask: string | null
  amount_minor: bigint | null
  approved_minor: bigint | null
  actual_minor: bigint | null
  currency: string | null
  business_date: string
  received_at: Date
  approvable_until: Date
  kind: Kind | null
  completed_minor: bigint | null
  parent_id: string | null
  flag: string | null
  rules: string | null
  stand_in: string | null
  advice: string
  response_code: string | null
  auth_id: string | null
  delivery: string
  reversal: string
}

async function lifeOf(pool: DatabasePool, row: LifeRow): Promise<Life> {
  const ask = async <R extends object>(text: string): Promise<R[]> =>
    (await pool.query(text, [row.id])).rows as R[]
  return {
    id: row.id,
    kind: row.kind ?? undefined,
    state: row.state,
    source: row.source,
    rrn: row.rrn ?? '',
    terminal: row.terminal_id ?? '',
    card: row.card_mask ?? '',
    amountMinor: row.amount_minor ?? 0n,
    approvedMinor: row.approved_minor,
    actualMinor: row.actual_minor,
    currency: row.currency ?? '',
    businessDate: row.business_date,
    receivedAt: row.received_at,
    approvableUntil: row.approvable_until,
    responseCode: row.response_code,
    authId: row.auth_id,
    completedMinor: row.completed_minor,
    parentId: row.parent_id,
    flag: row.flag,
    rules: row.rules,
    standIn: row.stand_in,
    delivery: row.delivery,
    reversal: row.reversal,
    advice: row.advice,
    legs: await ask(
      `SELECT id, destination, stan, transmitted_at, state, response_code, auth_id
         FROM switch.leg WHERE transaction_id = $1 ORDER BY id`,
    ),
    events: await ask(
      `SELECT sequence, kind, at, recorded_at AS "recordedAt", node, business_date::text AS "businessDate", cause, detail
         FROM switch.event WHERE transaction_id = $1 ORDER BY sequence`,
    ),
    obligations: await ask(
      `SELECT id, kind, destination, cause, state, attempts, actual_minor, advice, stan, response_code, last_cause, created_at,
         closed_at
         FROM switch.obligation WHERE transaction_id = $1 ORDER BY position`,
    ),
  }
}
