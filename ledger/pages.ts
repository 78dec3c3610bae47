import type { DatabaseClient } from '../kernel/database.ts'
import { copyOut } from './copied.ts'
import type { CopiedRows } from './copied.ts'

/** A page ends with the block that brings any of its tables to this many rows. */
const pageRows = 16_000
/** Blocks are small, and asked for before it is known how many make a page. */
const blocksAtOnce = 4_000

export interface BlockRow {
  readonly seq: number
  readonly prev: Buffer
  readonly hash: Buffer
  readonly accounts: number
  readonly units: number
  readonly postings: number
  readonly recordedAt: number
}

/** Consecutive blocks and the rows that should be theirs, each table in the order of the chain. */
export interface Page {
  readonly blocks: readonly BlockRow[]
  readonly accounts: CopiedRows
  readonly units: CopiedRows
  readonly postings: CopiedRows
  readonly entries: CopiedRows
}

/**
 * The books of a shard, a page at a time. What a block says of itself is believed here as far as where the next page
 * begins; whoever checks the page sees to it that it was true.
 */
export class BookPages {
  readonly #client: DatabaseClient
  readonly #shard: number
  #blocks: BlockRow[] = []
  #lastSeq = 0
  #lastPosting = 0

  constructor(client: DatabaseClient, shard: number) {
    this.#client = client
    this.#shard = shard
  }

  /** Undefined after the last. */
  async next(): Promise<Page | undefined> {
    if (this.#blocks.length === 0) this.#blocks = await this.#nextBlocks()
    const blocks = firstOf(this.#blocks)
    if (blocks.length === 0) return undefined
    this.#blocks = this.#blocks.slice(blocks.length)
    const [from, to] = [blocks[0]!.seq, blocks.at(-1)!.seq]
    const after = this.#lastPosting
    this.#lastPosting += blocks.reduce((sum, { postings }) => sum + postings, 0)
    this.#lastSeq = to
    const ofBlocks = `shard = ${this.#shard} AND block_seq BETWEEN ${from} AND ${to}`
    const [accounts, units, postings, entries] = await copyOut(this.#client, [
      {
        table: 'account',
        text: `SELECT block_seq, id, path, currency, normal_side, limit_kind
                 FROM ledger.account WHERE ${ofBlocks} ORDER BY block_seq, id`,
      },
      {
        table: 'unit',
        text: `SELECT block_seq, ordinal, first_posting, postings, key, body_hash, refusal
                 FROM ledger.unit WHERE ${ofBlocks} ORDER BY block_seq, ordinal`,
      },
      {
        table: 'posting',
        text: `SELECT id, shard, block_seq, recorded_at, effective_at, expires_at, hold_id, reverses, reference, kind, meta
                 FROM ledger.posting WHERE id > ${after} AND id <= ${this.#lastPosting} ORDER BY id`,
      },
      {
        table: 'entry',
        text: `SELECT posting_id, seq, layer, account_id, amount, account_version,
                      balance_after, debits_pending_after, credits_pending_after, currency
                 FROM ledger.entry WHERE posting_id > ${after} AND posting_id <= ${this.#lastPosting}
                ORDER BY posting_id, seq`,
      },
    ])
    return { blocks, accounts: accounts!, units: units!, postings: postings!, entries: entries! }
  }

  async #nextBlocks(): Promise<BlockRow[]> {
    const [rows] = await copyOut(this.#client, [
      {
        table: 'block',
        // From the last one again, so that a second row of that number is not stepped over.
        text: `SELECT seq, prev, hash, accounts, units, postings, recorded_at FROM ledger.block
                WHERE shard = ${this.#shard} AND seq >= ${Math.max(this.#lastSeq, 1)} ORDER BY seq
               OFFSET ${this.#lastSeq === 0 ? 0 : 1} LIMIT ${blocksAtOnce}`,
      },
    ])
    const blocks: BlockRow[] = []
    while (rows!.more) {
      rows!.next()
      blocks.push({
        seq: rows!.int8(),
        prev: rows!.bytes(),
        hash: rows!.bytes(),
        accounts: rows!.int4(),
        units: rows!.int4(),
        postings: rows!.int4(),
        recordedAt: rows!.ms(),
      })
    }
    return blocks
  }
}

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
