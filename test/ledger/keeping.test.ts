import { createPublicKey, generateKeyPairSync, sign as signWith } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import {
  balanceOf,
  checkAnchors,
  closeBusinessDate,
  closeDueDates,
  keepBooks,
  verifyLedger,
} from '../../ledger/ledger.ts'
import type { AccountSpec, KeepingOptions, Sign } from '../../ledger/ledger.ts'
import { authorize, balanceOf as balancesOf, noon, openWorld, transfer, unit } from './world.ts'
import type { World } from './world.ts'

const day = 86_400_000
const folder = mkdtempSync(join(tmpdir(), 'mafraq-keeping-'))

let world: World

const dated = (path: string): AccountSpec => ({ path, currency: 'KWD', normalSide: 'debit', limit: 'none' })

beforeAll(async () => {
  world = await openWorld()
  await world.ledger.openAccounts([
    ...['20', '21', '22'].map((date) => dated(`net:knet:2026-11-${date}:KWD`)),
    dated('suspense:knet:2026-11-21:KWD'),
    dated('net:visa:2026-11-21:KWD'),
  ])
  await world.ledger.commit(unit(transfer('bank', 'wallet:amal', 10_000n)))
})

afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

/** Books kept as if it were `nowMs`. */
function keep(nowMs: number, more: Partial<KeepingOptions>) {
  const notes: string[] = []
  const note = (facts: object): void => void notes.push(JSON.stringify(facts))
  const clock = { ...systemClock, wallMs: () => nowMs }
  const log = { warn: note, error: note }
  return { notes, kept: keepBooks({ ledger: world.ledger, reader: world.admin, clock, log, ...more }) }
}

test('a hold is let go by the clock alone, not before its time', async () => {
  const hold = authorize('wallet:amal', 'merchant:1', 70n, { expiresAt: noon + 1_000 })
  await world.ledger.commit(unit(hold))
  const early = keep(noon, { sweepEveryMs: 2 })
  await new Promise((resolve) => setTimeout(resolve, 60))
  await early.kept.close()
  expect((await balancesOf(world, 'wallet:amal')).debitsPending).toBe(70n)
  const { kept } = keep(noon + 1_000, { sweepEveryMs: 2 })
  await expect.poll(async () => (await balancesOf(world, 'wallet:amal')).debitsPending).toBe(0n)
  await kept.close()
})

test('checkpoints are signed by the clock, with the curve that the HSM has', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const sign: Sign = (bytes) =>
    Promise.resolve({
      keyId: 'books',
      signature: signWith('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
    })
  const file = join(folder, 'anchors')
  const { kept } = keep(noon, { anchor: { file, sign, everyMs: 2 } })
  await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8').length > 0).toBe(true)
  await world.ledger.commit(unit(transfer('bank', 'merchant:1', 1n)))
  await expect.poll(() => readFileSync(file, 'utf8').trim().split('\n').length).toBe(2)
  await kept.close()
  const pem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
  const reader = world.admin
  expect(await checkAnchors({ reader, file, keys: new Map([['books', pem]]) })).toMatchObject({
    anchors: 2,
    bad: undefined,
  })
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
  const otherPem = other.export({ type: 'spki', format: 'pem' }).toString()
  const checked = await checkAnchors({ reader, file, keys: new Map([['books', otherPem]]) })
  expect(checked.bad?.kind).toBe('forged')
  expect(publicKey.asymmetricKeyType).toBe('ec')
})

test('a duty that fails is logged and done again', async () => {
  let calls = 0
  const sign: Sign = () => {
    calls++
    return Promise.reject(new Error('the HSM is away'))
  }
  const { kept, notes } = keep(noon, { anchor: { file: join(folder, 'none'), sign, everyMs: 2 } })
  await expect.poll(() => calls).toBeGreaterThan(2)
  await kept.close()
  const after = calls
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(calls).toBe(after)
  expect(notes[0]).toBe('{"duty":"anchor","what":"the HSM is away"}')
})

test('a business date is closed for one network: its balance is due in settlement, suspense included', async () => {
  const { ledger, admin } = world
  await ledger.commit(unit(transfer('net:knet:2026-11-21:KWD', 'merchant:1', 500n)))
  await ledger.commit(unit(transfer('suspense:knet:2026-11-21:KWD', 'merchant:1', 7n)))
  const closed = await closeBusinessDate(ledger, admin, {
    network: 'knet',
    date: '2026-11-21',
    effectiveAt: noon,
  })
  expect(closed.map(({ account, outcome }) => `${account} ${outcome.kind}`)).toEqual([
    'net:knet:2026-11-21:KWD committed',
    'suspense:knet:2026-11-21:KWD committed',
  ])
  expect((await balanceOf(admin, 'settlement:knet:KWD'))?.balance).toBe(507n)
  const late = transfer('net:knet:2026-11-21:KWD', 'merchant:1', 1n)
  expect(await ledger.commit(unit(late))).toEqual({ kind: 'refused', reason: 'closedAccount' })
  for (const open of ['net:visa:2026-11-21:KWD', 'net:knet:2026-11-22:KWD']) {
    expect(await ledger.commit(unit(transfer(open, 'merchant:1', 1n)))).toEqual({ kind: 'committed' })
  }
})

test('by the clock a date is closed once it has been over in Kuwait for long enough, and once only', async () => {
  const { ledger, admin } = world
  const midnight = Date.UTC(2026, 10, 20, 21) // the end of the 20th in Kuwait
  const paths = async (nowMs: number): Promise<string[]> =>
    (await closeDueDates(ledger, admin, { nowMs, afterMs: 900_000 })).map(({ account }) => account)
  expect(await paths(midnight + 899_999)).toEqual([])
  expect(await paths(midnight + 900_000)).toEqual(['net:knet:2026-11-20:KWD'])
  expect(await paths(midnight + day + 900_000)).toEqual(['net:visa:2026-11-21:KWD'])
  expect(await paths(midnight + day + 900_000)).toEqual([])
  expect((await verifyLedger(world.url)).bad).toBeUndefined()
})
