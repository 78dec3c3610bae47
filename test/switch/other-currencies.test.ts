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
  const { host, port } = world.system.endpoints.networks['knet']!.control
  const rules = `rules:\n  - when: { mti: ['0200'] }\n    then: ${JSON.stringify({ set })}\n`
  const answer = await fetch(`http://${host}:${port}/rules`, {
    method: 'POST',
    body: JSON.stringify({ rules }),
  })
  expect(answer.ok, await answer.text()).toBe(true)

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

  const { rows } = await world.pool.query<{ entry: string }>(
    `SELECT split_part(a.path, ':', 1) || ' ' || e.currency || ' ' || e.amount AS entry
       FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id JOIN ledger.account a ON a.id = e.account_id
      WHERE p.reference LIKE $1 || ':%' ORDER BY p.id, e.seq`,
    [id],
  )
  expect(rows.map(({ entry }) => entry)).toEqual([
    'net USD 4068',
    'fx KWD 12500',
    'merchant KWD -12500',
    'fx USD -4068',
    'merchant KWD 7500',
    'fx USD 2441',
    'net USD -2441',
    'fx KWD -7500',
  ])
  const { date } = (await businessDayHistory(world.pool)).find(({ destination }) => destination === 'knet')!
  const items = await reconciliationItems(world.pool, { destination: 'knet', date, approvals: ['00'] })
  expect(items.map(({ currency, isReversal, minor }) => `${currency} ${isReversal} ${minor}`)).toEqual([
    'USD false 4068',
    'USD true 2441',
  ])
}, 120_000)
