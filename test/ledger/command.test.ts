import { closePeriod } from '../../ledger/ledger.ts'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorize, noon, openWorld, transfer, unit } from './world.ts'
import type { World } from './world.ts'

const program = fileURLToPath(new URL('../../bin/mafraq.ts', import.meta.url))

let world: World

beforeAll(async () => {
  world = await openWorld()
  await world.ledger.commit(
    unit(transfer('bank', 'wallet:amal', 12_500n, { id: 'top-up', effectiveAt: noon - 86_400_000 })),
  )
  await world.ledger.commit(
    unit(transfer('wallet:amal', 'merchant:1', 2_000n, { id: '=sale,"1"', effectiveAt: noon })),
  )
})

afterAll(() => world.close())

interface Ran {
  readonly code: number
  readonly out: string
}

function mafraq(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, 'ledger', ...args], (error, out) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out })
    })
  })
}

const here = (): string[] => ['--database-url', world.url]

test('verify ends with RESULT ok, and as JSON is one object', async () => {
  const text = await mafraq('verify', ...here())
  expect(text.code).toBe(0)
  expect(text.out).toMatch(
    /postings 2 {2}entries 4 {2}accounts 8\nhead [0-9a-f]{64}\nseconds [\d.]+\nanchors none: .*\nRESULT ok\n$/,
  )
  const json = await mafraq('verify', '--json', ...here())
  expect(JSON.parse(json.out)).toMatchObject({ result: 'ok', postings: 2, entries: 4 })
})

test('rebuild --check finds what it would rebuild already there', async () => {
  expect(await mafraq('rebuild', '--check', ...here())).toEqual({
    code: 0,
    out: 'balances 8 recomputed\nRESULT ok\n',
  })
})

test('the trial balance is a table that ends in totals', async () => {
  const { out } = await mafraq('trial-balance', ...here())
  expect(out).toBe(
    [
      'ACCOUNT      CURRENCY  DEBITS  CREDITS  BALANCE  SIDE',
      'bank         KWD       12.500    0.000   12.500  debit',
      'merchant:1   KWD        0.000    2.000    2.000  credit',
      'wallet:amal  KWD        2.000   12.500   10.500  credit',
      'total        KWD       14.500   14.500    0.000',
      '',
    ].join('\n'),
  )
  const earlier = await mafraq('trial-balance', '--as-of', '2026-11-21', '--csv', ...here())
  expect(earlier.out.split('\r\n')[1]).toBe('bank,KWD,12.500,0.000,12.500,debit')
  expect(earlier.out).not.toContain('merchant')
})

test('a statement runs from the opening balance to the closing one', async () => {
  const period = ['--from', '2026-11-22', '--to', '2026-11-22']
  const { out } = await mafraq('statement', 'wallet:amal', ...period, '--csv', ...here())
  expect(out.split('\r\n')).toEqual([
    'effective,kind,reference,debit,credit,balance',
    ',opening,,,,12.500',
    `2026-11-22T09:00:00.000Z,post,"'=sale,""1""",2.000,,10.500`,
    ',closing,,,,10.500',
    '',
  ])
})

test('history and balance are JSON when asked', async () => {
  const history = await mafraq('history', 'wallet:amal', '--json', ...here())
  expect(JSON.parse(history.out)).toMatchObject([
    { version: '1', credit: '12.500', balance: '12.500', reference: 'top-up' },
    { version: '2', debit: '2.000', balance: '10.500' },
  ])
  const balance = await mafraq(
    'balance',
    'wallet:amal',
    '--as-of',
    '2026-11-21T12:00:00Z',
    '--json',
    ...here(),
  )
  expect(JSON.parse(balance.out)).toMatchObject([{ account: 'wallet:amal', balance: '12.500' }])
})

test('a balance after so many entries, and a statement as it was known before anything was written', async () => {
  const first = await mafraq('balance', 'wallet:amal', '--at-version', '1', '--csv', ...here())
  expect(first.out.split('\r\n')[1]).toBe('wallet:amal,KWD,1,12.500,credit')
  expect((await mafraq('balance', 'wallet:amal', '--at-version', '99', ...here())).code).toBe(1)
  const period = ['--from', '2026-11-22', '--to', '2026-11-22', '--known-at', '2020-01-01']
  const { out } = await mafraq('statement', 'wallet:amal', ...period, '--csv', ...here())
  expect(out.split('\r\n').slice(1, 3)).toEqual([',opening,,,,0.000', ',closing,,,,0.000'])
})

test('what was called wrongly exits with 2, and what cannot be looked at with 3', async () => {
  expect((await mafraq('verify', '--no-such-option')).code).toBe(2)
  expect((await mafraq('balance', 'bank', '--as-of', 'yesterday', ...here())).code).toBe(2)
  const nowhere = await mafraq('verify', '--database-url', 'postgres://nobody@127.0.0.1:1/nothing')
  expect(nowhere.code).toBe(3)
  expect(nowhere.out).toMatch(/^RESULT could not check: /)
  expect((await mafraq('balance', 'nobody', ...here())).code).toBe(1)
})

const decided = ['--by', 'alice', '--why', 'the network has settled it']

test('a business date is closed from the command line, and once closed stays so', async () => {
  const terms = { currency: 'KWD', normalSide: 'debit', limit: 'none' } as const
  await world.ledger.openAccounts([{ path: 'net:knet:2026-11-22:KWD', ...terms }])
  await world.ledger.commit(unit(transfer('net:knet:2026-11-22:KWD', 'merchant:1', 3_000n)))
  const close = (): Promise<Ran> => mafraq('close-date', 'knet', '2026-11-22', ...decided, ...here())
  expect(await close()).toEqual({
    code: 0,
    out: 'net:knet:2026-11-22:KWD committed\nknet up to 2026-11-22 committed\nRESULT ok\n',
  })
  expect(await close()).toEqual({ code: 0, out: 'knet up to 2026-11-22 committed\nRESULT ok\n' })
  const due = await mafraq('balance', 'settlement:knet:KWD', '--csv', ...here())
  expect(due.out).toContain('settlement:knet:KWD,KWD,3.000,0.000,3.000,debit')
  expect((await mafraq('close-date', 'knet', '22/11/2026', ...decided, ...here())).code).toBe(2)
  expect((await mafraq('close-date', 'knet', '2026-11-22', ...here())).code).toBe(2)
})

test('all books are closed up to a date, and the periods say so', async () => {
  await closePeriod(world.ledger, world.admin, {
    scope: '*',
    through: '2026-09-30',
    effectiveAt: Date.now(),
  })
  expect((await mafraq('periods', '--csv', ...here())).out).toContain('*,2026-09-30,the clock,\r\n')
  const because = ['--by', 'bob', '--why', 'end of the month']
  const card = ['--by', 'bob', '--why', 'of 8888880000000001']
  const refused = await mafraq('close-period', '2026-10-31', ...card, ...here())
  expect([refused.code === 0, refused.out.includes('8888')]).toEqual([false, false])
  expect((await mafraq('close-period', '2026-10-31', ...because, ...here())).out).toBe('RESULT ok\n')
  expect((await mafraq('periods', '--csv', ...here())).out).toBe(
    'scope,closed through,by,why\r\n' +
      '*,2026-10-31,bob,end of the month\r\nknet,2026-11-22,alice,the network has settled it\r\n',
  )
})

test('what is set aside is listed with its end in Kuwait, and lowers what is available', async () => {
  const hold = authorize('wallet:amal', 'merchant:1', 1_500n, { id: 'h1', meta: { rrn: '1' } })
  await world.ledger.commit(unit(hold))
  const { out } = await mafraq('holds', 'wallet:amal', ...here())
  expect(out.split('\n')[1]).toBe(
    '2026-11-22 13:00:00.000+03  KWD           1.500     0.000  1.500  wallet:amal  merchant:1  h1',
  )
  const balance = await mafraq('balance', 'wallet:amal', '--json', ...here())
  expect(JSON.parse(balance.out)).toMatchObject([
    { balance: '10.500', 'set aside': '1.500', available: '9.000' },
  ])
  const posting = await mafraq('posting', 'h1', '--json', ...here())
  expect(JSON.parse(posting.out)).toMatchObject([
    { kind: 'authorize', account: 'wallet:amal', layer: 'pending', debit: '1.500', meta: 'rrn=1' },
    { account: 'merchant:1', credit: '1.500' },
  ])
  expect((await mafraq('posting', 'h2', ...here())).code).toBe(1)
  expect((await mafraq('holds', 'nobody', ...here())).code).toBe(1)
})

test('tampering exits with 1 and names the place', async () => {
  await world.admin.query('ALTER TABLE ledger.entry DISABLE TRIGGER USER')
  await world.admin.query('UPDATE ledger.entry SET amount = amount + 1 WHERE posting_id = 2 AND seq = 1')
  const { code, out } = await mafraq('verify', ...here())
  expect(code).toBe(1)
  expect(out).toContain('RESULT TAMPERED block 3 posting unbalanced: posting 2 is off balance by 1 in KWD\n')
})
