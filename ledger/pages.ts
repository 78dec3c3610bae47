import type { QueryArrayResult } from 'pg'
import type { DatabaseClient } from '../kernel/database.ts'
import type { AccountOpened, UnitRecord } from './chain.ts'
import { bad } from './finding.ts'
import type { Entry, Posting, PostingKind } from './decide.ts'

/** The rows of a shard's books, a page of blocks at a time, as verify reads them. */
export class BookPages {
  readonly #client: DatabaseClient
  readonly #shard: number

  constructor(client: DatabaseClient, shard: number) {
    this.#client = client
    this.#shard = shard
  }

  async rows<T extends unknown[]>(text: string, values: unknown[] = []): Promise<T[]> {
    const result: QueryArrayResult<T> = await this.#client.query<T>({ text, values, rowMode: 'array' })
    return result.rows
  }

  async accounts(from: bigint, to: bigint): Promise<Map<bigint, AccountOpened[]>> {
    const rows = await this.rows<[bigint, bigint, string, string, string, string]>(
      `SELECT block_seq, id, path, currency, normal_side, limit_kind FROM ledger.account
        WHERE shard = $1 AND block_seq BETWEEN $2 AND $3 ORDER BY id`,
      [this.#shard, from, to],
    )
    const byBlock = new Map<bigint, AccountOpened[]>()
    for (const [seq, id, path, currency, normalSide, limit] of rows) {
      add(byBlock, seq, { id, path, currency, normalSide, limit })
    }
    return byBlock
  }

  async units(from: bigint, to: bigint): Promise<Map<bigint, (UnitRecord & { ordinal: number })[]>> {
    const rows = await this.rows<[bigint, number, string, Buffer, string | null, bigint, number]>(
      `SELECT block_seq, ordinal, key, body_hash, refusal, first_posting, postings FROM ledger.unit
        WHERE shard = $1 AND block_seq BETWEEN $2 AND $3 ORDER BY block_seq, ordinal`,
      [this.#shard, from, to],
    )
    const byBlock = new Map<bigint, (UnitRecord & { ordinal: number })[]>()
    for (const [seq, ordinal, key, hash, refusal, firstPosting, postings] of rows) {
      const fingerprint = hash.toString('hex')
      add(byBlock, seq, { key, fingerprint, refusal: refusal ?? undefined, firstPosting, postings, ordinal })
    }
    return byBlock
  }

  async postings(after: bigint, to: bigint): Promise<Map<bigint, StoredPosting>> {
    const postings = new Map<bigint, StoredPosting>()
    const rows = await this.rows<PostingRow>(
      `SELECT id, reference, kind, hold_id, reverses, ${ms('effective_at')}, ${ms('expires_at')}, meta,
              shard, block_seq, ${ms('recorded_at')}
         FROM ledger.posting WHERE id > $1 AND id <= $2`,
      [after, to],
    )
    for (const row of rows) {
      const [
        id,
        reference,
        kind,
        holdId,
        reverses,
        effectiveAt,
        expiresAt,
        meta,
        shard,
        blockSeq,
        recordedAt,
      ] = row
      if (postings.has(id)) throw bad('extra', 'posting', `posting ${id}`, 'is there twice')
      postings.set(id, {
        id,
        reference,
        kind,
        holdId: holdId ?? undefined,
        reverses: reverses ?? undefined,
        effectiveAt: Number(effectiveAt),
        expiresAt: expiresAt === null ? undefined : Number(expiresAt),
        meta: meta ?? undefined,
        entries: [],
        seqs: [],
        shard,
        blockSeq,
        recordedAt,
      })
    }
    const entries = await this.rows<EntryRow>(
      `SELECT posting_id, seq, layer, account_id, currency, amount, account_version,
              balance_after, debits_pending_after, credits_pending_after
         FROM ledger.entry WHERE posting_id > $1 AND posting_id <= $2 ORDER BY posting_id, seq`,
      [after, to],
    )
    for (const row of entries) {
      const posting = postings.get(row[0])
      if (posting === undefined)
        throw bad('missing', 'posting', `posting ${row[0]}`, 'is gone, its entries are not')
      posting.seqs.push(row[1])
      posting.entries.push({
        layer: row[2],
        accountId: row[3],
        currency: row[4],
        amount: row[5],
        accountVersion: row[6],
        balanceAfter: row[7],
        debitsPendingAfter: row[8],
        creditsPendingAfter: row[9],
      })
    }
    return postings
  }
}

/** A posting with what says where it stands. */
export interface StoredPosting extends Posting {
  readonly entries: Entry[]
  readonly seqs: number[]
  readonly shard: number
  readonly blockSeq: bigint
  readonly recordedAt: bigint
}

type PostingRow = [
  id: bigint,
  reference: string,
  kind: PostingKind,
  holdId: bigint | null,
  reverses: bigint | null,
  effectiveAt: bigint,
  expiresAt: bigint | null,
  meta: Record<string, string> | null,
  shard: number,
  blockSeq: bigint,
  recordedAt: bigint,
]

type EntryRow = [
  postingId: bigint,
  seq: number,
  layer: 0 | 1,
  accountId: bigint,
  currency: string,
  amount: bigint,
  accountVersion: bigint,
  balanceAfter: bigint,
  debitsPendingAfter: bigint,
  creditsPendingAfter: bigint,
]

/** A timestamp column as wall clock ms. */
export function ms(column: string): string {
  return `(extract(epoch FROM ${column}) * 1000)::bigint`
}

function add<K, V>(groups: Map<K, V[]>, key: K, value: V): void {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, [value])
  else group.push(value)
}
