/**
 * The life of keys, for development and small sites: made, imported, rotated, retired, each act by two people and
 * signed. A site with a real HSM loads keys by that vendor's ceremony, and uses this for states only.
 */
import type { DatabaseClient } from '../kernel/database.ts'
import type { Context } from './commands/context.ts'
import { sealKeyBlock, withKeyBlock } from './commands/tr31.ts'
import { listKeys } from './inventory.ts'
import type { InventoryRow } from './inventory.ts'
import { auditKey, writeAct } from './key-acts.ts'
import type { KeyAct } from './key-acts.ts'
import { algorithmOf, fits, isDes, KeyRefusal, refuseWeak, refuseWeakProtection } from './key-checks.ts'
import { KeyTable } from './key-table.ts'
import { keyBytes, labelOf, parseLabel, purposeOf } from './key.ts'
import type { Algorithm, KeyName, Mode } from './key.ts'
import { clearKey, destroyKey, randomKey } from './keys.ts'
import { kcvOf } from './kcv.ts'
import { objectsOf } from './objects.ts'
import type { InspectedObject, OtherToken } from './other-token.ts'
import { hasOddParity, setOddParity } from './soft.ts'
import type { Token } from './token.ts'

/** The two who are there. */
export interface People {
  readonly by: string
  readonly witness: string
}

export interface Keeper {
  readonly token: Token
  readonly database: DatabaseClient
  /** Further tokens that get every key too. Signing keys are made inside `token`, and are there only. */
  readonly others?: readonly OtherToken[]
}

interface NewKey extends People {
  readonly ref: string
  readonly algorithm: Algorithm
  readonly peer?: string
}

/** Makes a random key as the next, pending version; with `kbpk`, its key block for the peer is the answer's `block`. */
export async function generateKey(
  keeper: Keeper,
  request: NewKey & { readonly kbpk?: string },
): Promise<{ readonly key: KeyName; readonly block?: string }> {
  const { kbpk } = request
  if (kbpk !== undefined) refuseWeakProtection(protectorOf(keeper, kbpk), request.algorithm)
  const value = request.algorithm === 'EC-P256' ? undefined : randomKey(request.algorithm)
  const key = await store(keeper, {
    ...request,
    value,
    act: 'generate',
    exportability: kbpk === undefined ? 'N' : 'E',
  })
  if (kbpk === undefined || value === undefined) {
    value?.fill(0)
    return { key }
  }
  const mode = peerMode(key.mode)
  const block = sealKeyBlock(contextOf(keeper.token), {
    ...{ kbpk, key: value, usage: key.usage, algorithm: key.algorithm, mode, exportability: 'N' },
    keyVersion: (key.version % 100).toString().padStart(2, '0'),
  })
  value.fill(0)
  return { key, block }
}

/** One person's part of a key, with the check value that they have been given with it. */
export interface Component {
  readonly value: Buffer
  readonly kcv: string
}

/** Two or three components, exclusive-or'd; each checked against its own check value, the whole against `kcv`. */
export async function importComponents(
  keeper: Keeper,
  request: NewKey & { readonly components: readonly Component[]; readonly kcv: string },
): Promise<KeyName> {
  const { components, algorithm } = request
  if (components.length < 2 || components.length > 3) throw new KeyRefusal('notEnoughComponents')
  const value = Buffer.alloc(keyBytes[algorithm])
  try {
    for (const component of components) {
      if (component.value.length !== value.length) throw new KeyRefusal('wrongLength')
      if (kcvOf(algorithm, component.value) !== component.kcv.toUpperCase())
        throw new KeyRefusal('kcvDiffers')
      for (let index = 0; index < value.length; index++) value[index]! ^= component.value[index]!
    }
    // DES ignores parity bits, and so does the check value; two components of odd parity make an even one.
    if (isDes(algorithm)) setOddParity(value)
    if (kcvOf(algorithm, value) !== request.kcv.toUpperCase()) throw new KeyRefusal('kcvDiffers')
    return await store(keeper, { ...request, value, act: 'import components', exportability: 'N' })
  } finally {
    value.fill(0)
    for (const component of components) component.value.fill(0)
  }
}

/** A key block from a peer (X9.143), whose usage must be the reference's. */
export async function importBlock(
  keeper: Keeper,
  request: Omit<NewKey, 'algorithm'> & {
    readonly kbpk: string
    readonly block: string
    readonly kcv?: string
  },
): Promise<KeyName> {
  const copy = Buffer.alloc(64)
  try {
    const { header, bytes } = withKeyBlock(contextOf(keeper.token), request, (key, head) => {
      copy.set(key)
      return { header: head, bytes: key.length }
    })
    const value = copy.subarray(0, bytes)
    const algorithm = algorithmOf(header, bytes)
    refuseWeakProtection(protectorOf(keeper, request.kbpk), algorithm)
    const purpose = purposeOf(request.ref, algorithm)
    if (purpose?.usage !== header.usage || !fits(purpose.mode, header.mode))
      throw new KeyRefusal('wrongUsage')
    if (isDes(algorithm) && !hasOddParity(value)) throw new KeyRefusal('wrongParity')
    if (request.kcv !== undefined && kcvOf(algorithm, value) !== request.kcv.toUpperCase()) {
      throw new KeyRefusal('kcvDiffers')
    }
    return await store(keeper, { ...request, algorithm, value, act: 'import block', exportability: 'N' })
  } finally {
    copy.fill(0)
  }
}

/** The newest pending version becomes active, and the active one is honoured for `graceSeconds` more. */
export async function rotateKey(
  keeper: Keeper,
  { ref, graceSeconds, ...people }: People & { readonly ref: string; readonly graceSeconds: number },
): Promise<number> {
  checkPeople(people)
  const rows = (await listKeys(keeper.database)).filter((row) => row.ref === ref)
  // The newest: what was made before it and never came into use has been replaced by it.
  const next = rows.findLast((row) => row.state === 'pending')
  if (next === undefined) throw new KeyRefusal(rows.length === 0 ? 'noSuchKey' : 'wrongState')
  await inTransaction(keeper.database, async () => {
    await keeper.database.query(
      `UPDATE vault.key SET state = 'previous', grace_until = now() + make_interval(secs => $2)
        WHERE ref = $1 AND state = 'active'`,
      [ref, graceSeconds],
    )
    await keeper.database.query(
      "UPDATE vault.key SET state = 'retired' WHERE ref = $1 AND state = 'pending' AND version < $2",
      [ref, next.version],
    )
    await keeper.database.query(
      "UPDATE vault.key SET state = 'active', active_from = now() WHERE ref = $1 AND version = $2",
      [ref, next.version],
    )
    await act(keeper, { act: 'rotate', ref, version: next.version, kcv: next.kcv, graceSeconds, ...people })
  })
  return next.version
}

/** Ends a version's use; with `destroy`, its objects leave the token too. The active version cannot be retired. */
export async function retireKey(
  keeper: Keeper,
  {
    ref,
    version,
    destroy,
    ...people
  }: People & { readonly ref: string; readonly version: number; readonly destroy: boolean },
): Promise<void> {
  checkPeople(people)
  const row = (await listKeys(keeper.database)).find((one) => one.ref === ref && one.version === version)
  if (row === undefined) throw new KeyRefusal('noSuchKey')
  if (row.state === 'active' || row.state === 'destroyed') throw new KeyRefusal('wrongState')
  if (await neededByVault(keeper.database, labelOf(ref, version))) throw new KeyRefusal('stillNeeded')
  const state = destroy ? 'destroyed' : 'retired'
  await inTransaction(keeper.database, async () => {
    await keeper.database.query('UPDATE vault.key SET state = $3 WHERE ref = $1 AND version = $2', [
      ref,
      version,
      state,
    ])
    await act(keeper, { act: destroy ? 'destroy' : 'retire', ref, version, kcv: row.kcv, ...people })
  })
  if (!destroy) return
  const label = labelOf(ref, version)
  destroyKey(keeper.token, label)
  for (const other of keeper.others ?? []) await other.destroy(label)
}

async function neededByVault(database: DatabaseClient, label: string): Promise<boolean> {
  const { rows } = await database.query<{ needed: boolean }>(
    `SELECT EXISTS (SELECT FROM vault.card WHERE fingerprint_key = $1)
         OR EXISTS (SELECT FROM vault.data_key WHERE kek = $1 AND state <> 'retired') AS needed`,
    [label],
  )
  return rows[0]?.needed !== false
}

/** What the inventory and the tokens do not agree on; empty when all is well. */
export async function checkInventory({ token, database, others }: Keeper): Promise<string[]> {
  const rows = await listKeys(database)
  const here = token.objects().map((object) => ({ ...object, unsafe: token.unsafe(object) }))
  const found = differences(rows, here)
  const shared = rows.filter(({ usage }) => usage !== 'S0')
  for (const other of others ?? []) {
    found.push(...differences(shared, await other.inspect()).map((line) => `token ${other.name}: ${line}`))
  }
  return found
}

function differences(rows: readonly InventoryRow[], objects: readonly InspectedObject[]): string[] {
  const expected = new Map(rows.map((row) => [labelOf(row.ref, row.version), row]))
  const found: string[] = []
  for (const object of objects) {
    const label = object.label.split('#')[0]!
    const row = expected.get(label)
    if (parseLabel(label) === undefined) found.push(`${object.label}: an object of nobody’s`)
    else if (row === undefined) found.push(`${object.label}: not in the inventory`)
    else if (row.state === 'destroyed') found.push(`${object.label}: destroyed, and still on the token`)
    else if (object.id !== `${row.usage}${row.mode}:${row.kcv}`) found.push(`${object.label}: is another key`)
    for (const wrong of object.unsafe) found.push(`${object.label}: ${wrong}`)
  }
  const there = new Set<string>()
  for (const { label } of objects) {
    if (there.has(label)) found.push(`${label}: twice on the token`)
    there.add(label)
  }
  for (const [label, row] of expected) {
    if (row.state !== 'destroyed' && !there.has(label)) found.push(`${label}: missing from the token`)
  }
  return found
}

/**
 * Takes keys that were put on the token without a ceremony, as test keys are, into the inventory: the newest
 * version of each reference as active. Returns how many.
 */
export async function adoptKeys(keeper: Keeper, people: People): Promise<number> {
  checkPeople(people)
  const rows = await listKeys(keeper.database)
  const known = new Set(rows.map((row) => labelOf(row.ref, row.version)))
  const listed = new Set(rows.map((row) => row.ref))
  const names = new KeyTable(keeper.token.objects()).names().sort((a, b) => b.version - a.version)
  let adopted = 0
  for (const name of names) {
    if (known.has(labelOf(name.ref, name.version))) continue
    const state = listed.has(name.ref) ? 'retired' : 'active'
    listed.add(name.ref)
    await inTransaction(keeper.database, async () => {
      await insert(keeper.database, { ...name, ...people, state, exportability: 'N' })
      await act(keeper, { act: 'adopt', ref: name.ref, version: name.version, kcv: name.kcv, ...people })
    })
    adopted++
  }
  return adopted
}

async function store(
  keeper: Keeper,
  request: NewKey & {
    readonly value: Buffer | undefined
    readonly act: string
    readonly exportability: 'E' | 'N'
  },
): Promise<KeyName> {
  const { ref, algorithm, value, peer, by, witness } = request
  checkPeople(request)
  const purpose = purposeOf(ref, algorithm)
  if (purpose === undefined) throw new KeyRefusal('badReference')
  if (value !== undefined) refuseWeak(algorithm, value)
  if (ref !== auditKey) await adoptRef(keeper, ref, { by, witness })
  // A token that is away is found out before there is a key that it lacks.
  if (value !== undefined) for (const other of keeper.others ?? []) await other.inspect()
  const version = await nextVersion(keeper, ref)
  const kcv = value === undefined ? '000000' : kcvOf(algorithm, value)
  const name: KeyName = { ref, version, algorithm, kcv, ...purpose }
  const first = version === 1
  // The row comes first: a version that the inventory calls pending is used by nobody, once it is on the token.
  await inTransaction(keeper.database, async () => {
    await insert(keeper.database, {
      ...{ ...name, by, witness, exportability: request.exportability },
      ...{ state: first ? 'active' : 'pending', ...(peer === undefined ? {} : { peer }) },
    })
    if (ref !== auditKey) await act(keeper, { act: request.act, ref, version, kcv, by, witness })
  })
  if (value === undefined) {
    keeper.token.generateSigner(labelOf(ref, version), `${name.usage}${name.mode}:${kcv}`)
    return name
  }
  const key = clearKey({ ref, version, algorithm, value })
  for (const object of objectsOf(key)) {
    keeper.token.create(object)
    if (object.value !== value) object.value.fill(0)
  }
  for (const other of keeper.others ?? []) await other.put(key)
  return name
}

/** A reference whose keys came without a ceremony gets its rows before it gets a new version. */
async function adoptRef(keeper: Keeper, ref: string, people: People): Promise<void> {
  const rows = await listKeys(keeper.database)
  const there = new KeyTable(keeper.token.objects()).names().some((name) => name.ref === ref)
  if (there && !rows.some((row) => row.ref === ref)) await adoptKeys(keeper, people)
}

async function nextVersion({ database, token }: Keeper, ref: string): Promise<number> {
  const rows = (await listKeys(database)).filter((row) => row.ref === ref)
  const names = new KeyTable(token.objects()).names().filter((name) => name.ref === ref)
  return 1 + Math.max(0, ...rows.map((row) => row.version), ...names.map((name) => name.version))
}

async function insert(
  database: DatabaseClient,
  row: KeyName & People & Pick<InventoryRow, 'state' | 'exportability'> & { readonly peer?: string },
): Promise<void> {
  await database.query(
    `INSERT INTO vault.key (ref, version, usage, mode, algorithm, exportability, kcv, state, peer, made_by,
                            witnessed_by, active_from)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $8 = 'active' THEN now() END)`,
    [
      ...[row.ref, row.version, row.usage, row.mode, row.algorithm, row.exportability, row.kcv, row.state],
      ...[row.peer ?? null, row.by, row.witness],
    ],
  )
}

/** Puts the act on record. The key that signs it is made when it is first needed. */
async function act(keeper: Keeper, record: KeyAct): Promise<void> {
  const { token, database } = keeper
  if (!new KeyTable(token.objects()).names().some((name) => name.ref === auditKey)) {
    const { by, witness } = record
    await store(keeper, { ref: auditKey, algorithm: 'EC-P256', by, witness, ...signer })
  }
  await writeAct(token, database, record)
}

const signer = { value: undefined, act: 'generate', exportability: 'N' } as const

/** Within a transaction that has written already, the work is part of it. */
async function inTransaction(database: DatabaseClient, work: () => Promise<void>): Promise<void> {
  const { rows } = await database.query<{ inside: boolean }>(
    'SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS inside',
  )
  if (rows[0]?.inside === true) {
    await work()
    return
  }
  await database.query('BEGIN')
  try {
    await work()
    await database.query('COMMIT')
  } catch (error) {
    await database.query('ROLLBACK')
    throw error
  }
}

function checkPeople({ by, witness }: People): void {
  if (by.trim() === '' || by.trim().toLowerCase() === witness.trim().toLowerCase() || witness.trim() === '') {
    throw new KeyRefusal('samePerson')
  }
}

function protectorOf({ token }: Keeper, kbpk: string): Algorithm {
  return new KeyTable(token.objects()).active(kbpk, ['K1'], ['B', 'D', 'E']).name.algorithm
}

/** What we encipher the peer deciphers, and so on. */
function peerMode(mode: Mode): Mode {
  const mirror: Partial<Record<Mode, Mode>> = { E: 'D', D: 'E', G: 'V', V: 'G' }
  return mirror[mode] ?? mode
}

function contextOf(token: Token): Context {
  return { token, keys: new KeyTable(token.objects()), random: (output) => token.random(output) }
}
