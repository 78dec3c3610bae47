import { Bytes, metaBytes } from './canonical.ts'
import { blockVersion, genesisHash } from './chain.ts'
import type { AccountOpened } from './chain.ts'
import { msAt, numberAt } from './copied.ts'
import type { CopiedRows } from './copied.ts'
import { currencyAt, currencyOf, entryLayout } from './counters.ts'
import { Bad, bad } from './finding.ts'
import type { BadPlace, Finding } from './finding.ts'
import type { BlockRow, Page } from './pages.ts'
import type { HoldEntry, PostingFacts, Replay } from './replay.ts'

/**
 * Goes through the chain block by block. In one pass over a block's rows, as they came from the database, it sees that
 * each stands where it should, makes the bytes that `blockHash` makes (`chain.ts` says what they are; books that verify
 * prove the two to be the same), and lets the replay follow every posting. Three things can be wrong, and are told in
 * this order: a row that is not where it should be; one that does not follow from those before it; a hash that differs.
 */
export class BlockCheck {
  head = { seq: 0, hash: genesisHash, recordedAt: 0 }
  units = 0
  entries = 0
  lastPosting = 0
  lastAccount = 0
  readonly #shard: number
  readonly #replay: Replay
  readonly #bytes = new Bytes()
  readonly #sums = new Sums()
  /** The first thing that does not follow, while the rest of the block is still looked through. */
  #finding: Finding | undefined

  constructor(shard: number, replay: Replay) {
    this.#shard = shard
    this.#replay = replay
  }

  page(page: Page): void {
    for (const block of page.blocks) {
      try {
        this.#block(block, page)
      } catch (error) {
        // Whatever is wrong with a row was found on the way through this block.
        if (error instanceof Bad && error.place.block === undefined)
          throw new Bad({ ...error.place, block: BigInt(block.seq) })
        throw error
      }
    }
    strays(page)
  }

  #block(block: BlockRow, page: Page): void {
    const { seq, prev, recordedAt } = block
    this.#follows(block)
    const bytes = this.#bytes.clear().u8(blockVersion)
    bytes.u32(this.#shard).i64(seq).blob(prev).i64(recordedAt)
    this.#finding = undefined
    this.#accounts(block, page.accounts)
    const lastPosting = this.#units(block, page.units)
    bytes.u32(block.postings)
    while (this.lastPosting < lastPosting) this.#posting(block, page)
    const next = nextId(page.postings)
    if (next <= lastPosting) throw bad('extra', 'posting', `posting ${next}`, 'is there twice')
    this.#throwFinding(seq)
    if (!bytes.sha256().equals(block.hash)) {
      throw bad('altered', 'block', `block ${seq}`, 'or a row of it differs from what its hash was made of')
    }
    this.head = { seq, hash: block.hash, recordedAt }
    this.units += block.units
  }

  #throwFinding(seq: number): void {
    if (this.#finding !== undefined) throw new Bad({ ...this.#finding, block: BigInt(seq) })
  }

  #follows({ seq, prev, recordedAt }: BlockRow): void {
    if (seq !== this.head.seq + 1) throw bad('missing', 'block', `block ${this.head.seq + 1}`, 'is gone', seq)
    if (!prev.equals(this.head.hash)) {
      throw bad('altered', 'block', `block ${seq}`, 'does not follow the block before it')
    }
    if (!Number.isInteger(recordedAt) || recordedAt < this.head.recordedAt) {
      throw bad('altered', 'block', `block ${seq}`, 'is older than the block before it')
    }
  }

  #accounts({ seq, accounts: expected }: BlockRow, rows: CopiedRows): void {
    this.#bytes.u32(expected)
    const opened: AccountOpened[] = []
    while (rows.more && numberAt(rows.view, rows.at + 6) === seq) {
      rows.next()
      rows.fixed(8)
      const id = rows.view.getBigInt64(rows.fixed(8))
      opened.push({
        id,
        path: rows.text(),
        currency: rows.text(),
        normalSide: rows.text(),
        limit: rows.text(),
      })
    }
    if (opened.length !== expected) throw counted('account', seq, opened.length, expected)
    for (const account of opened) {
      this.lastAccount++
      if (account.id !== BigInt(this.lastAccount)) {
        const what = `stands where ${this.lastAccount} should`
        throw bad('reordered', 'account', `account ${account.id}`, what)
      }
      const { id, path, currency, normalSide, limit } = account
      this.#bytes.i64(id).text(path).text(currency).text(normalSide).text(limit)
      this.#replay.open(account)
    }
  }

  /** The number of the block's last posting, as its units say. */
  #units({ seq, units: expected, postings }: BlockRow, rows: CopiedRows): number {
    const bytes = this.#bytes.u32(expected)
    let ordinal = 0
    let wrong: number | undefined
    let last = this.lastPosting
    for (; rows.more && numberAt(rows.view, rows.at + 6) === seq; ordinal++) {
      rows.next()
      rows.fixed(8)
      const ordinalStored = rows.int4()
      const firstAt = rows.fixed(8)
      const count = rows.int4()
      const { view } = rows
      if (ordinalStored !== ordinal || numberAt(view, firstAt) !== last + 1 || count < 0) wrong ??= ordinal
      const keyAt = rows.lengthy()
      bytes.copy(view, keyAt, rows.at - keyAt)
      const hashAt = rows.lengthy()
      bytes.hex(view, hashAt + 4, rows.at - hashAt - 4)
      bytes.optional(rows.optionalText(), (refusal) => bytes.text(refusal))
      bytes.copy(view, firstAt, 8).u32(count)
      last += count
    }
    if (ordinal !== expected) throw counted('unit', seq, ordinal, expected)
    if (wrong !== undefined) throw bad('altered', 'unit', `unit ${wrong} of block ${seq}`, 'is out of order')
    if (last !== this.lastPosting + postings) {
      throw bad('altered', 'unit', `block ${seq}`, 'has units whose postings are not those of the block')
    }
    return last
  }

  #posting(block: BlockRow, { postings: rows, entries }: Page): void {
    const id = this.lastPosting + 1
    const row = `posting ${id}`
    const stored = nextId(rows)
    if (stored < id) throw bad('extra', 'posting', `posting ${stored}`, 'is there twice')
    if (stored !== id) throw bad('missing', 'posting', row, 'is gone')
    rows.next()
    const idAt = rows.fixed(8)
    const [shard, blockSeq, recordedAt] = [rows.int2(), rows.int8(), rows.ms()]
    if (shard !== this.#shard || blockSeq !== block.seq || recordedAt !== block.recordedAt) {
      throw bad('altered', 'posting', row, 'is not marked as of its block')
    }
    const facts = this.#postingBytes(rows, idAt, id)
    const countAt = this.#bytes.length
    this.#bytes.u32(0)
    const before = this.entries
    const held = this.#postingEntries(entries, facts)
    this.#bytes.replaceU32(countAt, this.entries - before)
    this.#finding ??= findingOf('altered', 'posting', row, this.#replay.post(facts, held))
    this.lastPosting = id
  }

  #postingBytes(rows: CopiedRows, idAt: number, id: number): PostingFacts {
    const { view } = rows
    const effectiveAt = whole(rows.ms(), id)
    const expiresAtAt = rows.nullable(8)
    const expiresAt = expiresAtAt === -1 ? undefined : whole(msAt(view, expiresAtAt), id)
    const holdAt = rows.nullable(8)
    const reversesAt = rows.nullable(8)
    const referenceAt = rows.lengthy()
    const kindAt = rows.lengthy()
    const kind = kindIn(rows, kindAt)
    const meta = metaIn(rows, id)
    const bytes = this.#bytes.copy(view, idAt, 8).copy(view, referenceAt, kindAt - referenceAt)
    bytes.copy(view, kindAt, 4 + view.getInt32(kindAt))
    for (const at of [holdAt, reversesAt]) {
      if (at === -1) bytes.u8(0)
      else bytes.u8(1).copy(view, at, 8)
    }
    bytes.i64(effectiveAt)
    if (expiresAt === undefined) bytes.u8(0)
    else bytes.u8(1).i64(expiresAt)
    bytes.optional(meta, (present) => metaBytes(bytes, present))
    return {
      id,
      kind,
      holdId: holdAt === -1 ? undefined : numberAt(view, holdAt),
      reverses: reversesAt === -1 ? undefined : numberAt(view, reversesAt),
      expiresAt,
      meta,
    }
  }

  /** Takes the posting's entries; those of one about a hold are also handed back. */
  #postingEntries(rows: CopiedRows, { id, kind }: PostingFacts): readonly HoldEntry[] {
    const { view } = rows
    const takesBack = takingBack.has(kind)
    const isAboutHold = takesBack || kind === 'authorize' || kind === 'increment'
    const held: HoldEntry[] = []
    let seq = 0
    let wrong: string | undefined
    let wrongAt = 0
    this.#sums.clear()
    for (; rows.more; seq++) {
      const at = rows.at
      const posting = numberAt(view, at + entryLayout.posting)
      if (posting > id) break
      const row = `entry ${seq} of posting ${id}`
      if (posting < id) throw bad('missing', 'posting', `posting ${posting}`, 'is gone, its entries are not')
      if (!isWhole(view, at)) throw bad('altered', 'entry', row, 'lacks a value')
      const stored = view.getInt16(at + entryLayout.seq)
      if (stored < seq) throw bad('extra', 'entry', `entry ${stored} of posting ${id}`, 'is there twice')
      if (stored !== seq) throw bad('missing', 'entry', row, 'is gone')
      rows.at = at + entryLayout.currency
      rows.lengthy()
      this.#entryBytes(view, at, rows.at)
      this.#sums.add(view, at)
      if (wrong === undefined && this.#finding === undefined) {
        const account = numberAt(view, at + entryLayout.account)
        wrong = this.#replay.counters.enter(view, at, account, takesBack)
        wrongAt = seq
      }
      if (isAboutHold) held.push(holdEntry(rows, at))
    }
    this.entries += seq
    this.#finding ??=
      findingOf('unbalanced', 'posting', `posting ${id}`, this.#sums.imbalance()) ??
      findingOf('altered', 'entry', `entry ${wrongAt} of posting ${id}`, wrong)
    return held
  }

  #entryBytes(view: DataView, at: number, end: number): void {
    const bytes = this.#bytes.u8(view.getInt16(at + entryLayout.layer))
    bytes.copy(view, at + entryLayout.account, 8)
    bytes.copy(view, at + entryLayout.currency, end - at - entryLayout.currency)
    bytes.copy(view, at + entryLayout.amount, 8).copy(view, at + entryLayout.version, 8)
    bytes.copy(view, at + entryLayout.balance, 8)
    bytes.copy(view, at + entryLayout.pendingDebits, 8).copy(view, at + entryLayout.pendingCredits, 8)
  }
}

/** What a page still has when its blocks have taken what is theirs. */
function strays({ accounts, units, postings, entries }: Page): void {
  const rest = Object.entries({ account: accounts, unit: units, posting: postings, entry: entries })
  for (const [table, rows] of rest) {
    if (!rows.more) continue
    const id = numberAt(rows.view, rows.at + 6)
    if (table === 'entry') throw bad('missing', 'posting', `posting ${id}`, 'is gone, its entries are not')
    throw bad('extra', table, `${table} of ${table === 'posting' ? id : `block ${id}`}`, 'is one too many')
  }
}

/** What the next row begins with. */
function nextId(rows: CopiedRows): number {
  return rows.more ? numberAt(rows.view, rows.at + 6) : Number.POSITIVE_INFINITY
}

function counted(table: string, seq: number, found: number, expected: number): Bad {
  const what = `${found} ${table}s where it has ${expected}`
  return bad(found < expected ? 'missing' : 'extra', table, `block ${seq}`, what)
}

function findingOf(
  kind: BadPlace['kind'],
  table: string,
  row: string,
  what: string | undefined,
): Finding | undefined {
  return what === undefined ? undefined : { kind, table, row, what }
}

function whole(ms: number, id: number): number {
  if (Number.isInteger(ms)) return ms
  throw bad('altered', 'posting', `posting ${id}`, 'has a time finer than a millisecond')
}

/** What they have on the pending layer lets go of what was set aside. */
const takingBack = new Set(['capture', 'release', 'void', 'expire'])

const postText = 0x706f7374

function kindIn({ view, buffer }: CopiedRows, at: number): string {
  const bytes = view.getInt32(at)
  if (bytes === 4 && view.getInt32(at + 4) === postText) return 'post'
  return buffer.toString('latin1', at + 4, at + 4 + bytes)
}

/** JSONB is sent as a version byte and its text. */
function metaIn(rows: CopiedRows, id: number): Readonly<Record<string, string>> | undefined {
  const text = rows.optionalText()
  if (text === undefined) return undefined
  const meta = JSON.parse(text.slice(1)) as unknown
  const isTexts =
    typeof meta === 'object' &&
    meta !== null &&
    Object.values(meta).every((value) => typeof value === 'string')
  if (isTexts && !Array.isArray(meta)) return meta as Record<string, string>
  throw bad('altered', 'posting', `posting ${id}`, 'has a meta that is not names and texts')
}

const { posting, seq, layer, ...eightBytes } = entryLayout
const eightByteFields = [posting, ...Object.values(eightBytes)].filter((at) => at !== entryLayout.currency)

/** Whether each fixed field of an entry is there, so that all stand where the layout says. */
function isWhole(view: DataView, at: number): boolean {
  if (view.getInt32(at + seq - 4) !== 2 || view.getInt32(at + layer - 4) !== 2) return false
  for (const field of eightByteFields) if (view.getInt32(at + field - 4) !== 8) return false
  return true
}

function holdEntry({ view, buffer, at: end }: CopiedRows, at: number): HoldEntry {
  return {
    layer: view.getInt16(at + entryLayout.layer),
    accountId: view.getBigInt64(at + entryLayout.account),
    currency: buffer.toString('utf8', at + entryLayout.currency + 4, end),
    amount: view.getBigInt64(at + entryLayout.amount),
  }
}

/**
 * The sum of a posting by currency and layer, in two halves so that it is exact without big numbers: 32,768 entries
 * are the most there can be, and each half of an amount has 32 bits.
 */
class Sums {
  readonly #keys: number[] = []
  readonly #high: number[] = []
  readonly #low: number[] = []

  clear(): void {
    this.#keys.length = 0
    this.#high.length = 0
    this.#low.length = 0
  }

  add(view: DataView, at: number): void {
    const key = currencyAt(view, at + entryLayout.currency) * 65_536 + view.getUint16(at + layer)
    let place = this.#keys.indexOf(key)
    if (place === -1) {
      place = this.#keys.push(key) - 1
      this.#high.push(0)
      this.#low.push(0)
    }
    this.#high[place]! += view.getInt32(at + entryLayout.amount)
    this.#low[place]! += view.getUint32(at + entryLayout.amount + 4)
  }

  /** Undefined when all are zero. */
  imbalance(): string | undefined {
    for (let place = 0; place < this.#keys.length; place++) {
      const [high, low] = [this.#high[place]!, this.#low[place]!]
      if (low % 4_294_967_296 === 0 && high + low / 4_294_967_296 === 0) continue
      const sum = BigInt(high) * 4_294_967_296n + BigInt(low)
      return `is off balance by ${sum} in ${currencyOf(Math.floor(this.#keys[place]! / 65_536))}`
    }
    return undefined
  }
}
