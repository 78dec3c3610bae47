import type { DatabasePool } from '../../kernel/database.ts'
import { openPool } from '../../kernel/database.ts'

/**
 * The usual way to keep books in PostgreSQL, for comparison: a connection from a pool, a transaction a posting, a
 * statement a step, row locks in id order. It has the same tables and the same promises, without the hash chain, the
 * append-only triggers and the overdraft limits; what would make it slow for no reason of its own (plans that scan,
 * pages without room for the next version of a balance) it is spared.
 */
export interface NaiveLedger {
  post(posting: {
    readonly key: string
    readonly from: number
    readonly to: number
    readonly amountMinor: bigint
  }): Promise<boolean>
  close(): Promise<void>
}

const schema = `
  CREATE SCHEMA IF NOT EXISTS naive;
  CREATE TABLE naive.account (id bigint PRIMARY KEY, path text NOT NULL UNIQUE, currency text NOT NULL);
  CREATE TABLE naive.balance (account_id bigint PRIMARY KEY REFERENCES naive.account, debits bigint NOT NULL DEFAULT 0,
    credits bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 0, CHECK (debits >= 0 AND credits >= 0))
    WITH (fillfactor = 50);
  CREATE TABLE naive.posting (id bigserial PRIMARY KEY, key text NOT NULL UNIQUE, body_hash bytea NOT NULL,
    effective_at timestamptz NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE naive.entry (posting_id bigint NOT NULL REFERENCES naive.posting, seq smallint NOT NULL,
    account_id bigint NOT NULL REFERENCES naive.account, currency text NOT NULL, amount bigint NOT NULL CHECK (amount <> 0),
    account_version bigint NOT NULL, balance_after bigint NOT NULL,
    PRIMARY KEY (posting_id, seq), UNIQUE (account_id, account_version));
  CREATE FUNCTION naive.check_sum() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM added GROUP BY posting_id, currency HAVING sum(amount) <> 0) THEN RAISE 'not zero'; END IF;
    RETURN NULL; END $$;
  CREATE TRIGGER zero AFTER INSERT ON naive.entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION naive.check_sum();`

export async function openNaiveLedger(
  databaseUrl: string,
  accounts: number,
  connectionsMax = 16,
): Promise<NaiveLedger> {
  const url = new URL(databaseUrl)
  // Its statements are planned while its tables are empty, and would stay scans.
  url.searchParams.set('options', '-c enable_seqscan=off')
  const pool = openPool({ databaseUrl: url.toString(), applicationName: 'naive', connectionsMax })
  await pool.query(schema)
  await pool.query(
    `INSERT INTO naive.account SELECT n, 'account:' || n, 'KWD' FROM generate_series(1, ${accounts}) AS n`,
  )
  await pool.query('INSERT INTO naive.balance (account_id) SELECT id FROM naive.account')
  await pool.query('ANALYZE naive.account; ANALYZE naive.balance')
  return {
    post: (posting) => post(pool, posting),
    close: () => pool.end(),
  }
}

async function post(
  pool: DatabasePool,
  { key, from, to, amountMinor }: Parameters<NaiveLedger['post']>[0],
): Promise<boolean> {
  const client = await pool.connect()
  const query = (name: string, text: string, values: unknown[]) => client.query({ name, text, values })
  try {
    await client.query('BEGIN')
    const known = await query('known', 'SELECT id FROM naive.posting WHERE key = $1', [key])
    if (known.rows.length > 0) {
      await client.query('ROLLBACK')
      return true
    }
    const { rows } = await query(
      'lock',
      `SELECT account_id, debits, credits, version FROM naive.balance WHERE account_id = ANY ($1::bigint[])
        ORDER BY account_id FOR UPDATE`,
      [[from, to]],
    )
    const made = await query(
      'posting',
      `INSERT INTO naive.posting (key, body_hash, effective_at) VALUES ($1, sha256(convert_to($1, 'UTF8')), now()) RETURNING id`,
      [key],
    )
    const { id } = made.rows[0] as { id: bigint }
    const balances = new Map(
      (rows as { account_id: bigint; debits: bigint; credits: bigint; version: bigint }[]).map((row) => [
        row.account_id,
        row,
      ]),
    )
    const [debit, credit] = [balances.get(BigInt(from))!, balances.get(BigInt(to))!]
    await query(
      'entries',
      `INSERT INTO naive.entry VALUES ($1::bigint, 0, $2::bigint, 'KWD', $3::bigint, $4::bigint, $5::bigint), ($1, 1, $6, 'KWD', -$3::bigint, $7, $8)`,
      [
        ...[id, from, amountMinor, debit.version + 1n, debit.debits - debit.credits + amountMinor],
        ...[to, credit.version + 1n, credit.debits - credit.credits - amountMinor],
      ],
    )
    await query(
      'debit',
      'UPDATE naive.balance SET debits = debits + $2, version = version + 1 WHERE account_id = $1',
      [from, amountMinor],
    )
    await query(
      'credit',
      'UPDATE naive.balance SET credits = credits + $2, version = version + 1 WHERE account_id = $1',
      [to, amountMinor],
    )
    await client.query('COMMIT')
    return true
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}
