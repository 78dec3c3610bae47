import type { DatabaseClient } from '../kernel/database.ts'
import { copyOut, numberAt } from './copied.ts'
import type { CopiedRows } from './copied.ts'
import type { Counters } from './counters.ts'
import { Bad, bad } from './finding.ts'
import { endOf } from './periods.ts'
import type { Replay } from './replay.ts'

/** Balances and holds as they are stored, against what the postings make of them. */

const pageRows = 40_000

/** Throws `Bad`. */
export async function checkBalances(client: DatabaseClient, counters: Counters): Promise<void> {
  let next = nextBalances(client, 0n)
  for (;;) {
    const rows = await next
    const last = lastId(rows)
    if (last === undefined) break
    next = nextBalances(client, last)
    next.catch(() => undefined)
    while (rows.more) checkBalance(rows, counters)
  }
  const unseen = counters.unseen()
  if (unseen !== undefined) throw bad('missing', 'balance', `account ${unseen}`, 'has no balance')
}

async function nextBalances(client: DatabaseClient, after: bigint): Promise<CopiedRows> {
  // From the last one again, so that a second row of an account is not stepped over.
  const [rows] = await copyOut(client, [
    {
      table: 'balance',
      text: `SELECT account_id, debits, credits, debits_pending, credits_pending, version,
                    closed, no_overdraft, normal_debit
               FROM ledger.balance ${after === 0n ? '' : `WHERE account_id >= ${after}`}
              ORDER BY account_id OFFSET ${after === 0n ? 0 : 1} LIMIT ${pageRows}`,
    },
  ])
  return rows!
}

const balanceBytes = 2 + 6 * 12 + 3 * 5

/** Rows of a balance are all of one size. */
function lastId({ view, length }: CopiedRows): bigint | undefined {
  const rows = (length - 2) / balanceBytes
  return rows >= 1 ? view.getBigInt64(Math.floor(rows - 1) * balanceBytes + 6) : undefined
}

function checkBalance(rows: CopiedRows, counters: Counters): void {
  rows.next()
  const { view } = rows
  const id = numberAt(view, rows.fixed(8))
  const places = [rows.fixed(8), rows.fixed(8), rows.fixed(8), rows.fixed(8), rows.fixed(8)]
  const [closed, noOverdraft, normalDebit] = [rows.bool(), rows.bool(), rows.bool()]
  const found = (kind: 'extra' | 'altered', what: string): Bad => bad(kind, 'balance', `account ${id}`, what)
  const terms = counters.terms(id)
  if (terms === undefined) throw found('extra', 'is of no account')
  if (!counters.see(id)) throw found('extra', 'is there twice')
  const differs =
    counters.differs(id, view, places) ??
    (closed === counters.isClosed(id) ? undefined : 'closed') ??
    (noOverdraft === (terms.limit === 'noOverdraft') ? undefined : 'limit') ??
    (normalDebit === (terms.normalSide === 'debit') ? undefined : 'normalSide')
  if (differs !== undefined) throw found('altered', `${differs} is not what its entries say`)
}

const holdRows = 10_000

/** Throws `Bad`. */
export async function checkHolds(client: DatabaseClient, replay: Replay): Promise<void> {
  for (let after: bigint | undefined, full = true; full; ) {
    const { rows } = await client.query<HoldRow>({
      text: `SELECT id, state, currency, amount, captured, account_ids, amounts, open, version,
                    (extract(epoch FROM expires_at) * 1000)::bigint
               FROM ledger.hold WHERE $1::bigint IS NULL OR id >= $1
              ORDER BY id OFFSET ${after === undefined ? 0 : 1} LIMIT ${holdRows}`,
      values: [after],
      rowMode: 'array',
    })
    for (const [id, state, currency, amount, captured, accountIds, amounts, open, version, expires] of rows) {
      const legs = { accountIds, amounts, open }
      const stored = { state, currency, amount, captured, ...legs, version, expiresAt: Number(expires) }
      const differs = replay.holdDiffers(Number(id), stored)
      if (differs !== undefined) throw new Bad({ ...differs, block: undefined })
      after = id
    }
    full = rows.length === holdRows
  }
  const lost = replay.holdNotSeen()
  if (lost !== undefined) throw bad('missing', 'hold', `hold ${lost}`, 'is gone')
}

/** Throws `Bad`. */
export async function checkPeriods(client: DatabaseClient, shard: number, replay: Replay): Promise<void> {
  const { rows } = await client.query<PeriodRow>({
    text: `SELECT scope, shard, through, (extract(epoch FROM open_from) * 1000)::bigint, posting_id
             FROM ledger.period ORDER BY scope`,
    rowMode: 'array',
  })
  for (const [index, [scope, ofShard, through, openFrom, posting]] of rows.entries()) {
    const closed = replay.periods.get(scope)
    const found = (kind: 'extra' | 'altered', what: string): Bad =>
      bad(kind, 'period', `period ${scope}`, what)
    if (closed === undefined) throw found('extra', 'was never closed')
    if (scope === rows[index + 1]?.[0]) throw found('extra', 'is there twice')
    if (
      ofShard !== shard ||
      through !== closed.through ||
      Number(posting) !== closed.posting ||
      Number(openFrom) !== endOf(through)
    ) {
      throw found('altered', 'is not what its posting says')
    }
  }
  const gone = [...replay.periods.keys()].find((scope) => !rows.some(([known]) => known === scope))
  if (gone !== undefined) throw bad('missing', 'period', `period ${gone}`, 'is gone')
}

type PeriodRow = [scope: string, shard: number, through: string, openFrom: bigint, posting: bigint]

type HoldRow = [bigint, string, string, bigint, bigint, bigint[], bigint[], bigint[], bigint, bigint]
