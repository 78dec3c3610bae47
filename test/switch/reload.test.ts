import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readRuleTexts, writeRuleTexts } from '../../bin/environment/rules.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { ruleHistory } from '../../switch/switch.ts'
import { openSwitchWorld, type SwitchWorld } from './world.ts'

let world: SwitchWorld
let folder: string

beforeAll(async () => {
  world = await openSwitchWorld({ rules: {} })
  folder = join(world.system.stateFolder, 'config', 'rules')
}, 120_000)

afterAll(async () => world.close(), 60_000)

const card = cardNamed('knet')
const mafraq = new URL('../../bin/mafraq', import.meta.url).pathname
const run = promisify(execFile)

async function rules(...args: string[]): Promise<{ readonly code: number; readonly text: string }> {
  const who = ['--by', 'alice', '--why', 'a test', '--state', world.system.stateFolder]
  try {
    const { stdout } = await run(mafraq, ['rules', ...args, ...who], { timeout: 60_000 })
    return { code: 0, text: stdout }
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string }
    return { code, text: stdout }
  }
}

function edit(file: string, from: string, to: string): void {
  const text = readRuleTexts(folder)[file]!
  expect(text).toContain(from)
  writeRuleTexts(folder, { [file]: text.replace(from, to) })
}

async function bought(): Promise<{ readonly code: string | undefined; readonly rules: string | null }> {
  const terminal = await world.terminal()
  let { answer, purchase } = await terminal.purchase({ card, amountMinor: 7_000n })
  // A machine that stood still meanwhile is met with silence, and its terminal buys again.
  for (let tries = 0; responseCodeOf(answer) === undefined && tries < 2; tries++)
    ({ answer, purchase } = await terminal.purchase({ card, amountMinor: 7_000n }))
  const life = await world.life(purchase.rrn)
  return { code: responseCodeOf(answer), rules: life.rules }
}

test('F51: a running switch whose rules are reloaded with a mistake goes on with those it had, and says which', async () => {
  const before = await bought()
  expect(before.code).toBe('00')
  edit('limits.yaml', 'kind: refund', 'kind: refunds')
  edit('routes.yaml', '[knet]', '[visa]')
  const refused = await rules('reload')
  expect(refused.code).toBe(1)
  expect(refused.text).toMatch(/limits\.yaml:\d+: sources\.acq1\.limits\.0\.kind: one of purchase, /)
  expect(refused.text).toMatch(/RESULT refused\n$/)
  process.kill((await world.system.pid('switch'))!, 'SIGHUP')
  // The second of the two that are refused.
  for (let tries = 0; tries < 100; tries++) {
    const [last] = await ruleHistory(world.pool, 1)
    if (last?.cause === 'signal' && last.outcome === 'refused') break
    expect(tries).toBeLessThan(99)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  expect(await bought()).toEqual(before)
  const log = readFileSync(join(world.system.stateFolder, 'logs', 'switch.log'), 'utf8')
  expect(log).toContain('the rules were refused, those before stay in force')
}, 120_000)

test('F51: what is being served when other rules come into force is decided by those it began with, and the next by the new ones', async () => {
  edit('limits.yaml', 'kind: refunds', 'kind: refund')
  edit('routes.yaml', '[visa]', '[knet]')
  edit('limits.yaml', 'limits:', 'limits:\n      - { kind: purchase, currency: KWD, amountMinorMax: 6000 }')
  edit('result-codes.yaml', 'sources: {}', "sources: { acq1: { amountLimit: '65', approved: '08' } }")
  await world.network({ delayMs: 3_500 })
  const before = (await ruleHistory(world.pool, 50)).find(({ outcome }) => outcome === 'adopted')!
  const slow = bought()
  await new Promise((resolve) => setTimeout(resolve, 500))
  process.kill((await world.system.pid('switch'))!, 'SIGHUP')
  const first = await slow
  await world.network({ reset: true })
  const [adopted] = await ruleHistory(world.pool, 1)
  expect(adopted).toMatchObject({ outcome: 'adopted', cause: 'signal' })
  expect(first.code).toBe('00')
  expect(first.rules).toMatch(new RegExp(`^${before.number}-`))
  expect(await bought()).toMatchObject({ code: '65', rules: expect.stringMatching(`^${adopted?.number}-`) })
}, 120_000)

test('rules are compared, put back by their number, and looked up', async () => {
  const [latest] = await ruleHistory(world.pool, 1)
  const diff = await run(mafraq, ['rules', 'diff', '--from', '1', '--state', world.system.stateFolder])
  expect(diff.stdout).toContain('+ limits.yaml sources.acq1.limits.[purchase KWD]')
  expect((await rules('rollback', '1')).code).toBe(0)
  expect(await bought()).toMatchObject({ code: '00', rules: expect.stringMatching(/^1-/) })
  expect(readRuleTexts(folder)['limits.yaml']).not.toContain('6000')
  const show = await run(mafraq, ['rules', 'show', '--state', world.system.stateFolder])
  expect(show.stdout).toMatch(
    /node-1 +1-[0-9a-f]{8} +adopted +by operator \(alice\): back to number 1: a test/,
  )
  expect((await rules('rollback', '999')).code).toBe(1)
  expect(latest?.number).not.toBe(1)
}, 120_000)
