import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dateAfter } from '../../switch/business-date.ts'
import {
  businessDayHistory,
  reconciliationHistory,
  reconciliationItems,
  type ReconciliationOnRecord,
} from '../../switch/switch.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { openSwitchWorld, reconciled, reversalOfCompletion, type SwitchWorld } from './world.ts'

let world: SwitchWorld
let today: string

beforeAll(async () => {
  world = await openSwitchWorld({ networks: ['knet', 'visa'] })
  today = (await businessDayHistory(world.pool)).find(({ destination }) => destination === 'knet')!.date
}, 240_000)

afterAll(() => world.close())

const knet = cardNamed('knet')

/** The network's own book of the day: it turns, and tells the switch; or it has a debit that we know nothing of. */
async function ofDay(change: Readonly<Record<string, string>>, network = 'knet'): Promise<void> {
  const { host, port } = world.system.endpoints.networks[network]!.control
  const answer = await fetch(`http://${host}:${port}/day`, { method: 'POST', body: JSON.stringify(change) })
  expect(answer.ok).toBe(true)
}

async function answered(
  date: string,
  { destination = 'knet', many = 1 }: { readonly destination?: string; readonly many?: number } = {},
): Promise<ReconciliationOnRecord> {
  for (let tries = 0; tries < 900; tries++) {
    const told = await reconciliationHistory(world.pool)
    const found = told.filter((one) => one.date === date && one.destination === destination)
    if (found.length >= many && found.every(({ balance }) => balance !== null)) return found[0]!
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`the totals of ${date} were never answered`)
}

function showDays(): string {
  const program = fileURLToPath(new URL('../../bin/mafraq.ts', import.meta.url))
  const args = [program, 'day', 'show', '--state', world.system.stateFolder]
  return spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout
}

test('the totals of a date that ended are told to its network, whose own book says the same', async () => {
  const terminal = await world.terminal()
  const paid = await terminal.purchase({ card: knet, amountMinor: 10_000n })
  await terminal.purchase({ card: knet, amountMinor: 5_000n, kind: 'withdrawal' })
  const part = await terminal.purchase({ card: knet, amountMinor: 8_000n })
  await terminal.reverse(part, { actualMinor: 6_000n }).reply
  const undone = await terminal.purchase({ card: knet, amountMinor: 4_000n })
  await terminal.reverse(undone).reply
  await terminal.purchase({ card: knet, amountMinor: 3_000n, pin: '0000' })
  await terminal.refund(paid, { card: knet, amountMinor: 1_500n, pin: null })
  const half = await terminal.purchase({ card: knet, amountMinor: 7_916n })
  expect(['10', '51']).toContain(responseCodeOf(half.answer))
  const held = await terminal.purchase({ card: knet, amountMinor: 9_000n, kind: 'preauthorization' })
  await terminal.complete(held, { amountMinor: 2_000n, fields: { 71: '0001', 72: '0002' } }).reply
  await terminal.complete(held, { amountMinor: 1_000n, fields: { 71: '0002', 72: '0002' } }).reply
  await terminal.purchase({ card: knet, amountMinor: 9_500n, kind: 'authorization' })
  const regretted = await terminal.purchase({ card: knet, amountMinor: 9_600n, kind: 'authorization' })
  await terminal.complete(regretted, { amountMinor: 9_600n }).reply
  await terminal.reverse(regretted).reply
  // Debited, and the line cut in the place of an answer.
  const cut = await terminal.purchase({ card: knet, amountMinor: 2_907n })
  for (const { purchase } of [part, undone, regretted, cut])
    await world.lifeUntil(purchase.rrn, ({ reversal }) => reversal === 'acknowledged')

  await ofDay({ cutover: dateAfter(today, 1) })
  const told = await answered(today)
  expect(told).toMatchObject({ destination: 'knet', currency: 'KWD', balance: 'in' })
  const { totals } = told
  expect(totals).toMatchObject({ creditCount: '1', creditMinor: '1500', authorizationCount: '3' })
  const debits = BigInt(totals.debitMinor) - BigInt(totals.debitReversalMinor)
  const partMinor = responseCodeOf(half.answer) === '10' ? 3_958n : 0n
  expect(debits).toBe(10_000n + 5_000n + 6_000n + 3_000n + partMinor)
  expect(showDays()).toContain('in balance')
}, 240_000)

test('what is undone in parts counts once: each part on the date on which it is told, and one completion by itself', async () => {
  const terminal = await world.terminal()
  const tomorrow = dateAfter(today, 1)
  const part = await terminal.purchase({ card: knet, amountMinor: 9_000n })
  await terminal.reverse(part, { actualMinor: 7_000n }).reply
  const held = await terminal.purchase({ card: knet, amountMinor: 9_000n, kind: 'preauthorization' })
  const taken = terminal.complete(held, { amountMinor: 2_000n, fields: { 71: '0001', 72: '0002' } })
  await taken.reply
  const settled = (rrn: string): Promise<unknown> =>
    world.lifeUntil(rrn, ({ obligations, reversal }) => {
      return reversal === 'acknowledged' && obligations.every(({ state }) => state === 'acknowledged')
    })
  await settled(part.purchase.rrn)
  await world.lifeUntil(held.purchase.rrn, ({ advice }) => advice === 'acknowledged')
  await ofDay({ cutover: dateAfter(today, 2) })
  const before = await answered(tomorrow)
  expect(before).toMatchObject({
    balance: 'in',
    totals: { debitReversalCount: '1', debitReversalMinor: '2000' },
  })

  await terminal.reverse(part, { actualMinor: 4_000n }).reply
  await terminal.reverse(part).reply
  expect(responseCodeOf(await terminal.ask(reversalOfCompletion(taken.message)))).toBe('00')
  for (const { purchase } of [part, held]) await settled(purchase.rrn)
  await ofDay({ cutover: dateAfter(today, 3) })
  expect(await answered(dateAfter(today, 2))).toMatchObject({
    balance: 'in',
    totals: { debitCount: '0', debitReversalCount: '3', debitReversalMinor: '9000' },
  })
}, 240_000)

test('a network that settles in dollars says the same of its date in dollars, of completions too', async () => {
  const visa = cardNamed('visa-approved')
  const date = (await businessDayHistory(world.pool)).find(({ destination }) => destination === 'visa')!.date
  const terminal = await world.terminal()
  // 32.5, 3.25 and 0.325 dollars: what is halfway between two cents is the upper one.
  const paid = await terminal.purchase({ card: visa, amountMinor: 10_000n })
  await terminal.refund(paid, { card: visa, amountMinor: 1_002n, pin: null })
  const inThree = await terminal.purchase({ card: visa, amountMinor: 10_001n })
  for (const actualMinor of [6_667n, 3_334n]) await terminal.reverse(inThree, { actualMinor }).reply
  const undone = await terminal.purchase({ card: visa, amountMinor: 4_003n })
  await terminal.reverse(undone).reply
  const held = await terminal.purchase({ card: visa, amountMinor: 9_000n, kind: 'preauthorization' })
  expect(responseCodeOf(held.answer)).toBe('00')
  await terminal.complete(held, { amountMinor: 7_000n }).reply
  const regretted = await terminal.purchase({ card: visa, amountMinor: 9_600n, kind: 'preauthorization' })
  await terminal.complete(regretted, { amountMinor: 9_600n }).reply
  await terminal.reverse(regretted).reply
  for (const { purchase } of [inThree, undone, regretted])
    await world.lifeUntil(purchase.rrn, ({ reversal, obligations }) => {
      return reversal === 'acknowledged' && obligations.every(({ state }) => state === 'acknowledged')
    })
  await world.lifeUntil(held.purchase.rrn, ({ advice }) => advice === 'acknowledged')
  await ofDay({ cutover: dateAfter(date, 1) }, 'visa')
  await answered(date, { destination: 'visa', many: 2 })
  const told = (await reconciliationHistory(world.pool)).filter(({ destination }) => destination === 'visa')
  expect(
    told.map(({ balance, currency, totals: { creditMinor, debitMinor, debitReversalMinor } }) => {
      return [currency, balance, debitMinor, debitReversalMinor, creditMinor]
    }),
  ).toEqual([
    // Of authorizations alone: what took them is paid in dollars.
    ['KWD', 'in', '0', '0', '0'],
    [
      ...['USD', 'in', String(3_250 + 3_250 + 1_301 + 2_275 + 3_120)],
      ...[String(3_250 - 1_083 + 1_301 + 3_120), '326'],
    ],
  ])
}, 240_000)

test('F39: totals that do not agree are said so, recorded and shown, and nothing is made up for them', async () => {
  const terminal = await world.terminal()
  const tomorrow = dateAfter(today, 3)
  const paid = await terminal.purchase({ card: knet, amountMinor: 11_000n })
  expect((await world.life(paid.purchase.rrn)).businessDate).toBe(tomorrow)
  await ofDay({ misbookMinor: '700' })
  await ofDay({ cutover: dateAfter(today, 4) })
  const told = await answered(tomorrow)
  expect(told).toMatchObject({ balance: 'out', totals: { debitCount: '1', debitMinor: '11000' } })
  expect(showDays()).toContain('OUT OF BALANCE')
  const items = await reconciliationItems(world.pool, {
    ...{ destination: 'knet', date: tomorrow, approvals: ['00', '10'] },
  })
  expect(items).toMatchObject([{ total: 'debit', isReversal: false, rrn: paid.purchase.rrn, minor: 11_000n }])
  const { rows } = await world.pool.query<{ state: string; attempts: number }>(
    `SELECT state, attempts FROM switch.obligation WHERE kind = 'reconciliation' AND destination = 'knet'`,
  )
  expect(rows).toEqual(Array.from({ length: 4 }, () => ({ state: 'acknowledged', attempts: 1 })))
  const { ok, lines } = await reconciled(world)
  expect(ok, lines.join('\n')).toBe(true)
}, 240_000)
