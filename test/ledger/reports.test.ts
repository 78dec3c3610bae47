import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  accountHistory,
  balanceAtVersion,
  balanceOf,
  closeAccount,
  exchange,
  expireHolds,
  rebuildDifferences,
  statementOf,
  trialBalance,
  verifyLedger,
} from '../../ledger/ledger.ts'
import type { Exchange } from '../../ledger/ledger.ts'
import { authorize, balanceOf as balancesOf, noon, openWorld, transfer, unit } from './world.ts'
import type { World } from './world.ts'

const day = 86_400_000

let world: World

beforeAll(async () => {
  world = await openWorld()
  await world.ledger.openAccounts([
    { path: 'fx:position:KWD', currency: 'KWD', normalSide: 'debit', limit: 'none' },
    { path: 'fx:position:JPY', currency: 'JPY', normalSide: 'debit', limit: 'none' },
    { path: 'rounding:JPY', currency: 'JPY', normalSide: 'credit', limit: 'none' },
    { path: 'net:knet:2026-11-22', currency: 'KWD', normalSide: 'debit', limit: 'none' },
    { path: 'net:knet:2026-11-23', currency: 'KWD', normalSide: 'debit', limit: 'none' },
    { path: 'settlement:knet', currency: 'KWD', normalSide: 'debit', limit: 'none' },
  ])
})

afterAll(() => world.close())

const committed = { kind: 'committed' }

test('a past balance is asked for by when it counts, and by when it was written', async () => {
  const { ledger, admin } = world
  const databaseNow = async (): Promise<number> => {
    const { rows } = await admin.query<{ now: bigint }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now',
    )
    await new Promise((resolve) => setTimeout(resolve, 5))
    return Number(rows[0]!.now)
  }
  await ledger.commit(unit(transfer('bank', 'wallet:amal', 1_000n, { effectiveAt: noon - 2 * day })))
  await new Promise((resolve) => setTimeout(resolve, 5))
  const before = await databaseNow()
  // Written later, for an earlier day.
  await ledger.commit(unit(transfer('bank', 'wallet:amal', 50n, { effectiveAt: noon - 3 * day })))
  await ledger.commit(unit(transfer('wallet:amal', 'merchant:1', 300n, { effectiveAt: noon })))

  const balance = async (when: object) => (await balanceOf(admin, 'wallet:amal', when))?.balance
  expect(await balance({})).toBe(750n)
  expect(await balance({ asOf: noon - 1 })).toBe(1_050n)
  expect(await balance({ asOf: noon - 3 * day })).toBe(50n)
  expect(await balance({ asOf: noon - 3 * day, knownAt: before })).toBe(0n)
  expect(await balance({ knownAt: before })).toBe(1_000n)
  expect(await balanceOf(admin, 'nobody')).toBeUndefined()

  expect(await balanceAtVersion(admin, 'wallet:amal', 0n)).toBe(0n)
  expect(await balanceAtVersion(admin, 'wallet:amal', 2n)).toBe(-1_050n)
  expect(await balanceAtVersion(admin, 'wallet:amal', 3n)).toBe(-750n)
  expect(await balanceAtVersion(admin, 'wallet:amal', 4n)).toBeUndefined()
})

test('a statement opens with what was there, and closes with what its lines make of it', async () => {
  const statement = (await statementOf(world.admin, 'wallet:amal', { from: noon - 2 * day, to: noon + 1 }))!
  expect(statement.opening).toBe(50n)
  expect(statement.closing).toBe(750n)
  expect(statement.lines.map(({ amount }) => amount)).toEqual([-1_000n, 300n])
  const history = await accountHistory(world.admin, 'wallet:amal')
  expect(history.map(({ version, balanceAfter }) => [version, balanceAfter])).toEqual([
    [1n, -1_000n],
    [2n, -1_050n],
    [3n, -750n],
  ])
  expect(await accountHistory(world.admin, 'wallet:amal', { after: 1n, limit: 1 })).toHaveLength(1)
})

test('in the trial balance debits equal credits in each currency at any moment', async () => {
  for (const when of [{}, { asOf: noon - 1 }, { asOf: noon - 3 * day }]) {
    const rows = await trialBalance(world.admin, when)
    expect(rows.length).toBeGreaterThan(0)
    for (const [, own] of Map.groupBy(rows, ({ currency }) => currency)) {
      expect(own.reduce((sum, { debits, credits }) => sum + debits - credits, 0n)).toBe(0n)
    }
  }
})

test('holds whose time has come are let go, once, and others are not', async () => {
  const { ledger, admin } = world
  const due = [1, 2, 3].map((n) => authorize('wallet:amal', 'merchant:1', BigInt(n), { expiresAt: noon + n }))
  for (const hold of due) await ledger.commit(unit(hold))
  await ledger.commit(unit(authorize('wallet:amal', 'merchant:1', 100n, { expiresAt: noon + 100 })))
  expect(await expireHolds(ledger, admin, { nowMs: noon + 2 })).toEqual({ expired: 2, left: 0 })
  expect(await expireHolds(ledger, admin, { nowMs: noon + 3 })).toEqual({ expired: 1, left: 0 })
  expect(await expireHolds(ledger, admin, { nowMs: noon + 3 })).toEqual({ expired: 0, left: 0 })
  expect((await balancesOf(world, 'wallet:amal')).debitsPending).toBe(100n)
})

test('a hold that is given more time expires at its new time', async () => {
  const { ledger, admin } = world
  const hold = authorize('wallet:amal', 'merchant:1', 1n, { expiresAt: noon + 10 })
  await ledger.commit(unit(hold))
  const { legs } = transfer('wallet:amal', 'merchant:1', 1n)
  const more = {
    kind: 'increment',
    id: 'more-time',
    holdId: hold.id,
    legs,
    effectiveAt: noon,
    expiresAt: noon + 50,
  } as const
  expect(await ledger.commit(unit(more))).toEqual(committed)
  expect((await expireHolds(ledger, admin, { nowMs: noon + 10 })).expired).toBe(0)
  expect((await expireHolds(ledger, admin, { nowMs: noon + 50 })).expired).toBe(1)
})

const yen = (amountMinor: bigint, rate: string, rounding: Exchange['rounding'] = 'down'): Exchange => ({
  id: `fx-${amountMinor}-${rate}-${rounding}`,
  from: { account: 'wallet:amal', amountMinor, currency: 'KWD' },
  to: { account: 'wallet:yen', currency: 'JPY' },
  rate,
  rounding,
  effectiveAt: noon,
})

test('an exchange sums to zero in each currency, and its rounding is somebody’s', async () => {
  const { ledger } = world
  // 100 fils at 489.5196 yen a dinar are 48.95 yen: the customer gets 48, the position gives 49, one yen is rounding.
  const posting = exchange(yen(100n, '489.5196'))
  expect(posting.legs.map(({ account, side, amountMinor }) => `${side} ${account} ${amountMinor}`)).toEqual([
    'debit wallet:amal 100',
    'credit fx:position:KWD 100',
    'debit fx:position:JPY 49',
    'credit wallet:yen 48',
    'credit rounding:JPY 1',
  ])
  expect(posting.meta).toEqual({ rate: '489.5196' })
  expect(await ledger.commit(unit(posting))).toEqual(committed)
  expect(exchange(yen(100n, '489.5196', 'nearest')).legs).toHaveLength(4)
})

test.each([
  ['a half goes to the even neighbour', 10n, '250', 2n],
  ['and up where that is even', 10n, '350', 4n],
  ['less than a half goes down', 10n, '249.999999', 2n],
  ['more than a half goes up', 10n, '250.000001', 3n],
])('in a position %s', (_, amountMinor, rate, position) => {
  const { legs } = exchange(yen(amountMinor, rate))
  expect(legs.find(({ account }) => account === 'fx:position:JPY')?.amountMinor).toBe(position)
})

test('a rate that is no number, or an amount that comes to nothing, is no exchange', () => {
  for (const rate of ['', '-1', '1e3', '1,5', '.5', '1.']) expect(() => exchange(yen(100n, rate))).toThrow()
  expect(() => exchange(yen(1n, '0.5'))).toThrow(/gives something/)
})

test('a business date is closed with its balance moved, once, and nothing reaches it any more', async () => {
  const { ledger, admin } = world
  await ledger.commit(unit(transfer('net:knet:2026-11-22', 'merchant:1', 700n)))
  const closing = {
    account: 'net:knet:2026-11-22',
    into: 'settlement:knet',
    key: 'cutover:knet:2026-11-22',
    effectiveAt: noon,
  }
  // Traffic goes on while the date is closed.
  const late = Promise.all(
    Array.from({ length: 20 }, () => ledger.commit(unit(transfer('net:knet:2026-11-22', 'merchant:1', 1n)))),
  )
  expect(await closeAccount(ledger, admin, closing)).toEqual(committed)
  const accepted = (await late).filter(({ kind }) => kind === 'committed').length
  expect((await balanceOf(admin, 'settlement:knet'))?.balance).toBe(700n + BigInt(accepted))
  expect((await balanceOf(admin, 'net:knet:2026-11-22'))?.balance).toBe(0n)
  expect(await closeAccount(ledger, admin, closing)).toEqual(committed)
  expect(await closeAccount(ledger, admin, { ...closing, key: 'another' })).toEqual({
    kind: 'refused',
    reason: 'closedAccount',
  })
  expect(await ledger.commit(unit(transfer('net:knet:2026-11-22', 'merchant:1', 1n)))).toEqual({
    kind: 'refused',
    reason: 'closedAccount',
  })
})

test('a business date with money still set aside stays open', async () => {
  const { ledger, admin } = world
  const account = 'net:knet:2026-11-23'
  await ledger.commit(unit(authorize(account, 'merchant:1', 5n)))
  const closing = { account, into: 'settlement:knet', key: 'cutover:knet:2026-11-23', effectiveAt: noon }
  expect(await closeAccount(ledger, admin, closing)).toEqual({ kind: 'refused', reason: 'accountNotEmpty' })
})

test('what the balances say now is what the entries say for all time', async () => {
  const { admin } = world
  const ever = { asOf: Date.UTC(9999, 0, 1) }
  expect(await trialBalance(admin)).toMatchObject(await trialBalance(admin, ever))
  for (const path of ['wallet:amal', 'merchant:1', 'wallet:badr']) {
    expect(await balanceOf(admin, path)).toMatchObject((await balanceOf(admin, path, ever))!)
  }
})

test('every balance follows from the entries alone, and one that does not is named', async () => {
  const { admin } = world
  expect(await rebuildDifferences(admin)).toEqual([])
  expect((await verifyLedger(world.url)).bad).toBeUndefined()
  await admin.query('BEGIN')
  await admin.query('SET LOCAL session_replication_role = replica')
  await admin.query(
    `UPDATE ledger.balance SET debits_pending = debits_pending + 1
      WHERE account_id = (SELECT id FROM ledger.account WHERE path = 'wallet:amal')`,
  )
  const differences = await rebuildDifferences(admin)
  await admin.query('ROLLBACK')
  expect(differences).toEqual([
    { account: 'wallet:amal', column: 'debits_pending', stored: 101n, computed: 100n },
  ])
})
