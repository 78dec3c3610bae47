import { createPublicKey, verify as verifySignature } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { databaseError } from '../kernel/database.ts'
import { Bytes } from './canonical.ts'
import type { Reader } from './reports.ts'

/**
 * Checkpoints: the head of the chain, signed, in a file that lives elsewhere than the database. Whoever owns the
 * database can cut the chain's tail or make all of it anew so that it verifies; what they cannot do is make it agree
 * with a signature that was given before, over a head that is kept where they don't reach.
 */
export interface Checkpoint {
  readonly shard: number
  readonly seq: bigint
  /** Hexadecimal, as are the next two. */
  readonly hash: string
  /** Of the checkpoint before; none is taken out unnoticed. */
  readonly previous: string
  readonly signature: string
  readonly keyId: string
}

/**
 * Signs what a checkpoint says: the HSM in production. ECDSA over P-256 and SHA-256 as r‖s (FIPS 186-5), or Ed25519
 * (RFC 8032); the public key says which.
 */
export type Sign = (bytes: Uint8Array) => Promise<{ readonly keyId: string; readonly signature: Uint8Array }>

export type AnchorFault =
  /** The file is not there, or not ours to read. */
  { readonly kind: 'unreadable' } | { readonly kind: 'malformed'; readonly line: number }

export class AnchorError extends Error {
  override readonly name = 'AnchorError'
  readonly fault: AnchorFault

  constructor(fault: AnchorFault) {
    super(
      fault.kind === 'unreadable'
        ? 'no anchors to read'
        : `line ${fault.line} of the anchors is no checkpoint`,
    )
    this.fault = fault
  }
}

const nothingBefore = '00'.repeat(32)

/**
 * Signs the head of the chain and appends it to the file, on disk before this resolves; undefined when the head has
 * not moved since the last one. One process at a time anchors to a file. Throws `DatabaseError`, `AnchorError`, and
 * what `sign` throws.
 */
export async function anchorHead(options: {
  readonly reader: Reader
  readonly file: string
  readonly sign: Sign
  readonly shard?: number
}): Promise<Checkpoint | undefined> {
  const shard = options.shard ?? 0
  const head = await headOf(options.reader, shard)
  const last = (await readAnchors(options.file, { mayBeAbsent: true })).at(-1)
  if (head === undefined || head.seq === 0n || last?.seq === head.seq) return undefined
  const previous = last === undefined ? nothingBefore : bytesOf(last).sha256().toString('hex')
  const said = { shard, seq: head.seq, hash: head.hash, previous }
  const { keyId, signature } = await options.sign(bytesOf(said).sha256())
  const checkpoint = { ...said, keyId, signature: Buffer.from(signature).toString('hex') }
  const file = await open(options.file, 'a', 0o644)
  try {
    await file.writeFile(`${JSON.stringify({ ...checkpoint, seq: Number(checkpoint.seq) })}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  return checkpoint
}

async function headOf(reader: Reader, shard: number): Promise<{ seq: bigint; hash: string } | undefined> {
  try {
    const { rows } = await reader.query<{ seq: bigint; hash: string }>(
      `SELECT head_seq AS seq, encode(head_hash, 'hex') AS hash FROM ledger.shard WHERE shard = $1`,
      [shard],
    )
    return rows[0]
  } catch (error) {
    throw databaseError(error)
  }
}

export interface AnchorFinding {
  readonly kind: 'forged' | 'reordered' | 'truncated' | 'rechained'
  readonly seq: bigint
  readonly what: string
}

/**
 * The first checkpoint that the books do not bear out. `keys` are public keys (SPKI, PEM) by their id; a signature
 * under a key that is not among them is `forged`. Throws `AnchorError` or `DatabaseError` when it cannot look.
 */
export async function checkAnchors(options: {
  readonly reader: Reader
  readonly file: string
  readonly keys: ReadonlyMap<string, string>
}): Promise<{ readonly anchors: number; readonly lastSeq: bigint; readonly bad: AnchorFinding | undefined }> {
  const anchors = await readAnchors(options.file)
  const lastSeq = anchors.at(-1)?.seq ?? 0n
  const bad = ownFault(anchors, options.keys) ?? (await differenceFromBooks(options.reader, anchors))
  return { anchors: anchors.length, lastSeq, bad }
}

function ownFault(
  anchors: readonly Checkpoint[],
  keys: ReadonlyMap<string, string>,
): AnchorFinding | undefined {
  let previous = nothingBefore
  let seq = 0n
  for (const anchor of anchors) {
    const digest = bytesOf(anchor).sha256()
    const key = keys.get(anchor.keyId)
    const signature = Buffer.from(anchor.signature, 'hex')
    if (key === undefined || !isSigned(digest, key, signature)) {
      return { kind: 'forged', seq: anchor.seq, what: 'a checkpoint is not signed by a known key' }
    }
    if (anchor.previous !== previous || anchor.seq <= seq) {
      return { kind: 'reordered', seq: anchor.seq, what: 'a checkpoint does not follow the one before it' }
    }
    previous = digest.toString('hex')
    seq = anchor.seq
  }
  return undefined
}

/** What `checkAnchors` takes, from the uncompressed point of a P-256 key as an HSM tells it (RFC 5480, 65 bytes). */
export function publicKeyPem(point: Uint8Array): string {
  const spki = Buffer.concat([p256Prefix, point])
  return createPublicKey({ key: spki, format: 'der', type: 'spki' })
    .export({ type: 'spki', format: 'pem' })
    .toString()
}

const p256Prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex')

function isSigned(digest: Uint8Array, pem: string, signature: Uint8Array): boolean {
  const key = createPublicKey(pem)
  return key.asymmetricKeyType === 'ec'
    ? verifySignature('sha256', digest, { key, dsaEncoding: 'ieee-p1363' }, signature)
    : verifySignature(null, digest, key, signature)
}

async function differenceFromBooks(
  reader: Reader,
  anchors: readonly Checkpoint[],
): Promise<AnchorFinding | undefined> {
  try {
    const { rows } = await reader.query<{ seq: bigint; hash: string | null }>(
      `SELECT wanted.seq, encode(b.hash, 'hex') AS hash
         FROM unnest($1::smallint[], $2::bigint[], $3::text[]) AS wanted(shard, seq, hash)
         LEFT JOIN ledger.block b ON b.shard = wanted.shard AND b.seq = wanted.seq
        WHERE encode(b.hash, 'hex') IS DISTINCT FROM wanted.hash
        ORDER BY wanted.seq LIMIT 1`,
      [anchors.map(({ shard }) => shard), anchors.map(({ seq }) => seq), anchors.map(({ hash }) => hash)],
    )
    const [first] = rows
    if (first === undefined) return undefined
    return first.hash === null
      ? { kind: 'truncated', seq: first.seq, what: 'a block that was anchored is gone' }
      : { kind: 'rechained', seq: first.seq, what: 'a block is another than the one that was anchored' }
  } catch (error) {
    throw databaseError(error)
  }
}

async function readAnchors(file: string, options: { mayBeAbsent?: boolean } = {}): Promise<Checkpoint[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (absent && options.mayBeAbsent === true) return []
    throw new AnchorError({ kind: 'unreadable' })
  }
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line, index) => parse(line) ?? fail(index + 1))
}

function fail(line: number): never {
  throw new AnchorError({ kind: 'malformed', line })
}

function parse(line: string): Checkpoint | undefined {
  let read: Record<string, unknown>
  try {
    read = JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
  const { shard, seq, hash, previous, signature, keyId } = read
  const isHex = (value: unknown): value is string =>
    typeof value === 'string' && /^([0-9a-f]{2})+$/.test(value)
  if (!Number.isSafeInteger(shard) || !Number.isSafeInteger(seq) || typeof keyId !== 'string')
    return undefined
  if (!isHex(hash) || !isHex(previous) || !isHex(signature)) return undefined
  return { shard: shard as number, seq: BigInt(seq as number), hash, previous, signature, keyId }
}

const checkpointVersion = 1

function bytesOf({
  shard,
  seq,
  hash,
  previous,
}: Pick<Checkpoint, 'shard' | 'seq' | 'hash' | 'previous'>): Bytes {
  const bytes = new Bytes().u8(checkpointVersion).text('mafraq ledger checkpoint')
  return bytes.u32(shard).i64(seq).text(hash).text(previous)
}
