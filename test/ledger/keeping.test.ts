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
  closePeriod,
  expireHolds,
  holdOf,
  keepBooks,
  openHolds,
  trialBalance,
  verifyLedger,
} from '../../ledger/ledger.ts'
import { datedAs, endOf, networkOf } from '../../ledger/periods.ts'
import type { AccountSpec, DueHold, KeepingOptions, Sign } from '../../ledger/ledger.ts'
import { authorize, balanceOf as balancesOf, noon, openWorld, transfer, unit } from './world.ts'
import type { World } from './world.ts'

const day = 86_400_000
/** A busy machine is slow, not wrong. */
const patience = { timeout: 20_000 }
const folder = mkdtempSync(join(tmpdir(), 'mafraq-keeping-'))

let world: World

const dated = (path: string): AccountSpec => ({ path, currency: 'KWD', normalSide: 'debit', limit: 'none' })

beforeAll(async () => {
  world = await openWorld({
    schema: `CREATE SCHEMA other; CREATE TABLE other.expired (transaction text, amount bigint);
      GRANT USAGE ON SCHEMA other TO ledger_writer; GRANT SELECT, INSERT ON other.expired TO ledger_writer`,
    rowKinds: [
      {
        name: 'expired',
        columns: [
          ['transaction', 'text'],
          ['amount', 'bigint'],
        ],
        guard: `SELECT ordinal, 'notNow' AS reason FROM input WHERE transaction = 'no'`,
        write: { into: 'other.expired (transaction, amount)', values: 'transaction, amount' },
      },
    ],
  })
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
  await expect.poll(async () => (await balancesOf(world, 'wallet:amal')).debitsPending, patience).toBe(0n)
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
  await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8').length > 0, patience).toBe(true)
  await world.ledger.commit(unit(transfer('bank', 'merchant:1', 1n)))
  await expect.poll(() => readFileSync(file, 'utf8').trim().split('\n').length, patience).toBe(2)
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
  await expect.poll(() => calls, patience).toBeGreaterThan(2)
  await kept.close()
  const after = calls
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(calls).toBe(after)
  expect(notes[0]).toBe('{"duty":"anchor","what":"the HSM is away"}')
})

const closing = (network: string, date: string) =>
  closeBusinessDate(world.ledger, world.admin, { network, date, effectiveAt: noon })
const committed = { kind: 'committed' }
const refused = (reason: string) => ({ kind: 'refused', reason })

test('a business date is closed for one network: its balance is due in settlement, suspense included', async () => {
  const { ledger, admin } = world
  await ledger.commit(unit(transfer('net:knet:2026-11-21:KWD', 'merchant:1', 500n)))
  await ledger.commit(unit(transfer('suspense:knet:2026-11-21:KWD', 'merchant:1', 7n)))
  const closed = await closing('knet', '2026-11-21')
  expect(closed.accounts.map(({ account, outcome }) => `${account} ${outcome.kind}`)).toEqual([
    'net:knet:2026-11-21:KWD committed',
    'suspense:knet:2026-11-21:KWD committed',
  ])
  expect((await balanceOf(admin, 'settlement:knet:KWD'))?.balance).toBe(507n)
  const late = transfer('net:knet:2026-11-21:KWD', 'merchant:1', 1n)
  expect(await ledger.commit(unit(late))).toEqual(refused('closedAccount'))
  for (const open of ['net:visa:2026-11-21:KWD', 'net:knet:2026-11-22:KWD']) {
    expect(await ledger.commit(unit(transfer(open, 'merchant:1', 1n)))).toEqual(committed)
  }
})

test('the books of a network are closed up to a date once no earlier one is open, and then all of them are', async () => {
  const { ledger, admin } = world
  expect((await closing('knet', '2026-11-21')).period).toEqual(refused('openAccount'))
  expect((await closing('knet', '2026-11-20')).period).toEqual(committed)
  expect(await closing('knet', '2026-11-21')).toMatchObject({ accounts: [], period: committed })
  expect(await closing('knet', '2026-11-21')).toMatchObject({ accounts: [], period: committed })
  const late = { effectiveAt: Date.UTC(2026, 10, 21, 20, 59, 59, 999) } // a millisecond before midnight in Kuwait
  const ask = (from: string, more = {}) => ledger.commit(unit(transfer(from, 'merchant:1', 1n, more)))
  // Whatever the currency or the account of the network, opened before or not.
  await ledger.openAccounts([{ ...dated('net:knet:2026-11-21:JPY'), currency: 'JPY' }])
  expect((await trialBalance(admin)).some(({ currency }) => currency === 'JPY')).toBe(false)
  expect(await ask('net:knet:2026-11-21:JPY')).toEqual(refused('closedPeriod'))
  for (const account of ['net:knet:2026-11-22:KWD', 'settlement:knet:KWD']) {
    expect(await ask(account, late)).toEqual(refused('closedPeriod'))
    expect(await ask(account, { effectiveAt: late.effectiveAt + 1 })).toEqual(committed)
  }
  // Other networks have dates of their own, and what is of no network has none.
  expect(await ask('net:visa:2026-11-21:KWD', late)).toEqual(committed)
  expect(await ask('bank', late)).toEqual(committed)
})

test('the answer is kept: the same unit is refused again by the record, by another writer as well', async () => {
  const late = unit(transfer('settlement:knet:KWD', 'merchant:1', 1n, { effectiveAt: noon - 2 * day }))
  expect(await world.ledger.commit(late)).toEqual(refused('closedPeriod'))
  const other = await world.open()
  expect(await other.commit(late)).toEqual(refused('closedPeriod'))
  const { rows } = await world.admin.query('SELECT refusal FROM ledger.unit WHERE key = $1', [late.key])
  expect(rows).toEqual([{ refusal: 'closedPeriod' }])
})

test('a capture or a reversal that counts for a closed date is refused, and one that counts today is not', async () => {
  const { ledger } = world
  const hold = authorize('net:knet:2026-11-22:KWD', 'merchant:1', 9n, { expiresAt: noon + 5 * day })
  await ledger.commit(unit(hold))
  const capture = (effectiveAt: number, id: string) =>
    unit({ kind: 'capture', id, holdId: hold.id, amountMinor: 9n, final: true, effectiveAt })
  expect(await ledger.commit(capture(noon - day, 'capture:late'))).toEqual(refused('closedPeriod'))
  expect(await ledger.commit(capture(noon, 'capture:today'))).toEqual(committed)
  const reverse = (effectiveAt: number, id: string) =>
    unit({ kind: 'reverse', id, reverses: 'capture:today', effectiveAt })
  expect(await ledger.commit(reverse(noon - day, 'reverse:late'))).toEqual(refused('closedPeriod'))
  expect(await ledger.commit(reverse(noon, 'reverse:today'))).toEqual(committed)
})

test('a date that is worked on still is not closed by the clock, however long its day has been over', async () => {
  const { ledger, admin } = world
  await ledger.openAccounts([dated('net:late:2026-11-18:KWD'), dated('net:late:2026-11-19:KWD')])
  const due = { nowMs: Date.UTC(2026, 10, 20, 20), afterMs: 900_000 }
  const isOver = (network: string, date: string): boolean => network !== 'late' || date < '2026-11-19'
  const closed = await closeDueDates(ledger, admin, { ...due, isOver })
  expect(closed.filter(({ network }) => network === 'late').map(({ date }) => date)).toEqual(['2026-11-18'])
})

test('by the clock a date is closed once it has been over in Kuwait for long enough, and once only', async () => {
  const { ledger, admin } = world
  await ledger.openAccounts([dated('net:gcc:2026-11-20:KWD'), dated('net:gcc:2026-11-21:KWD')])
  const midnight = Date.UTC(2026, 10, 20, 21) // the end of the 20th in Kuwait
  const paths = async (nowMs: number): Promise<string[]> =>
    (await closeDueDates(ledger, admin, { nowMs, afterMs: 900_000 })).flatMap(({ accounts, period }) =>
      accounts.map(({ account }) => `${account} ${period.kind}`),
    )
  expect(await paths(midnight + 899_999)).toEqual(['net:late:2026-11-19:KWD committed'])
  expect(await paths(midnight + 900_000)).toEqual(['net:gcc:2026-11-20:KWD committed'])
  const next = ['net:gcc:2026-11-21:KWD committed', 'net:visa:2026-11-21:KWD committed']
  expect(await paths(midnight + day + 900_000)).toEqual(next)
  expect(await paths(midnight + day + 900_000)).toEqual([])
})

test('all books are closed at the end of a month: then nothing at all counts for it', async () => {
  const { ledger, admin } = world
  const october = { scope: '*', through: '2026-10-31', effectiveAt: noon }
  expect(await closePeriod(ledger, admin, october)).toEqual(committed)
  expect(await closePeriod(ledger, admin, october)).toEqual(committed)
  const then = (effectiveAt: number) => unit(transfer('bank', 'merchant:1', 1n, { effectiveAt }))
  expect(await ledger.commit(then(Date.UTC(2026, 9, 31, 20, 59)))).toEqual(refused('closedPeriod'))
  expect(await ledger.commit(then(Date.UTC(2026, 9, 31, 21)))).toEqual(committed)
  expect((await verifyLedger(world.url)).bad).toBeUndefined()
})

test('the switch writes its own rows with the end of a hold: both or neither', async () => {
  const { ledger, admin } = world
  const hold = authorize('wallet:amal', 'merchant:1', 30n, { expiresAt: noon, meta: { transaction: 't1' } })
  const stays = authorize('wallet:amal', 'merchant:1', 40n, { expiresAt: noon, meta: { transaction: 'no' } })
  await ledger.commit(unit(hold))
  await ledger.commit(
    unit({ kind: 'release', id: 'r1', holdId: hold.id, amountMinor: 10n, effectiveAt: noon }),
  )
  await ledger.commit(unit(stays))
  const rowsOf = ({ meta, openMinor }: DueHold) => [
    { kind: 'expired', values: [meta?.['transaction'] ?? '', openMinor] },
  ]
  expect(await expireHolds(ledger, admin, { nowMs: noon, rowsOf })).toEqual({ expired: 1, left: 1 })
  const { rows } = await admin.query('SELECT * FROM other.expired')
  expect(rows).toEqual([{ transaction: 't1', amount: 20n }])
  expect((await holdOf(admin, hold.id))?.state).toBe('expired')
  expect(await holdOf(admin, stays.id)).toMatchObject({ state: 'open', openMinor: 40n })
  expect((await openHolds(admin, { account: 'wallet:amal' })).map(({ reference }) => reference)).toEqual([
    stays.id,
  ])
})

test('the database and the writer read the same network and date out of a path, and end a date together', async () => {
  const paths = [
    'net:knet:2026-11-21:KWD',
    'suspense:visa:2026-11-21:KWD',
    'settlement:knet:KWD',
    'scheme:knet',
  ]
  paths.push('net:knet', 'net:', 'net::2026-11-21:KWD', 'network:knet', 'net:knet:2026-11-21', 'wallet:1')
  paths.push(
    'net:knet:2026-11-21:KWD:x',
    'net:knet:21-11-2026:KWD',
    'xnet:knet:2026-11-21:KWD',
    'rounding:KWD',
  )
  const { rows } = await world.admin.query<{ network: string | null; date: string | null }>(
    `SELECT ledger.network_of(path) AS network, ledger.date_of(path) AS date
       FROM unnest($1::text[]) WITH ORDINALITY AS t(path, place) ORDER BY place`,
    [paths],
  )
  expect(rows.map(({ network }) => network ?? undefined)).toEqual(paths.map(networkOf))
  expect(rows.map(({ date }) => date ?? undefined)).toEqual(paths.map((path) => datedAs(path)?.date))
  const end = await world.admin.query<{ end: bigint }>(
    `SELECT (extract(epoch FROM ledger.end_of('2026-12-31')) * 1000)::bigint AS end`,
  )
  expect(Number(end.rows[0]!.end)).toBe(endOf('2026-12-31'))
})
