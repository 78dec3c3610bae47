import { Bytes, metaBytes } from './canonical.ts'
import type { Posting } from './books.ts'

/**
 * The hash chain over the books: one block a commit, whose hash covers the block before it and everything the
 * commit added to the books. Other rooms' rows are covered by the hash of the unit that wrote them.
 */
export interface Block {
  readonly shard: number
  readonly seq: bigint
  readonly prev: Uint8Array
  /** Wall clock ms of the database. */
  readonly recordedAt: number
  readonly accounts: readonly AccountOpened[]
  readonly units: readonly UnitRecord[]
  readonly postings: readonly Posting[]
}

export interface AccountOpened {
  readonly id: bigint
  readonly path: string
  readonly currency: string
  readonly normalSide: string
  readonly limit: string
}

export interface UnitRecord {
  readonly key: string
  /** Hexadecimal. */
  readonly fingerprint: string
  readonly refusal: string | undefined
  readonly firstPosting: bigint
  readonly postings: number
}

export const genesisHash: Uint8Array = new Uint8Array(32)

export const blockVersion = 1

export function blockHash(block: Block): Buffer {
  return new BlockBytes(block).hash(block.recordedAt)
}

/** The bytes of a block, made before it is known when it is recorded. */
export class BlockBytes {
  readonly #bytes: Bytes
  readonly #recordedAtAt: number

  constructor(block: Omit<Block, 'recordedAt'>) {
    const bytes = new Bytes().u8(blockVersion)
    bytes.u32(block.shard).i64(block.seq).blob(block.prev)
    this.#recordedAtAt = bytes.length
    contentBytes(bytes.i64(0), block)
    this.#bytes = bytes
  }

  hash(recordedAt: number): Buffer {
    return this.#bytes.replaceI64(this.#recordedAtAt, recordedAt).sha256()
  }
}

function contentBytes(bytes: Bytes, block: Pick<Block, 'accounts' | 'units' | 'postings'>): void {
  bytes.list(block.accounts, (account) => {
    bytes.i64(account.id).text(account.path).text(account.currency)
    bytes.text(account.normalSide).text(account.limit)
  })
  bytes.list(block.units, (unit) => {
    bytes.text(unit.key).text(unit.fingerprint)
    bytes.optional(unit.refusal, (refusal) => bytes.text(refusal))
    bytes.i64(unit.firstPosting).u32(unit.postings)
  })
  bytes.list(block.postings, (posting) => postingBytes(bytes, posting))
}

function postingBytes(bytes: Bytes, posting: Posting): void {
  bytes.i64(posting.id).text(posting.reference).text(posting.kind)
  bytes.optional(posting.holdId, (id) => bytes.i64(id))
  bytes.optional(posting.reverses, (id) => bytes.i64(id))
  bytes.i64(posting.effectiveAt)
  bytes.optional(posting.expiresAt, (at) => bytes.i64(at))
  bytes.optional(posting.meta, (meta) => metaBytes(bytes, meta))
  bytes.list(posting.entries, (entry) => {
    bytes.u8(entry.layer).i64(entry.accountId).text(entry.currency).i64(entry.amount)
    bytes.i64(entry.accountVersion).i64(entry.balanceAfter)
    bytes.i64(entry.debitsPendingAfter).i64(entry.creditsPendingAfter)
  })
}
