import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { network as knet } from '../../connectors/knet/network.ts'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { readRuleTexts } from '../../bin/environment/rules.ts'
import { JournalUnavailable } from '../../switch/journal.ts'
import { postgresRuleBook } from '../../switch/ports/postgres-rules.ts'
import type { RuleTexts } from '../../switch/rules/files.ts'
import type { KnownToRules, Rules } from '../../switch/rules/rules.ts'
import { type RuleBook, RulesInForce, RulesRefused } from '../../switch/rules/rules-in-force.ts'
import { askRuleReload, ruleAnswers, ruleHistory, ruleTextsOf } from '../../switch/switch.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { openSwitchDatabase } from '../support/switch-database.ts'

let database: TestDatabase
let pool: DatabasePool

beforeAll(async () => {
  database = await openSwitchDatabase()
  pool = openPool({ databaseUrl: database.url, applicationName: 'test', connectionsMax: 2 })
  pool.on('connect', (client) => void client.query('SET ROLE ledger_writer'))
}, 60_000)

afterAll(async () => {
  await pool.end()
  await database.close()
})

const texts = readRuleTexts(fileURLToPath(new URL('../../rules/', import.meta.url)))
const known: KnownToRules = {
  sources: new Map([['acq1', { name: 'acq1', keys: { pin: 'tpk', mac: 'tak' } }]]),
  destinations: new Map([['knet', { rules: knet.rules, edition: '1987' }]]),
}
const patient = { 'timers.yaml': texts['timers.yaml']!.replace('10000', '12000') }
const broken = { 'timers.yaml': texts['timers.yaml']!.replace('8000', 'soon') }
const operator = { cause: 'operator', who: 'alice', why: 'longer lines' } as const

interface Node {
  readonly rules: RulesInForce
  readonly alarms: string[]
  readonly adopted: Rules[]
  /** What its folder has from now on. */
  readonly write: (changed: RuleTexts) => void
}

async function node(name: string, book: RuleBook = postgresRuleBook(pool)): Promise<Node> {
  let written: RuleTexts = texts
  const alarms: string[] = []
  const adopted: Rules[] = []
  const rules = new RulesInForce({
    ...{ node: name, known, book },
    texts: () => Promise.resolve(written),
    observer: { alarm: (what, subject) => void alarms.push(`${what}: ${subject}`) },
    onChange: () => undefined,
    adopt: (each) => void adopted.push(each),
  })
  await rules.open()
  return { rules, alarms, adopted, write: (changed) => (written = { ...texts, ...changed }) }
}

describe('F51: a reload', () => {
  test('puts all of a sound set in force at once, on record with who and why', async () => {
    const { adopted, rules, write } = await node('adopts')
    const before = rules.current
    write(patient)
    const reloaded = await rules.reload(operator)
    expect(reloaded).toMatchObject({
      kind: 'adopted',
      differences: [{ where: 'timers.yaml sources.acq1.terminalTimeoutMs', before: '10000', after: '12000' }],
    })
    expect(adopted.at(-1)).toBe(rules.current)
    expect(rules.current.sources.get('acq1')?.terminalTimeoutMs).toBe(12_000)
    // Whoever holds the set that was has all of it as it was.
    expect(before.sources.get('acq1')?.terminalTimeoutMs).toBe(10_000)
    expect((await ruleHistory(pool, 1))[0]).toMatchObject({
      ...{ node: 'adopts', cause: 'operator', who: 'alice', why: 'longer lines', outcome: 'adopted' },
      ...{ number: rules.current.version.number, before: before.version.number },
    })
    expect(await ruleTextsOf(pool, rules.current.version.number)).toMatchObject(patient)
  })

  test('with one mistake changes nothing, alarms, and is on record with the mistake', async () => {
    const { adopted, alarms, rules, write } = await node('refuses')
    const before = rules.current
    write({ ...broken, 'limits.yaml': texts['limits.yaml']!.replace('Max: 100000', 'Max: 1') })
    expect(await rules.reload(operator)).toMatchObject({ kind: 'refused' })
    expect(rules.current).toBe(before)
    expect(adopted).toHaveLength(1)
    expect(alarms.join()).toMatch(/those before stay in force: timers\.yaml:3: sources\.acq1\.timeoutMs: /)
    const [last] = await ruleHistory(pool, 1)
    expect(last).toMatchObject({ outcome: 'refused', number: before.version.number })
    expect(last?.mistakes).toMatchObject([expect.stringContaining('timers.yaml:3: sources.acq1.timeoutMs')])
  })

  test('of a set that is in force already is no change, and one that comes back has the number it had', async () => {
    const { rules, write } = await node('returns')
    const { number } = rules.current.version
    expect((await rules.reload(operator)).kind).toBe('unchanged')
    write(patient)
    await rules.reload(operator)
    expect(rules.current.version.number).not.toBe(number)
    write({})
    await rules.reload(operator)
    expect(rules.current.version.number).toBe(number)
  })

  test('that can not be put on record is not made', async () => {
    const real = postgresRuleBook(pool)
    let away = false
    const { alarms, rules, write } = await node('away', {
      ...real,
      record: (change) => (away ? Promise.reject(new JournalUnavailable()) : real.record(change)),
    })
    const before = rules.current
    away = true
    write(patient)
    expect((await rules.reload(operator)).kind).toBe('refused')
    expect(rules.current).toBe(before)
    expect(alarms.join()).toContain('not on record')
  })

  test('that an operator asks for is made by every node, once', async () => {
    const nodes = [await node('one'), await node('two')]
    const request = await askRuleReload(pool, { who: 'bob', why: 'both' })
    nodes[0]!.write(patient)
    nodes[1]!.write(broken)
    for (let time = 0; time < 2; time++) for (const { rules } of nodes) await rules.follow()
    const answers = await ruleAnswers(pool, request)
    expect(answers.map(({ node: name, outcome, who }) => `${name} ${outcome} ${who}`)).toEqual([
      'one adopted bob',
      'two refused bob',
    ])
  })

  test('that an operator asks for while the journal is away is made once it is there again', async () => {
    const real = postgresRuleBook(pool)
    let away = true
    const { rules, write } = await node('away-for-a-moment', {
      ...real,
      record: (change) =>
        away && change.cause !== 'start' ? Promise.reject(new JournalUnavailable()) : real.record(change),
    })
    write({ 'timers.yaml': texts['timers.yaml']!.replace('10000', '13000') })
    const request = await askRuleReload(pool, { who: 'bob', why: 'both' })
    await expect(rules.follow()).rejects.toThrow(JournalUnavailable)
    away = false
    for (let time = 0; time < 2; time++) await rules.follow()
    expect(rules.current.sources.get('acq1')?.terminalTimeoutMs).toBe(13_000)
    expect((await ruleAnswers(pool, request)).map(({ outcome }) => outcome)).toEqual(['adopted'])
  })

  test('can not be asked for by nobody, and no record of one can be changed', async () => {
    await expect(askRuleReload(pool, { who: '', why: 'x' })).rejects.toThrow()
    for (const table of ['rule_set', 'rule_change', 'rule_request'])
      await expect(pool.query(`DELETE FROM switch.${table}`)).rejects.toThrow()
  })
})

test('F51: a node does not start with rules that are not sound', async () => {
  const { write: _write, rules: _rules } = await node('starts')
  const rules = new RulesInForce({
    ...{ node: 'does-not', known, book: postgresRuleBook(pool) },
    texts: () => Promise.resolve({ ...texts, ...broken }),
    observer: { alarm: () => undefined },
    onChange: () => undefined,
    adopt: () => undefined,
  })
  await expect(rules.open()).rejects.toThrow(RulesRefused)
})
