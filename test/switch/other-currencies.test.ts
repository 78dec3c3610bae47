import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { businessDayHistory, reconciliationItems } from '../../switch/switch.ts'
import { openSwitchWorld, type SwitchWorld } from './world.ts'

let world: SwitchWorld

beforeAll(async () => {
  const limits = readFileSync(new URL('../../rules/limits.yaml', import.meta.url), 'utf8')
  const hearing = limits.replace('forcedPost:', 'hearsBilling: yes\n    forcedPost:')
  world = await openSwitchWorld({ rules: { 'limits.yaml': hearing } })
}, 120_000)

afterAll(() => world.close())

/** From now on the simulated network says these elements too, in its answers to messages of this type. */
async function answerWith(mti: string, set: Readonly<Record<number, string>>): Promise<void> {
  const { host, port } = world.system.endpoints.networks['knet']!.control
  const rules = `rules:\n  - when: { mti: ['${mti}'] }\n    then: ${JSON.stringify({ set })}\n`
  const answer = await fetch(`http://${host}:${port}/rules`, {
    method: 'POST',
    body: JSON.stringify({ rules }),
  })
  expect(answer.ok, await answer.text()).toBe(true)
}

/** What is counted of a transaction: currency, whether it gives back, and how much. */
async function countedOf(rrn: string): Promise<string[]> {
  const { date } = (await businessDayHistory(world.pool)).find(({ destination }) => destination === 'knet')!
  const items = await reconciliationItems(world.pool, { destination: 'knet', date, approvals: ['00'] })
  return items
    .filter((item) => item.rrn === rrn && item.total !== 'authorization')
    .map(({ currency, isReversal, minor }) => `${currency} ${isReversal} ${minor}`)
}

test('what a network settles in another currency is booked, undone and told to it in that one, and the terminal hears what its cardholder is charged', async () => {
  // KWD 12.500 at 3.2541 is USD 40.68; the cardholder is charged EUR 37.50.
  const set = {
    5: '000000004068',
    9: '40032541',
    16: '1122',
    50: '840',
    6: '000000003750',
    10: '10000030',
    51: '978',
  }
  await answerWith('0200', set)

  const terminal = await world.terminal()
  const asked = await terminal.purchase({ card: cardNamed('knet'), amountMinor: 12_500n })
  const heard = asked.answer.kind === 'answer' ? asked.answer.message.fields : {}
  expect([39, 6, 10, 16, 51].map((de) => heard[de])).toEqual([
    '00',
    '000000003750',
    '10000030',
    '1122',
    '978',
  ])
  const repeated = await terminal.repeat(asked)
  expect(repeated.kind === 'answer' ? repeated.message.fields[6] : undefined).toBe('000000003750')
  expect(responseCodeOf(await terminal.reverse(asked, { actualMinor: 5_000n }).reply)).toBe('00')
  const { id } = await world.lifeUntil(asked.purchase.rrn, ({ reversal }) => reversal === 'acknowledged')

  expect(await world.entriesOf(id)).toEqual([
    'net USD 4068',
    'fx KWD 12500',
    'merchant KWD -12500',
    'fx USD -4068',
    'merchant KWD 7500',
    'fx USD 2441',
    'net USD -2441',
    'fx KWD -7500',
  ])
  expect(await countedOf(asked.purchase.rrn)).toEqual(['USD false 4068', 'USD true 2441'])
}, 120_000)

test('what completions took is exchanged when the network says what it pays for it, counted in that, and undone in that with the authorization', async () => {
  // KWD 5.000 at 3.2541 is USD 16.27. What was set aside is said to be settled too: that is not money yet.
  await answerWith('0220', { 5: '000000001627', 9: '40032541', 50: '840' })
  const terminal = await world.terminal()
  const held = await terminal.purchase({
    card: cardNamed('knet'),
    amountMinor: 12_500n,
    kind: 'preauthorization',
  })
  expect(responseCodeOf(held.answer)).toBe('00')
  const { rrn } = held.purchase
  const complete = async (fields: Readonly<Record<number, string>>): Promise<void> => {
    expect(responseCodeOf(await terminal.complete(held, { amountMinor: 5_000n, fields }).reply)).toBe('00')
    await world.lifeUntil(rrn, ({ advice }) => advice === 'acknowledged')
  }
  await complete({ 71: '0001', 72: '0002' })
  const { id } = await world.lifeUntil(rrn, ({ advice }) => advice === 'acknowledged')
  expect((await world.entriesOf(id)).slice(-6)).toEqual([
    'net KWD 5000',
    'authorized KWD -5000',
    'net USD 1627',
    'fx KWD 5000',
    'net KWD -5000',
    'fx USD -1627',
  ])
  await complete({ 71: '0002', 72: '0002' })
  expect(await countedOf(rrn)).toEqual(['USD false 1627', 'USD false 1627'])
  expect(responseCodeOf(await terminal.reverse(held).reply)).toBe('00')
  await world.lifeUntil(rrn, ({ reversal }) => reversal === 'acknowledged')
  expect(await countedOf(rrn)).toEqual(['USD false 1627', 'USD false 1627', 'USD true 3254'])
  const { rows } = await world.pool.query<{ balance: string }>(
    `SELECT DISTINCT sum(e.amount)::text AS balance FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id
      WHERE p.reference LIKE $1 || ':%' GROUP BY e.account_id`,
    [id],
  )
  expect(rows).toEqual([{ balance: '0' }])
}, 120_000)

test('a settlement of a completion that its own rate contradicts is not believed, and flagged', async () => {
  await answerWith('0220', { 5: '000000009999', 9: '40032541', 50: '840' })
  const terminal = await world.terminal()
  const held = await terminal.purchase({
    card: cardNamed('knet'),
    amountMinor: 12_500n,
    kind: 'preauthorization',
  })
  const { rrn } = held.purchase
  expect(responseCodeOf(await terminal.complete(held, { amountMinor: 12_500n }).reply)).toBe('00')
  const { flag } = await world.lifeUntil(rrn, ({ advice }) => advice === 'acknowledged')
  expect(flag).toBe('settlementDisputed')
  expect(await countedOf(rrn)).toEqual(['KWD false 12500'])
}, 120_000)
