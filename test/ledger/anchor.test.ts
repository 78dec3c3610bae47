import { generateKeyPairSync, sign as signWith } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { anchorHead, checkAnchors, verifyLedger } from '../../ledger/ledger.ts'
import type { Sign } from '../../ledger/ledger.ts'
import { blockHash } from '../../ledger/chain.ts'
import { openWorld, transfer, unit } from './world.ts'
import type { World } from './world.ts'

let world: World
const folder = mkdtempSync(join(tmpdir(), 'mafraq-anchor-'))
const file = join(folder, 'anchors.jsonl')
const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const keys = new Map([['books-1', publicKey.export({ type: 'spki', format: 'pem' }).toString()]])
const sign: Sign = (bytes) =>
  Promise.resolve({ keyId: 'books-1', signature: signWith(null, bytes, privateKey) })

beforeAll(async () => {
  world = await openWorld()
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 3; index++)
      await world.ledger.commit(unit(transfer('bank', 'merchant:1', 1n)))
    await anchorHead({ reader: world.admin, file, sign })
  }
})

afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

const check = (path = file) => checkAnchors({ reader: world.admin, file: path, keys })

test('books agree with their checkpoints, and a head that has not moved is not signed again', async () => {
  expect(await anchorHead({ reader: world.admin, file, sign })).toBeUndefined()
  expect(await check()).toEqual({ anchors: 3, lastSeq: 10n, bad: undefined })
})

/** Runs `tamper` as a superuser with triggers off, looks, and undoes it. */
async function afterTampering(...statements: string[]) {
  await world.admin.query('BEGIN')
  await world.admin.query('SET LOCAL session_replication_role = replica')
  for (const statement of statements) await world.admin.query(statement)
  const found = await check()
  await world.admin.query('ROLLBACK')
  return found.bad
}

test('a tail that was cut so that the chain still verifies is found', async () => {
  expect(await afterTampering('DELETE FROM ledger.block WHERE seq > 5')).toMatchObject({
    kind: 'truncated',
    seq: 7n,
  })
})

test('a chain that was made anew is found', async () => {
  const forged = blockHash({
    shard: 0,
    seq: 4n,
    prev: Buffer.alloc(32),
    recordedAt: 0,
    accounts: [],
    units: [],
    postings: [],
  }).toString('hex')
  const bad = await afterTampering(`UPDATE ledger.block SET hash = decode('${forged}', 'hex') WHERE seq = 4`)
  expect(bad).toMatchObject({ kind: 'rechained', seq: 4n })
})

function altered(change: (lines: string[]) => string[]): string {
  const path = join(folder, 'altered.jsonl')
  writeFileSync(path, `${change(readFileSync(file, 'utf8').trim().split('\n')).join('\n')}\n`)
  return path
}

test.each([
  ['changed', 'forged', (lines: string[]) => lines.map((line) => line.replace('"seq":7', '"seq":8'))],
  [
    'signed by nobody we know',
    'forged',
    (lines: string[]) => lines.map((line) => line.replace('books-1', 'books-2')),
  ],
  ['taken out', 'reordered', (lines: string[]) => [lines[0]!, lines[2]!]],
  ['moved', 'reordered', (lines: string[]) => [lines[1]!, lines[0]!, lines[2]!]],
])('a checkpoint that was %s is found', async (_, kind, change) => {
  expect((await check(altered(change))).bad).toMatchObject({ kind })
})

test('anchors that are not there, or are no anchors, are not called tampering', async () => {
  await expect(check(join(folder, 'none'))).rejects.toMatchObject({ fault: { kind: 'unreadable' } })
  await expect(check(altered((lines) => [lines[0]!, 'nonsense']))).rejects.toMatchObject({
    fault: { kind: 'malformed', line: 2 },
  })
})

test('the head that verify prints is the one that is anchored', async () => {
  const last = JSON.parse(readFileSync(file, 'utf8').trim().split('\n').at(-1)!) as { hash: string }
  expect((await verifyLedger(world.url)).head).toBe(last.hash)
})
