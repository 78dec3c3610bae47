import type { Statement } from './trip.ts'

/**
 * Every statement of the writer, by the name it is prepared under. Sets of rows go in as one array a column, or by COPY, so
 * that a batch of any size is one statement, planned once.
 *
 * Planned once may mean planned while the table is empty and its size known to be nothing; then reading all of it
 * looks cheapest, and the plan stays while the table grows. So every look-up is a lateral subquery behind OFFSET 0,
 * which the planner can only run by index, once for each thing that is looked for, and updates go to the places that
 * such look-ups found.
 */
const accountColumns = `a.path, a.id, a.currency, a.normal_side, a.limit_kind, b.closed,
           b.debits, b.credits, b.debits_pending, b.credits_pending, b.version`

const balanceOfAccount = `
     CROSS JOIN LATERAL (SELECT * FROM ledger.balance WHERE account_id = a.id OFFSET 0) b`

const namedPostings = `
      FROM unnest($1::text[]) AS wanted(reference)
     CROSS JOIN LATERAL (SELECT * FROM ledger.posting WHERE reference = wanted.reference OFFSET 0) p`

/** The statement fails unless it touches as many rows as its last parameter says. */
function touching(what: string, statement: string, expected: string): string {
  return `
    WITH done AS (${statement} RETURNING 1)
    SELECT ledger.expect('${what}', touched, ${expected})
      FROM (SELECT count(*) AS touched FROM done) counted WHERE touched <> ${expected}`
}

export const statements = {
  lockShard: `
    SELECT head_seq, head_hash, last_posting, last_account,
           (extract(epoch FROM recorded_at) * 1000)::bigint AS recorded_ms,
           (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
      FROM ledger.shard WHERE shard = $1 FOR UPDATE`,

  // Not in the statement that locks: all but the locked row is there as it was before the wait for the lock.
  periods: `SELECT scope, through FROM ledger.period WHERE shard = $1`,

  // The same lock, for who already knows what is there: fails unless the head is still in its place.
  lockHead: `
    SELECT ledger.expect('lockHead', (SELECT count(*) FROM (
             SELECT FROM ledger.shard WHERE shard = $1 AND head_seq = $2 FOR UPDATE) head), 1),
           (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms`,

  knownUnits: `
    SELECT u.key, encode(u.body_hash, 'hex') AS fingerprint, u.refusal
      FROM unnest($1::text[]) AS wanted(key)
     CROSS JOIN LATERAL (SELECT * FROM ledger.unit WHERE key = wanted.key OFFSET 0) u`,

  accounts: `
    SELECT ${accountColumns}
      FROM unnest($1::text[]) AS wanted(path)
     CROSS JOIN LATERAL (SELECT * FROM ledger.account WHERE path = wanted.path OFFSET 0) a
     ${balanceOfAccount}`,

  postings: `
    SELECT p.reference, p.id, p.kind ${namedPostings}`,

  // Which of the named postings have been reversed.
  reversals: `
    SELECT r.reverses ${namedPostings}
     CROSS JOIN LATERAL (SELECT reverses FROM ledger.posting WHERE reverses = p.id OFFSET 0) r`,

  // Posted entries of what is to be reversed, with their accounts.
  reversedEntries: `
    SELECT p.reference, e.amount, ${accountColumns} ${namedPostings}
     CROSS JOIN LATERAL (SELECT * FROM ledger.entry WHERE posting_id = p.id AND layer = 0 ORDER BY seq OFFSET 0) e
     CROSS JOIN LATERAL (SELECT * FROM ledger.account WHERE id = e.account_id OFFSET 0) a
     ${balanceOfAccount}
     ORDER BY p.id, e.seq`,

  holds: `
    SELECT p.reference, h.id, h.state, h.currency, h.amount, h.captured, h.account_ids, h.amounts, h.open, h.version,
           (extract(epoch FROM h.expires_at) * 1000)::bigint AS expires_ms ${namedPostings}
     CROSS JOIN LATERAL (SELECT * FROM ledger.hold WHERE id = p.id OFFSET 0) h`,

  holdAccounts: `
    SELECT ${accountColumns} ${namedPostings}
     CROSS JOIN LATERAL (SELECT unnest(account_ids) AS account_id FROM ledger.hold WHERE id = p.id OFFSET 0) h
     CROSS JOIN LATERAL (SELECT * FROM ledger.account WHERE id = h.account_id OFFSET 0) a
     ${balanceOfAccount}`,

  // Accounts of the dates that are to be closed, as far as they are not closed themselves.
  openDatedAccounts: `
    SELECT ${accountColumns}
      FROM unnest($1::text[], $2::text[]) AS wanted(scope, through)
     CROSS JOIN (VALUES ('net:'), ('suspense:')) AS kind(prefix)
     CROSS JOIN LATERAL (
           SELECT kind.prefix || CASE wanted.scope WHEN '*' THEN '' ELSE wanted.scope || ':' END AS first) range
     CROSS JOIN LATERAL (
           SELECT * FROM ledger.account
            WHERE path >= range.first AND path < rtrim(range.first, ':') || ';'
              AND ledger.date_of(path) <= wanted.through OFFSET 0) a
     CROSS JOIN LATERAL (SELECT * FROM ledger.balance WHERE account_id = a.id AND NOT closed OFFSET 0) b`,

  insertPeriods: `
    INSERT INTO ledger.period (shard, scope, through, open_from, posting_id)
    SELECT $4::smallint, scope, through, ledger.end_of(through), posting_id
      FROM unnest($1::text[], $2::text[], $3::bigint[]) AS t(scope, through, posting_id)
        ON CONFLICT (shard, scope) DO UPDATE
       SET through = EXCLUDED.through, open_from = EXCLUDED.open_from, posting_id = EXCLUDED.posting_id`,

  insertAccounts: `
    INSERT INTO ledger.account (id, path, currency, normal_side, limit_kind, shard, block_seq)
    SELECT id, path, currency, normal_side, limit_kind, $6::smallint, $7::bigint
      FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS t(id, path, currency, normal_side, limit_kind)`,

  insertBalances: `
    INSERT INTO ledger.balance (account_id, no_overdraft, normal_debit)
    SELECT id, no_overdraft, normal_debit
      FROM unnest($1::bigint[], $2::boolean[], $3::boolean[]) AS t(id, no_overdraft, normal_debit)`,

  insertHolds: `
    INSERT INTO ledger.hold (id, state, currency, amount, captured, account_ids, amounts, open, expires_at, version)
    SELECT id, state, currency, amount, captured, account_ids::bigint[], amounts::bigint[], open::bigint[],
           to_timestamp(expires_ms / 1000.0), version
      FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                  $9::bigint[], $10::bigint[])
        AS t(id, state, currency, amount, captured, account_ids, amounts, open, expires_ms, version)`,

  updateHolds: touching(
    'updateHolds',
    `
    UPDATE ledger.hold h
       SET state = t.state, amount = t.amount, captured = t.captured, account_ids = t.account_ids::bigint[],
           amounts = t.amounts::bigint[], open = t.open::bigint[], expires_at = to_timestamp(t.expires_ms / 1000.0),
           version = t.version
      FROM (SELECT given.*, found.place
              FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                          $8::bigint[], $9::bigint[], $10::bigint[])
                AS given(id, state, amount, captured, account_ids, amounts, open, expires_ms, version, expected)
             CROSS JOIN LATERAL (SELECT ctid AS place FROM ledger.hold
                                  WHERE id = given.id AND version = given.expected OFFSET 0) found) t
     WHERE h.ctid = t.place`,
    'cardinality($1::bigint[])',
  ),

  updateBalances: touching(
    'updateBalances',
    `
    UPDATE ledger.balance b
       SET debits = t.debits, credits = t.credits, debits_pending = t.debits_pending,
           credits_pending = t.credits_pending, version = t.version, closed = t.closed
      FROM (SELECT given.*, found.place
              FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                          $7::bigint[], $8::boolean[])
                AS given(id, debits, credits, debits_pending, credits_pending, version, expected, closed)
             CROSS JOIN LATERAL (SELECT ctid AS place FROM ledger.balance
                                  WHERE account_id = given.id AND version = given.expected OFFSET 0) found) t
     WHERE b.ctid = t.place`,
    'cardinality($1::bigint[])',
  ),

  insertBlock: `
    INSERT INTO ledger.block (shard, seq, prev, hash, accounts, units, postings, recorded_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8::bigint / 1000.0))`,

  moveHead: touching(
    'moveHead',
    `
    UPDATE ledger.shard
       SET head_seq = $2, head_hash = $3, last_posting = $4, last_account = $5,
           recorded_at = to_timestamp($6::bigint / 1000.0)
     WHERE shard = $1 AND head_seq = $2 - 1`,
    '1',
  ),
} as const

/** Rows of the logs go in by COPY (`copyin.ts`); there is nothing to plan in them. */
export const copies = {
  insertUnits: copying('unit (key, body_hash, refusal, first_posting, postings, ordinal, shard, block_seq)'),
  insertPostings: copying(
    `posting (id, reference, kind, hold_id, reverses, effective_at, expires_at, meta, shard, block_seq, recorded_at)`,
  ),
  insertEntries: copying(
    `entry (posting_id, seq, layer, account_id, currency, amount, account_version,
            balance_after, debits_pending_after, credits_pending_after)`,
  ),
} as const

function copying(table: string): string {
  return `COPY ledger.${table} FROM STDIN (FORMAT binary)`
}

export function copy(name: keyof typeof copies, data: Uint8Array): Statement {
  return { name, text: copies[name], values: [], data }
}

export type StatementName = keyof typeof statements

export function statement(name: StatementName, values: unknown[]): Statement {
  return { name, text: statements[name], values }
}
