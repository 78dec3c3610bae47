import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { readRuleTexts, writeRuleTexts } from '../../bin/environment/rules.ts'
import { storyOf } from '../../bin/explain/story.ts'
import { tellFamily } from '../../bin/commands/explain.ts'
import { loadCardsOf, type TestCard } from '../../simulators/cards.ts'
import { responseCodeOf, type Terminal } from '../../simulators/terminals/terminal.ts'
import { dateAfter } from '../../switch/business-date.ts'
import {
  businessDayHistory,
  reconciliationHistory,
  type ReconciliationOnRecord,
  ruleHistory,
} from '../../switch/switch.ts'
import { openSwitchWorld, reconciled, type SwitchWorld } from './world.ts'

type Asked = Awaited<ReturnType<Terminal['purchase']>>

let world: SwitchWorld
let folder: string
const cardOf = (network: string): TestCard => loadCardsOf(network)[0]!
const [knet, host, visa, mastercard] = [
  cardOf('knet'),
  cardOf('issuer-host'),
  cardOf('visa'),
  cardOf('mastercard'),
]

beforeAll(async () => {
  const text = JSON.stringify({ extends: 'mastercard', rules: { fees: { inAmount: false } } })
  folder = mkdtempSync(join(tmpdir(), 'mafraq-member-'))
  const file = join(folder, 'member.json')
  writeFileSync(file, text)
  chmodSync(folder, 0o755)
  chmodSync(file, 0o644)
  const sha256 = createHash('sha256').update(text).digest('hex')
  world = await openSwitchWorld({
    ...{ networks: ['knet', 'issuer-host', 'visa', 'mastercard'], rules: {} },
    members: { mastercard: { file, sha256 } },
  })
}, 240_000)

afterAll(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

/** KWD 20.917, of which 0.250 is the terminal's: the network charges 0.025 for it. */
async function charged(card: TestCard): Promise<Asked> {
  const terminal = await world.terminal()
  const asked = await terminal.purchase({ card, amountMinor: 20_917n, fields: { 28: 'D00000250' } })
  expect(responseCodeOf(asked.answer)).toBe('00')
  return asked
}

async function undone(asked: Asked): Promise<void> {
  const terminal = await world.terminal()
  expect(responseCodeOf(await terminal.reverse(asked).reply)).toBe('00')
  await world.lifeUntil(asked.purchase.rrn, ({ reversal }) => reversal === 'acknowledged')
}

async function entries(rrn: string): Promise<string[]> {
  const { id } = await world.life(rrn)
  return world.entriesOf(id)
}

async function tell(network: string, path: string, body: object): Promise<void> {
  const { control } = world.system.endpoints.networks[network]!
  const answer = await fetch(`http://${control.host}:${control.port}/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  })
  expect(answer.ok, await answer.text()).toBe(true)
}

/** The date of a network ends: what it says of our totals. */
async function totalsOf(network: string): Promise<ReconciliationOnRecord[]> {
  const days = await businessDayHistory(world.pool)
  const { date } = days.filter(({ destination }) => destination === network).at(-1)!
  await tell(network, 'day', { cutover: dateAfter(date, 1) })
  for (let tries = 0; tries < 900; tries++) {
    const all = await reconciliationHistory(world.pool)
    const told = all.filter((one) => one.destination === network && one.date === date)
    if (told.length > 0 && told.every(({ balance }) => balance !== null)) return told
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`the totals of ${network} were never answered`)
}

const inFolder = (...path: string[]): string => join(world.system.stateFolder, ...path)

/** Has the switch read its configuration and rules, and waits until they are in force. */
async function reload(): Promise<void> {
  const adopted = async (): Promise<number> => (await ruleHistory(world.pool, 1))[0]?.number ?? 0
  const before = await adopted()
  process.kill((await world.system.pid('switch'))!, 'SIGHUP')
  await vi.waitFor(async () => expect(await adopted()).toBeGreaterThan(before), { timeout: 60_000 })
  expect((await ruleHistory(world.pool, 1))[0]).toMatchObject({ outcome: 'adopted' })
}

/** What the terminals of the source do otherwise than usual. */
async function sources(line: string): Promise<void> {
  const rules = inFolder('config', 'rules')
  const text = readRuleTexts(rules)['limits.yaml']!
  writeRuleTexts(rules, { 'limits.yaml': text.replace('    forcedPost:', `    ${line}\n    forcedPost:`) })
  await reload()
}

const amounts = ['net KWD 20917', 'merchant KWD -20667', 'fees KWD -250']
const fee = ['scheme KWD 25', 'net KWD -25']

test('what a network charges is booked beside the amount, goes back with the whole of it, and is told in its totals', async () => {
  const kept = await charged(knet)
  expect(await entries(kept.purchase.rrn)).toEqual([...amounts, ...fee])
  const back = await charged(knet)
  await undone(back)
  const after = (await entries(back.purchase.rrn)).slice(5)
  expect(after.filter((entry) => /scheme|net KWD 25$/.test(entry)).sort()).toEqual([
    'net KWD 25',
    'scheme KWD -25',
  ])

  const [life] = await tellFamily(world.pool, back.purchase.rrn)
  const story = storyOf(life!, [])
  expect(story).toContain('fee: knet charges us KWD 0.025 for handling it')
  expect(story).toContain('fee: knet gives back KWD 0.025')

  expect(await totalsOf('knet')).toMatchObject([
    {
      balance: 'in',
      totals: {
        ...{ debitMinor: '41834', debitReversalMinor: '20917' },
        ...{ debitProcessingFeeMinor: '50', creditProcessingFeeMinor: '25' },
        ...{ debitTransactionFeeMinor: '500', creditTransactionFeeMinor: '250' },
      },
    },
  ])
}, 240_000)

test('a host of 1993 says the same in DE46, gives nothing back, and its totals have it in DE109 and DE110', async () => {
  const back = await charged(host)
  expect(await entries(back.purchase.rrn)).toEqual([...amounts, ...fee])
  await undone(back)
  expect((await entries(back.purchase.rrn)).filter((entry) => entry.startsWith('scheme'))).toEqual([fee[0]])
  expect(await totalsOf('issuer-host')).toMatchObject([
    {
      balance: 'in',
      totals: {
        debitProcessingFeeMinor: '25',
        creditProcessingFeeMinor: '0',
        creditTransactionFeeMinor: '250',
      },
    },
  ])
}, 240_000)

test('what is settled in dollars is charged in dollars, and a rule of the network says how much', async () => {
  const rules = "rules:\n- when: {mti: '0200'}\n  then: {charge: {minor: 100, sign: C}}\n"
  await tell('visa', 'rules', { rules })
  const terminal = await world.terminal()
  const asked = await terminal.purchase({ card: visa, amountMinor: 10_000n, fields: { 28: 'D00000200' } })
  expect(responseCodeOf(asked.answer)).toBe('00')
  // At 3.25 dollars to a dinar: 10.000 is 32.50, and 0.100 is 0.33.
  const [first, ...rest] = await entries(asked.purchase.rrn)
  expect(first).toBe('net USD 3250')
  expect(rest.slice(-2)).toEqual(['net USD 33', 'scheme USD -33'])
  expect(await totalsOf('visa')).toMatchObject([
    {
      currency: 'USD',
      balance: 'in',
      totals: { creditProcessingFeeMinor: '33', debitTransactionFeeMinor: '65' },
    },
  ])
  await tell('visa', 'rules', { rules: 'rules: []\n' })
}, 240_000)

test('a network may want DE4 without the fee: all of it is paid all the same, in part and undone, and told in that way', async () => {
  await tell('mastercard', 'fees', { inAmount: false })
  const asked = await charged(mastercard)
  // At 3.25 dollars to a dinar: 20.667 is 67.17, 0.250 is 0.81, and 0.025 is 0.08.
  expect((await entries(asked.purchase.rrn)).sort()).toEqual(
    [
      ...['net USD 6798', 'fx USD -6798', 'fx KWD 20917', 'merchant KWD -20667', 'fees KWD -250'],
      ...['scheme USD 8', 'net USD -8'],
    ].sort(),
  )
  const terminal = await world.terminal()
  expect(responseCodeOf(await terminal.reverse(asked, { actualMinor: 5_917n }).reply)).toBe('00')
  await world.lifeUntil(asked.purchase.rrn, ({ reversal }) => reversal === 'acknowledged')
  const half = { card: mastercard, amountMinor: 8_916n, fields: { 28: 'D00000250' } }
  const part = await terminal.purchase(half)
  expect(responseCodeOf(part.answer)).toBe('10')
  expect(part.answer.kind === 'answer' ? part.answer.message.fields[4] : '').toBe('000000004458')
  // 4.208 is 13.68. What went back is 67.98 less 19.23.
  expect(await totalsOf('mastercard')).toMatchObject([
    {
      ...{ balance: 'in', currency: 'USD' },
      totals: {
        ...{ debitMinor: String(6_717 + 1_368), debitReversalMinor: String(6_798 - 1_923) },
        ...{ debitTransactionFeeMinor: '162', debitProcessingFeeMinor: '8' },
      },
    },
  ])
}, 240_000)

test('a terminal may say DE4 without the fee, too', async () => {
  await sources('feeInAmount: no')
  const terminal = await world.terminal()
  const beside = { card: knet, amountMinor: 10_000n, fields: { 28: 'D00000250' } }
  const asked = await terminal.purchase(beside)
  const said = asked.answer.kind === 'answer' ? asked.answer.message.fields : {}
  expect([said[39], said[4]]).toEqual(['00', '000000010000'])
  expect(await entries(asked.purchase.rrn)).toEqual(['net KWD 10250', 'merchant KWD -10000', 'fees KWD -250'])
  // 8.916 of all, of which half is granted, 0.250 of that beside DE4.
  const part = await terminal.purchase({ ...beside, amountMinor: 8_666n })
  expect(part.answer.kind === 'answer' ? part.answer.message.fields[4] : '').toBe('000000004208')
  await undone(asked)
  expect((await entries(asked.purchase.rrn)).slice(3).sort()).toEqual(
    ['fees KWD 250', 'merchant KWD 10000', 'net KWD -10250'].sort(),
  )
}, 120_000)

test('the three books agree', async () => {
  const { lines, ok } = await reconciled(world)
  expect(ok, lines.join('\n')).toBe(true)
}, 120_000)
