import type { QueryArrayResult } from 'pg'
import { databaseError, openClient } from '../kernel/database.ts'
import type { DatabaseClient } from '../kernel/database.ts'
import { currencies } from '../kernel/money.ts'
import { BlockCheck } from './blockcheck.ts'
import { Bad, bad } from './finding.ts'
import type { BadPlace } from './finding.ts'
import { BookPages } from './pages.ts'
import { checkBalances, checkHolds, checkPeriods } from './projections.ts'
import { Replay } from './replay.ts'

export interface Verification {
  readonly blocks: bigint
  readonly units: bigint
  readonly postings: bigint
  readonly entries: bigint
  readonly accounts: bigint
  /** Of the last block, hexadecimal: what an anchor outside the database is compared with. */
  readonly head: string
  readonly bad: BadPlace | undefined
}

/**
 * Reads all of the books of a shard in one snapshot and computes them anew: the chain, every sum, every account's
 * history, and the projections. Stops at the first thing that is wrong. Throws `DatabaseError` when it cannot look.
 */
export async function verifyLedger(databaseUrl: string, shard = 0): Promise<Verification> {
  const client = await openClient({ databaseUrl, applicationName: 'mafraq-verify' })
  try {
    await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
    // Rows lie in the order in which they were written, which is that of every index asked here: nothing to sort.
    await client.query('SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off')
    return await verifyBooks(client, shard)
  } catch (error) {
    throw databaseError(error)
  } finally {
    await client.end()
  }
}

/** The same within a transaction of the caller's. */
export function verifyBooks(client: DatabaseClient, shard: number): Promise<Verification> {
  return new Verifier(client, shard).run()
}

class Verifier {
  readonly #client: DatabaseClient
  readonly #shard: number
  readonly #replay = new Replay()
  readonly #check: BlockCheck

  constructor(client: DatabaseClient, shard: number) {
    this.#client = client
    this.#shard = shard
    this.#check = new BlockCheck(shard, this.#replay)
  }

  async run(): Promise<Verification> {
    try {
      await this.#currencies()
      await this.#chain()
      await this.#nothingElse()
      await checkBalances(this.#client, this.#replay.counters)
      await checkHolds(this.#client, this.#replay)
      await checkPeriods(this.#client, this.#shard, this.#replay)
      return this.#report(undefined)
    } catch (error) {
      if (error instanceof Bad) return this.#report(error.place)
      throw error
    }
  }

  #report(bad: BadPlace | undefined): Verification {
    const { head, units, lastPosting, entries, lastAccount } = this.#check
    return {
      blocks: BigInt(head.seq),
      units: BigInt(units),
      postings: BigInt(lastPosting),
      entries: BigInt(entries),
      accounts: BigInt(lastAccount),
      head: Buffer.from(head.hash).toString('hex'),
      bad,
    }
  }

  async #rows<T extends unknown[]>(text: string, values: unknown[] = []): Promise<T[]> {
    const result: QueryArrayResult<T> = await this.#client.query<T>({ text, values, rowMode: 'array' })
    return result.rows
  }

  /** The server makes the next page while this one is checked. */
  async #chain(): Promise<void> {
    const pages = new BookPages(this.#client, this.#shard)
    let next = pages.next()
    try {
      for (let page = await next; page !== undefined; page = await next) {
        next = pages.next()
        this.#check.page(page)
      }
    } finally {
      await next.catch(() => undefined)
    }
  }

  /** A currency that means another number of decimals would make every amount lie. */
  async #currencies(): Promise<void> {
    const rows = await this.#rows<[string, number]>(
      'SELECT code, exponent FROM ledger.currency ORDER BY code',
    )
    for (const [code, exponent] of rows) {
      const known = Object.entries(currencies).find(([name]) => name === code)
      if (known === undefined) throw bad('extra', 'currency', code, 'no such currency')
      if (known[1].exponent !== exponent) throw bad('altered', 'currency', code, `has ${exponent} decimals`)
    }
    const twice = rows.find(([code], index) => code === rows[index + 1]?.[0])
    if (twice !== undefined) throw bad('extra', 'currency', twice[0], 'is there twice')
    if (rows.length < Object.keys(currencies).length)
      throw bad('missing', 'currency', '?', 'a currency is gone')
  }

  /** Rows that no block accounts for. */
  async #nothingElse(): Promise<void> {
    const { head, lastPosting, lastAccount } = this.#check
    const [shard, second] = await this.#rows<[bigint, Buffer, bigint, bigint, bigint]>(
      `SELECT head_seq, head_hash, last_posting, last_account, (extract(epoch FROM recorded_at) * 1000)::bigint
         FROM ledger.shard WHERE shard = $1`,
      [this.#shard],
    )
    if (shard === undefined) throw bad('missing', 'shard', `shard ${this.#shard}`, 'is gone')
    if (second !== undefined) throw bad('extra', 'shard', `shard ${this.#shard}`, 'is there twice')
    const [headSeq, headHash, shardPosting, shardAccount, recordedAt] = shard
    if (headSeq > head.seq)
      throw bad('missing', 'block', `block ${head.seq + 1}`, 'and all after it are gone')
    await this.#strays()
    if (
      Number(headSeq) !== head.seq ||
      !headHash.equals(head.hash) ||
      Number(shardPosting) !== lastPosting ||
      Number(shardAccount) !== lastAccount ||
      Number(recordedAt) !== head.recordedAt
    ) {
      throw bad('altered', 'shard', `shard ${this.#shard}`, 'does not name the last block')
    }
  }

  async #strays(): Promise<void> {
    const { head, lastPosting } = this.#check
    const outside = 'shard <> $1 OR block_seq NOT BETWEEN 1 AND $2'
    const strays: [table: string, name: string, where: string, values: unknown[]][] = [
      ['posting', 'id', 'id NOT BETWEEN 1 AND $1', [lastPosting]],
      ['entry', 'posting_id', 'posting_id NOT BETWEEN 1 AND $1', [lastPosting]],
      ['account', 'id', outside, [this.#shard, head.seq]],
      ['unit', 'ordinal', outside, [this.#shard, head.seq]],
      ['block', 'seq', 'shard <> $1 OR seq NOT BETWEEN 1 AND $2', [this.#shard, head.seq]],
      ['shard', 'shard', 'shard <> $1', [this.#shard]],
    ]
    for (const [table, name, where, values] of strays) {
      const [row] = await this.#rows(`SELECT ${name} FROM ledger.${table} WHERE ${where} LIMIT 1`, values)
      if (row !== undefined) throw bad('extra', table, `${table} ${String(row[0])}`, 'belongs to no block')
    }
  }
}
