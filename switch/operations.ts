import type { DatabasePool } from '../kernel/database.ts'

/**
 * What waits for people, and what they do with it. The database decides, in one transaction with the record of who asked
 * and who agreed (migration 0022); the running switch finds what became due at its next sweep.
 */
export type Act = 'resend' | 'resendAsOriginal' | 'close'

export interface Waiting {
  readonly id: string
  readonly kind: string
  readonly destination: string
  readonly state: string
  readonly cause: string
  readonly attempts: number
  readonly refusals: number
  readonly responseCode: string | null
  readonly lastCause: string | null
  readonly dueAt: Date
  readonly rrn: string | null
  readonly cardMask: string | null
  readonly amountMinor: bigint | null
  readonly currency: string | null
  readonly transactionId: string | null
  /** What somebody has asked for and nobody has approved yet. */
  readonly asked: readonly {
    readonly operation: string
    readonly act: Act
    readonly who: string
    readonly why: string
  }[]
}

/** `parked` waits for people; `late` has been owed for more than a minute; `due` is all that is owed. */
export type Wanted = 'parked' | 'late' | 'due'

const wheres: Readonly<Record<Wanted, string>> = {
  parked: `o.state = 'parked'`,
  late: `o.state = 'due' AND o.due_at < now() - interval '1 min'`,
  due: `o.state = 'due'`,
}

export async function listWaiting(pool: DatabasePool, wanted: Wanted, limit: number): Promise<Waiting[]> {
  const { rows } = await pool.query<Waiting>(
    `${selectWaiting} WHERE ${wheres[wanted]} ORDER BY o.due_at LIMIT $1`,
    [limit],
  )
  return rows
}

/** By the id or its first eight characters or more; undefined: none, or several. */
export async function findWaiting(pool: DatabasePool, id: string): Promise<Waiting | undefined> {
  if (!/^[0-9a-f-]{8,36}$/.test(id)) return undefined
  const { rows } = await pool.query<Waiting>(`${selectWaiting} WHERE o.id::text LIKE $1 || '%' LIMIT 2`, [id])
  return rows.length === 1 ? rows[0] : undefined
}

const selectWaiting = `
  SELECT o.id, o.kind, o.destination, o.state, o.cause, o.attempts, o.refusals, o.response_code AS "responseCode",
    o.last_cause AS "lastCause", o.due_at AS "dueAt", t.rrn, t.card_mask AS "cardMask", t.currency,
    coalesce((o.advice ->> 'amountMinor')::bigint, o.actual_minor, t.amount_minor) AS "amountMinor",
    o.transaction_id AS "transactionId",
    coalesce((
      SELECT jsonb_agg(jsonb_build_object('operation', a.id::text, 'act', a.act, 'who', a.who, 'why', a.why) ORDER BY a.id)
        FROM switch.operation a
       WHERE a.obligation_id = o.id AND a.kind = 'asked' AND o.state = 'parked'
         AND (a.before ->> 'fence')::bigint = o.fence
         AND NOT EXISTS (SELECT FROM switch.operation d WHERE d.asked = a.id)), '[]') AS asked
    FROM switch.obligation o LEFT JOIN switch.transaction t ON t.id = o.transaction_id`

export interface OperationRecord {
  readonly id: string
  readonly at: Date
  readonly kind: 'asked' | 'approved'
  readonly act: Act
  readonly asked: string | null
  readonly who: string
  readonly why: string
  readonly before: Readonly<Record<string, unknown>>
  readonly after: Readonly<Record<string, unknown>>
}

export async function operationsOn(pool: DatabasePool, obligationId: string): Promise<OperationRecord[]> {
  const { rows } = await pool.query<OperationRecord>(
    `SELECT id::text, at, kind, act, asked::text, who, why, before, after FROM switch.operation
      WHERE obligation_id = $1 ORDER BY id`,
    [obligationId],
  )
  return rows
}

export async function askOperation(
  pool: DatabasePool,
  ask: { readonly obligationId: string; readonly act: Act; readonly who: string; readonly why: string },
): Promise<{ readonly outcome: 'asked' | 'notParked' | 'unknown'; readonly operation: string | null }> {
  const { rows } = await pool.query<{ outcome: 'asked' | 'notParked' | 'unknown'; operation: string | null }>(
    'SELECT outcome, operation::text FROM switch.ask_operation($1, $2, $3, $4)',
    [ask.obligationId, ask.act, ask.who, ask.why],
  )
  return rows[0]!
}

export async function approveOperation(
  pool: DatabasePool,
  approval: { readonly operation: string; readonly who: string; readonly why: string },
): Promise<'done' | 'samePerson' | 'movedOn' | 'unknown'> {
  const { rows } = await pool.query<{ outcome: 'done' | 'samePerson' | 'movedOn' | 'unknown' }>(
    'SELECT switch.approve_operation($1, $2, $3) AS outcome',
    [approval.operation, approval.who, approval.why],
  )
  return rows[0]!.outcome
}

export interface Exposed {
  readonly transactionId: string
  readonly rule: string
  readonly rrn: string
  readonly cardMask: string
  readonly currency: string
  readonly amountMinor: bigint
  readonly at: Date
  /** What became of telling the issuer; `parked`: it would not have it, and the approval stands all the same (P6). */
  readonly advice: string
}

/** Approvals in issuers' places that the issuer has not acknowledged: what we stand to lose until people have settled it. */
export async function listExposures(pool: DatabasePool, limit: number): Promise<Exposed[]> {
  const { rows } = await pool.query<Exposed>(
    `SELECT e.transaction_id AS "transactionId", e.rule, t.rrn, t.card_mask AS "cardMask", e.currency,
        e.amount_minor AS "amountMinor", e.at, t.advice
       FROM switch.exposure e JOIN switch.transaction t ON t.id = e.transaction_id
      WHERE e.amount_minor > 0 AND t.advice NOT IN ('acknowledged', 'closed') ORDER BY e.at LIMIT $1`,
    [limit],
  )
  return rows
}

export interface Unproven {
  readonly id: string
  readonly rrn: string
  readonly source: string
  readonly terminal: string
  readonly cardMask: string
  readonly amountMinor: bigint
  readonly currency: string
  readonly receivedAt: Date
}

/** Approvals of which nobody knows whether their source has them (D3): its repeat or its reversal will tell. */
export async function listUnproven(pool: DatabasePool, limit: number): Promise<Unproven[]> {
  const { rows } = await pool.query<Unproven>(
    `SELECT id, rrn, source, terminal_id AS terminal, card_mask AS "cardMask", amount_minor AS "amountMinor", currency,
        received_at AS "receivedAt"
       FROM switch.transaction WHERE state = 'approved' AND delivery = 'unproven' ORDER BY received_at LIMIT $1`,
    [limit],
  )
  return rows
}
