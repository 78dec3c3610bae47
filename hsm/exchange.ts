/**
 * Keys that a peer sends in a message, under a key that was exchanged by people. The row comes first, as pending, so that
 * a version which is on the token is used by nobody before it is said to be; a key that comes again is the same version.
 * The key is in this process's memory twice for a moment: to learn its name, and to put it on the token.
 */
import type { Context } from './commands/context.ts'
import { withKeyBlock } from './commands/tr31.ts'
import { refText } from './commands/request.ts'
import type { Request } from './commands/request.ts'
import { HsmError } from './fault.ts'
import { algorithmOf, fits, isDes, KeyRefusal, refuseWeak, refuseWeakProtection } from './key-checks.ts'
import type { KeyState } from './key-table.ts'
import { labelOf, purposeOf } from './key.ts'
import type { KeyName } from './key.ts'
import { clearKey } from './keys.ts'
import { kcvOf } from './kcv.ts'
import { objectsOf } from './objects.ts'
import type { ClearKey } from './objects.ts'
import { hasOddParity } from './soft.ts'
import type { Fields } from './wire.ts'

/** The database's part: rows of what `text` asks, within the time that the caller has. */
export type Ask = <Row extends object>(text: string, values: readonly unknown[]) => Promise<Row[]>

interface KnownVersion {
  readonly version: number
  readonly kcv: string
  readonly state: KeyState
}

const inUse: readonly KeyState[] = ['pending', 'arriving', 'active']

/** Answers `ref`, `version` and `kcv`. Throws `HsmError` `refused` for a block that is not a key of ours. */
export async function receiveKey(context: Context, request: Request, ask: Ask): Promise<Fields> {
  if (context.token.driver === 'twin') throw refused('unsupported')
  const kbpk = request.text('kbpk', refText)
  const peer = request.text('peer', /^[a-z0-9-]{1,24}$/)
  const sent: Sent = {
    kbpk,
    block: request.text('block', /^[0-9A-Z]{16,9992}$/),
    refs: request.text('refs', /^[a-z0-9. -]{5,200}$/).split(' '),
    ...(request.has('kcv') ? { kcv: request.text('kcv', /^[0-9A-F]{4,6}$/) } : {}),
  }
  const name = opened(context, sent, (key) => nameOf(key, 0))
  const rows = await ask<KnownVersion>('SELECT version, kcv, state FROM vault.key WHERE ref = $1', [name.ref])
  const there = rows.find(({ kcv }) => kcv === name.kcv)
  // A recorded message of last year's must not bring last year's key back.
  if (there !== undefined && !inUse.includes(there.state)) throw refused('oldKey')
  const onToken = context.keys.names().filter(({ ref }) => ref === name.ref)
  if (there === undefined && rows.length === 0 && onToken.some(({ kcv }) => kcv === name.kcv)) {
    throw refused('oldKey')
  }
  const newest = Math.max(0, ...rows.map(({ version }) => version), ...onToken.map(({ version }) => version))
  const version = there?.version ?? newest + 1
  if (there === undefined) {
    const under = context.keys.active(kbpk, ['K1'], ['B', 'D']).name
    const { ref, usage, mode, algorithm, kcv } = name
    await ask('SELECT vault.receive_key($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)', [
      ...[ref, version, usage, mode, algorithm, kcv, peer],
      ...[labelOf(kbpk, under.version), JSON.stringify(onToken)],
    ])
  }
  store(context, sent, version)
  return { ref: name.ref, version, kcv: name.kcv, state: there?.state ?? 'pending' }
}

/** Answers the `state` that the version is in then. */
export async function advanceKey(request: Request, ask: Ask): Promise<Fields> {
  const [row] = await ask<{ state: string | null }>('SELECT vault.advance_key($1, $2, $3, $4) AS state', [
    request.text('ref', refText),
    request.whole('version', { min: 1, max: 999 }),
    request.oneOf('to', ['arriving', 'active']),
    request.whole('graceSeconds', { min: 0, max: 86_400 }),
  ])
  if (row === undefined || row.state === null) throw refused('unknownKey')
  return { state: row.state }
}

interface Sent {
  readonly kbpk: string
  readonly block: string
  /** What it may be: the peer's PIN key, its key for seals. The block says which. */
  readonly refs: readonly string[]
  readonly kcv?: string
}

/** Opens the block, and lends the key if it is one that may come in. */
function opened<Result>(
  context: Context,
  { kbpk, block, refs, kcv }: Sent,
  use: (key: Omit<ClearKey, 'version'>) => Result,
): Result {
  return withKeyBlock(context, { kbpk, block }, (value, header) => {
    const algorithm = checked(() => algorithmOf(header, value.length))
    const protector = context.keys.active(kbpk, ['K1'], ['B', 'D']).name.algorithm
    checked(() => refuseWeakProtection(protector, algorithm))
    for (const ref of refs) {
      const purpose = purposeOf(ref, algorithm)
      if (purpose?.usage !== header.usage || !fits(purpose.mode, header.mode)) continue
      // What the peer's messages are made for does not change with a key: another algorithm is agreed upon first.
      if (context.keys.active(ref, [purpose.usage], [purpose.mode]).name.algorithm !== algorithm) continue
      const name = { ref, algorithm, ...purpose, kcv: kcvOf(algorithm, value) }
      if (kcv !== undefined && !name.kcv.startsWith(kcv)) throw refused('kcvDiffers')
      checked(() => refuseWeak(algorithm, value))
      if (isDes(algorithm) && !hasOddParity(value)) throw refused('badRequest')
      return use({ ...name, value })
    }
    throw refused('wrongUsage')
  })
}

function store(context: Context, sent: Sent, version: number): void {
  // Another process on the same token may have put it there a moment ago, and a token takes two objects of one name.
  context.token.refresh()
  opened(context, sent, ({ ref, algorithm, value }) => {
    const there = new Set(context.token.objects().map(({ label }) => label))
    for (const object of objectsOf(clearKey({ ref, version, algorithm, value }))) {
      if (!there.has(object.label)) context.token.create(object)
      if (object.value !== value) object.value.fill(0)
    }
  })
}

function nameOf({ ref, usage, mode, algorithm, kcv }: Omit<ClearKey, 'version'>, version: number): KeyName {
  return { ref, version, usage, mode, algorithm, kcv }
}

function checked<Result>(check: () => Result): Result {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof KeyRefusal)) throw error
    throw refused(error.code === 'weakKey' ? 'weakKey' : 'badRequest')
  }
}

function refused(why: (HsmError['fault'] & { readonly kind: 'refused' })['why']): HsmError {
  return new HsmError({ kind: 'refused', why })
}
