import type { DatabaseClient } from '../../kernel/database.ts'
import { purchaseKey } from './terminals.ts'

/** What the journal and the ledger hold of a purchase. */
export interface Booked {
  /** Wall clock ms. */
  readonly receivedAt: number
  /** An outcome, or a reversal's acknowledgement, is still to come. */
  readonly unsettled: boolean
  readonly state: string
  /** Of the same money as the authorization that it raises. */
  readonly isRaise: boolean
  /**
   * What the network owes us for it by the books, or keeps set aside: below zero where the cardholder was paid.
   */
  readonly netMinor: bigint
}

export interface SwitchBooks {
  readonly purchases: ReadonlyMap<string, readonly Booked[]>
  readonly parked: number
  /** Postings, and currencies over all accounts, that do not sum to zero. */
  readonly unbalanced: number
  /** Transactions whose events have a gap, or are not as many as their version says. */
  readonly auditGaps: number
}

/** One snapshot: what is counted is of one moment. */
export async function readSwitchBooks(client: DatabaseClient): Promise<SwitchBooks> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
  try {
    return {
      purchases: await purchases(client),
      parked: await count(client, `SELECT count(*)::int AS n FROM switch.obligation WHERE state = 'parked'`),
      unbalanced: await count(client, unbalanced),
      auditGaps: await count(client, auditGaps),
    }
  } finally {
    await client.query('ROLLBACK')
  }
}

const unbalanced = `
  SELECT (SELECT count(*) FROM (
            SELECT FROM ledger.entry GROUP BY posting_id, currency, layer HAVING sum(amount) <> 0) p)::int
       + (SELECT count(*) FROM (
            SELECT FROM ledger.entry GROUP BY currency, layer HAVING sum(amount) <> 0) c)::int AS n`

const auditGaps = `
  SELECT count(*)::int AS n FROM switch.transaction t
    LEFT JOIN (SELECT transaction_id, count(*) AS events, max(sequence) AS last FROM switch.event GROUP BY 1) e
      ON e.transaction_id = t.id
   WHERE e.events IS DISTINCT FROM t.version OR e.last IS DISTINCT FROM t.version`

interface Row {
  rrn: string
  terminal: string
  state: string
  kind: string | null
  reversal: string
  advice: string
  received_ms: bigint
  net: bigint
}

async function purchases(client: DatabaseClient): Promise<Map<string, Booked[]>> {
  const { rows } = await client.query<Row>(
    `WITH net AS (
       -- The sweep of the books has names of its own for the end of what was set aside.
       SELECT split_part(CASE WHEN p.kind = 'expire' THEN held.reference ELSE p.reference END, ':', 1) AS transaction_id,
         e.currency, sum(e.amount)::bigint AS net
       FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id JOIN ledger.account a ON a.id = e.account_id
         LEFT JOIN ledger.posting held ON held.id = p.hold_id
       -- What a network pays in another currency is exchanged; on this side of that it is what the cardholder paid.
       -- What the network charges for it, or pays, is no part of that: the two sides of it come to nothing here.
       WHERE a.path ~ '^(net|adjustment|authorized|standin|fx:position|rounding|scheme):' GROUP BY 1, 2)
     SELECT t.rrn, t.terminal_id AS terminal, t.state, t.kind, t.reversal, t.advice,
       (extract(epoch FROM t.received_at) * 1000)::bigint AS received_ms, coalesce(net.net, 0) AS net
     FROM switch.transaction t LEFT JOIN net ON net.transaction_id = t.id::text AND net.currency = t.currency
     WHERE t.state <> 'tombstone'`,
  )
  const books = new Map<string, Booked[]>()
  for (const { rrn, terminal, state, kind, reversal, advice, received_ms, net } of rows) {
    const key = purchaseKey({ rrn, terminal })
    const unsettled = state === 'intent' || state === 'reversing' || reversal === 'owed' || advice === 'owed'
    const booked = {
      receivedAt: Number(received_ms),
      unsettled,
      state,
      isRaise: kind === 'incremental',
      netMinor: net,
    }
    const known = books.get(key)
    if (known === undefined) books.set(key, [booked])
    else known.push(booked)
  }
  return books
}

async function count(client: DatabaseClient, statement: string): Promise<number> {
  const { rows } = await client.query<{ n: number }>(statement)
  return rows[0]!.n
}
