import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inTheWay } from '../../bin/commands/ledger-open-dates.ts'
import { dateAfter } from '../../switch/business-date.ts'
import { type DayOnRecord, businessDayHistory } from '../../switch/switch.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { openSwitchWorld, reconciled, type SwitchWorld } from './world.ts'

let world: SwitchWorld

beforeAll(async () => {
  world = await openSwitchWorld()
}, 120_000)

afterAll(() => world.close())

const knet = cardNamed('knet')
const program = fileURLToPath(new URL('../../bin/mafraq.ts', import.meta.url))

function day(...args: string[]): { readonly status: number | null; readonly out: string } {
  const { status, stdout } = spawnSync(
    process.execPath,
    [program, 'day', ...args, '--state', world.system.stateFolder],
    { encoding: 'utf8' },
  )
  return { status, out: stdout }
}

async function daysOf(destination: string): Promise<DayOnRecord[]> {
  return (await businessDayHistory(world.pool)).filter((one) => one.destination === destination)
}

async function postedOn(transactionId: string): Promise<string[]> {
  const { rows } = await world.pool.query<{ path: string }>(
    `SELECT a.path FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id
       JOIN ledger.account a ON a.id = e.account_id
      WHERE p.reference LIKE $1 AND a.path LIKE 'net:%' ORDER BY p.id`,
    [`${transactionId}:%`],
  )
  return rows.map(({ path }) => path)
}

test("an operator's cutover turns the date of a running node; what was before it keeps its date, and its reversal is of the new one", async () => {
  const [{ date: today }] = (await daysOf('knet')) as [DayOnRecord]
  const tomorrow = dateAfter(today, 1)
  const terminal = await world.terminal()
  const before = await terminal.purchase({ card: knet, amountMinor: 7_000n })
  expect(day('cutover', 'knet', '--by', 'op', '--why', 'test')).toEqual({
    status: 0,
    out: `knet ${tomorrow} begun\n`,
  })
  expect(day('cutover', 'knet', '--date', tomorrow, '--by', 'op', '--why', 'again').status).toBe(1)
  expect(day('cutover', 'knet', '--date', dateAfter(today, 40), '--by', 'op', '--why', 'far').status).toBe(1)
  // The node follows within a sweep or two.
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  const after = await terminal.purchase({ card: knet, amountMinor: 7_050n })
  const [old, fresh] = [await world.life(before.purchase.rrn), await world.life(after.purchase.rrn)]
  expect([old.businessDate, fresh.businessDate]).toEqual([today, tomorrow])
  await terminal.reverse(before).reply
  await world.lifeUntil(before.purchase.rrn, ({ reversal }) => reversal === 'acknowledged')
  expect(await postedOn(old.id)).toEqual([`net:knet:${today}:KWD`, `net:knet:${tomorrow}:KWD`])
  expect(await postedOn(fresh.id)).toEqual([`net:knet:${tomorrow}:KWD`])
  expect((await world.life(before.purchase.rrn)).businessDate).toBe(today)
}, 60_000)

test('the date that has ended is frozen once nothing of it is under way, and its balance is due in settlement', async () => {
  let ended: DayOnRecord | undefined
  for (let tries = 0; (ended?.frozenAt ?? null) === null; tries++) {
    expect(tries).toBeLessThan(200)
    await new Promise((resolve) => setTimeout(resolve, 200))
    ended = (await daysOf('knet'))[0]
  }
  expect(ended).toMatchObject({ stragglers: 0 })
  const { rows } = await world.pool.query<{ closed: boolean; net: string }>(
    `SELECT b.closed, (b.debits - b.credits)::text AS net FROM ledger.balance b
       JOIN ledger.account a ON a.id = b.account_id WHERE a.path = $1`,
    [`net:knet:${ended?.date}:KWD`],
  )
  expect(rows).toEqual([{ closed: true, net: '0' }])
  expect(day('show').out).toContain(`knet         ${ended?.date}`)
  const { ok, lines } = await reconciled(world)
  expect(ok, lines.join('\n')).toBe(true)
}, 90_000)

test('the books are not closed up to a date that the switch works on, nor for a network that is not there', async () => {
  const current = (await daysOf('knet')).at(-1)!.date
  const ledger = (...args: string[]): { status: number | null; out: string } => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [
        program,
        'ledger',
        ...args,
        '--by',
        'alice',
        '--why',
        'it is over',
        '--state',
        world.system.stateFolder,
      ],
      { encoding: 'utf8' },
    )
    return { status, out: stdout }
  }
  const worksOnIt = `RESULT refused: knet is on business date ${current}, and only dates before it can be closed\n`
  expect(ledger('close-date', 'knet', current)).toEqual({ status: 1, out: worksOnIt })
  expect(ledger('close-date', 'nobody', dateAfter(current, -9))).toEqual({
    status: 1,
    out: 'RESULT refused: no network is called nobody; there are: knet\n',
  })
  expect(ledger('close-period', current)).toEqual({ status: 1, out: worksOnIt })
  const [ended] = await daysOf('knet')
  expect(ledger('close-date', 'knet', ended!.date)).toMatchObject({ status: 0 })
  const terminal = await world.terminal()
  const { answer } = await terminal.purchase({ card: knet, amountMinor: 7_070n })
  expect(answer).toMatchObject({ kind: 'answer', message: { fields: { 39: '00' } } })
}, 60_000)

test("a date with something under way is not closed, and of all books the switch's own date counts too", () => {
  const day = (destination: string, date: string, frozenAt: Date | null): DayOnRecord => ({
    ...{ destination, date, frozenAt, beganAt: new Date(0), cause: 'clock', who: 'n', described: '' },
    stragglers: null,
  })
  const days = [
    day('knet', '2026-11-20', new Date(0)),
    day('knet', '2026-11-21', null),
    day('knet', '2026-11-22', null),
    day('switch', '2026-11-20', null),
    day('switch', '2026-11-21', null),
  ]
  expect(inTheWay(days, 'knet', '2026-11-20')).toBeUndefined()
  expect(inTheWay(days, 'knet', '2026-11-21')).toMatch('2026-11-21 of knet is not frozen yet')
  expect(inTheWay(days, '*', '2026-11-20')).toBeUndefined()
  expect(inTheWay(days.slice(0, 1), '*', '2026-11-20')).toMatch('is on business date 2026-11-20')
  expect(inTheWay([days[0]!, day('knet', '2026-11-22', null), days[3]!], '*', '2026-11-20')).toMatch(
    'switch is on business date 2026-11-20',
  )
})

test('where a card would go is told with the reason, masked, and nothing is sent', () => {
  const ask = (...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [program, 'explain-route', ...args, '--state', world.system.stateFolder], {
      encoding: 'utf8',
    })
  const found = ask('--pan', knet.pan)
  expect(found.stdout).toContain('goes to knet')
  expect(found.stdout).not.toContain(knet.pan)
  const stranger = ask('--bin', '400000')
  expect([stranger.status, stranger.stdout]).toEqual([1, expect.stringContaining('another range')])
  const slip = ask('--bin', '888888', '--source', 'nobody')
  expect([slip.status, slip.stderr]).toEqual([2, expect.stringContaining('no source is called nobody')])
}, 60_000)
