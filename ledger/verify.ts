import { databaseError, openClient } from '../kernel/database.ts'
import type { DatabaseClient } from '../kernel/database.ts'
import { currencies } from '../kernel/money.ts'
import { blockHash, genesisHash } from './chain.ts'
import type { AccountOpened, UnitRecord } from './chain.ts'
import type { Posting } from './decide.ts'
import { Bad, bad } from './finding.ts'
import type { BadPlace } from './finding.ts'
import { BookPages, ms } from './pages.ts'
import type { StoredPosting } from './pages.ts'
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

/** A page is about this many rows of any one table. */
const pageRows = 20_000

/**
 * Reads all of the books of a shard in one snapshot and computes them anew: the chain, every sum, every account's
 * history, and the projections. Stops at the first thing that is wrong. Throws `DatabaseError` when it cannot look.
 */
export async function verifyLedger(databaseUrl: string, shard = 0): Promise<Verification> {
  const client = await openClient({ databaseUrl, applicationName: 'mafraq-verify' })
  try {
    await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
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

interface BlockRow {
  readonly seq: bigint
  readonly prev: Buffer
  readonly hash: Buffer
  readonly accounts: number
  readonly units: number
  readonly postings: number
  readonly recordedAt: bigint
}

class Verifier {
  readonly #pages: BookPages
  readonly #shard: number
  readonly #replay = new Replay()
  #head: { seq: bigint; hash: Uint8Array; recordedAt: bigint } = {
    seq: 0n,
    hash: genesisHash,
    recordedAt: 0n,
  }
  #units = 0n
  #lastPosting = 0n
  #lastAccount = 0n
  #entries = 0n

  constructor(client: DatabaseClient, shard: number) {
    this.#pages = new BookPages(client, shard)
    this.#shard = shard
  }

  async run(): Promise<Verification> {
    try {
      await this.#currencies()
      while (await this.#page());
      await this.#nothingElse()
      await this.#projections()
      return this.#report(undefined)
    } catch (error) {
      if (error instanceof Bad) return this.#report(error.place)
      throw error
    }
  }

  #report(bad: BadPlace | undefined): Verification {
    return {
      blocks: this.#head.seq,
      units: this.#units,
      postings: this.#lastPosting,
      entries: this.#entries,
      accounts: this.#lastAccount,
      head: Buffer.from(this.#head.hash).toString('hex'),
      bad,
    }
  }

  /** A currency that means another number of decimals would make every amount lie. */
  async #currencies(): Promise<void> {
    const rows = await this.#pages.rows<[string, number]>(
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

  /** Checks the next blocks; false when there are none. */
  async #page(): Promise<boolean> {
    const blocks = (
      await this.#pages.rows<[bigint, Buffer, Buffer, number, number, number, bigint]>(
        `SELECT seq, prev, hash, accounts, units, postings, ${ms('recorded_at')} FROM ledger.block
          WHERE shard = $1 AND seq > $2 ORDER BY seq LIMIT 2000`,
        [this.#shard, this.#head.seq],
      )
    ).map(([seq, prev, hash, accounts, units, postings, recordedAt]): BlockRow => {
      return { seq, prev, hash, accounts, units, postings, recordedAt }
    })
    const page = firstOf(blocks)
    if (page.length === 0) return false
    const from = page[0]!.seq
    const to = page.at(-1)!.seq
    const lastPosting = this.#lastPosting + BigInt(page.reduce((sum, { postings }) => sum + postings, 0))
    const accounts = await this.#pages.accounts(from, to)
    const units = await this.#pages.units(from, to)
    const postings = await this.#pages.postings(this.#lastPosting, lastPosting)
    for (const block of page) this.#block(block, { accounts, units, postings })
    return true
  }

  #block(
    block: BlockRow,
    rows: {
      readonly accounts: Map<bigint, AccountOpened[]>
      readonly units: Map<bigint, (UnitRecord & { ordinal: number })[]>
      readonly postings: Map<bigint, StoredPosting>
    },
  ): void {
    const { seq } = block
    const inBlock = (kind: BadPlace['kind'], table: string, row: string, what: string): Bad =>
      bad(kind, table, row, what, seq)
    if (seq !== this.#head.seq + 1n)
      throw inBlock('missing', 'block', `block ${this.#head.seq + 1n}`, 'is gone')
    if (!block.prev.equals(this.#head.hash)) {
      throw inBlock('altered', 'block', `block ${seq}`, 'does not follow the block before it')
    }
    if (block.recordedAt < this.#head.recordedAt) {
      throw inBlock('altered', 'block', `block ${seq}`, 'is older than the block before it')
    }

    const accounts = rows.accounts.get(seq) ?? []
    if (accounts.length !== block.accounts) {
      const kind = accounts.length < block.accounts ? 'missing' : 'extra'
      throw inBlock(
        kind,
        'account',
        `block ${seq}`,
        `${accounts.length} accounts where it has ${block.accounts}`,
      )
    }
    for (const account of accounts) {
      this.#lastAccount++
      if (account.id !== this.#lastAccount) {
        throw inBlock(
          'reordered',
          'account',
          `account ${account.id}`,
          `stands where ${this.#lastAccount} should`,
        )
      }
    }

    const units = rows.units.get(seq) ?? []
    if (units.length !== block.units) {
      const kind = units.length < block.units ? 'missing' : 'extra'
      throw inBlock(kind, 'unit', `block ${seq}`, `${units.length} units where it has ${block.units}`)
    }
    let nextPosting = this.#lastPosting + 1n
    for (const [ordinal, unit] of units.entries()) {
      if (unit.ordinal !== ordinal || unit.firstPosting !== nextPosting || unit.postings < 0) {
        throw inBlock('altered', 'unit', `unit ${ordinal} of block ${seq}`, 'is out of order')
      }
      nextPosting += BigInt(unit.postings)
    }
    if (nextPosting - 1n !== this.#lastPosting + BigInt(block.postings)) {
      throw inBlock('altered', 'unit', `block ${seq}`, 'has units whose postings are not those of the block')
    }

    const postings: Posting[] = []
    for (let id = this.#lastPosting + 1n; id < nextPosting; id++) {
      const posting = rows.postings.get(id)
      if (posting === undefined) throw inBlock('missing', 'posting', `posting ${id}`, 'is gone')
      if (
        posting.shard !== this.#shard ||
        posting.blockSeq !== seq ||
        posting.recordedAt !== block.recordedAt
      ) {
        throw inBlock('altered', 'posting', `posting ${id}`, 'is not marked as of its block')
      }
      const gap = posting.seqs.findIndex((entrySeq, index) => entrySeq !== index)
      if (gap !== -1) throw inBlock('missing', 'entry', `entry ${gap} of posting ${id}`, 'is gone')
      postings.push(posting)
    }

    const computed = blockHash({
      shard: this.#shard,
      seq,
      prev: block.prev,
      recordedAt: Number(block.recordedAt),
      accounts,
      units,
      postings,
    })
    const matches = computed.equals(block.hash)
    // What is wrong with one row says more than a hash that differs, so it is looked for first.
    for (const account of accounts) this.#replay.open(account)
    for (const posting of postings) {
      const wrong = this.#replay.post(posting)
      if (wrong !== undefined) throw inBlock(wrong.kind, wrong.table, wrong.row, wrong.what)
    }
    if (!matches) {
      throw inBlock(
        'altered',
        'block',
        `block ${seq}`,
        'or a row of it differs from what its hash was made of',
      )
    }
    this.#head = { seq, hash: block.hash, recordedAt: block.recordedAt }
    this.#units += BigInt(units.length)
    this.#lastPosting += BigInt(postings.length)
    this.#entries += BigInt(postings.reduce((sum, { entries }) => sum + entries.length, 0))
  }

  /** Rows that no block accounts for. */
  async #nothingElse(): Promise<void> {
    const { seq } = this.#head
    const [shard, second] = await this.#pages.rows<[bigint, Buffer, bigint, bigint, bigint]>(
      `SELECT head_seq, head_hash, last_posting, last_account, ${ms('recorded_at')} FROM ledger.shard WHERE shard = $1`,
      [this.#shard],
    )
    if (shard === undefined) throw bad('missing', 'shard', `shard ${this.#shard}`, 'is gone')
    if (second !== undefined) throw bad('extra', 'shard', `shard ${this.#shard}`, 'is there twice')
    const [headSeq, headHash, lastPosting, lastAccount, recordedAt] = shard
    if (headSeq > seq) throw bad('missing', 'block', `block ${seq + 1n}`, 'and all after it are gone')
    const strays: [table: string, name: string, where: string, values: unknown[]][] = [
      ['posting', 'id', 'id NOT BETWEEN 1 AND $1', [this.#lastPosting]],
      ['entry', 'posting_id', 'posting_id NOT BETWEEN 1 AND $1', [this.#lastPosting]],
      ['account', 'id', 'shard <> $1 OR block_seq NOT BETWEEN 1 AND $2', [this.#shard, seq]],
      ['unit', 'ordinal', 'shard <> $1 OR block_seq NOT BETWEEN 1 AND $2', [this.#shard, seq]],
      ['block', 'seq', 'shard <> $1 OR seq NOT BETWEEN 1 AND $2', [this.#shard, seq]],
      ['shard', 'shard', 'shard <> $1', [this.#shard]],
    ]
    for (const [table, name, where, values] of strays) {
      const [row] = await this.#pages.rows(
        `SELECT ${name} FROM ledger.${table} WHERE ${where} LIMIT 1`,
        values,
      )
      if (row !== undefined) throw bad('extra', table, `${table} ${String(row[0])}`, 'belongs to no block')
    }
    if (
      headSeq !== seq ||
      !headHash.equals(this.#head.hash) ||
      lastPosting !== this.#lastPosting ||
      lastAccount !== this.#lastAccount ||
      recordedAt !== this.#head.recordedAt
    ) {
      throw bad('altered', 'shard', `shard ${this.#shard}`, 'does not name the last block')
    }
  }

  async #projections(): Promise<void> {
    for (let after = 0n, full = true; full; ) {
      const rows = await this.#pages.rows<BalanceRow>(
        `SELECT account_id, debits, credits, debits_pending, credits_pending, version, closed, no_overdraft, normal_debit
           FROM ledger.balance WHERE account_id > $1 ORDER BY account_id LIMIT ${pageRows}`,
        [after],
      )
      for (const row of rows) {
        const [
          id,
          debits,
          credits,
          debitsPending,
          creditsPending,
          version,
          closed,
          noOverdraft,
          normalDebit,
        ] = row
        const differs = this.#replay.balanceDiffers(id, {
          ...{ debits, credits, debitsPending, creditsPending, version, closed },
          limit: noOverdraft ? 'noOverdraft' : 'none',
          normalSide: normalDebit ? 'debit' : 'credit',
        })
        if (differs !== undefined) throw bad(differs.kind, 'balance', `account ${id}`, differs.what)
        after = id
      }
      full = rows.length === pageRows
    }
    const unseen = this.#replay.accountWithoutBalance()
    if (unseen !== undefined) throw bad('missing', 'balance', `account ${unseen}`, 'has no balance')

    for (let after = 0n, full = true; full; ) {
      const rows = await this.#pages.rows<HoldRow>(
        `SELECT id, state, currency, amount, captured, account_ids, amounts, open, version, ${ms('expires_at')}
           FROM ledger.hold WHERE id > $1 ORDER BY id LIMIT ${pageRows}`,
        [after],
      )
      for (const row of rows) {
        const [id, state, currency, amount, captured, accountIds, amounts, open, version, expiresAt] = row
        const stored = {
          state,
          currency,
          amount,
          captured,
          accountIds,
          amounts,
          open,
          version,
          expiresAt: Number(expiresAt),
        }
        const differs = this.#replay.holdDiffers(id, stored)
        if (differs !== undefined) throw bad(differs.kind, 'hold', `hold ${id}`, differs.what)
        after = id
      }
      full = rows.length === pageRows
    }
    const lostHold = this.#replay.holdNotSeen()
    if (lostHold !== undefined) throw bad('missing', 'hold', `hold ${lostHold}`, 'is gone')
  }
}

type BalanceRow = [bigint, bigint, bigint, bigint, bigint, bigint, boolean, boolean, boolean]
type HoldRow = [bigint, string, string, bigint, bigint, bigint[], bigint[], bigint[], bigint, bigint]

/** As many blocks as fill a page, and at least one. */
function firstOf(blocks: readonly BlockRow[]): readonly BlockRow[] {
  let rows = 0
  let count = 0
  while (count < blocks.length && rows < pageRows) {
    const block = blocks[count++]!
    rows += Math.max(block.accounts, block.units, block.postings)
  }
  return blocks.slice(0, count)
}
