import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPool } from '../../kernel/database.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf, type Terminal } from '../../simulators/terminals/terminal.ts'
import { dateAfter } from '../../switch/business-date.ts'
import { businessDayHistory, readStatement, unmatchedItems } from '../../switch/switch.ts'
import { openSwitchWorld, type SwitchWorld } from './world.ts'

let world: SwitchWorld
let today: string
let terminal: Terminal
/** References of purchases that nothing else happened to. */
const plain: string[] = []
let reversed = ''

beforeAll(async () => {
  world = await openSwitchWorld({ networks: ['knet', 'visa'] })
  today = (await businessDayHistory(world.pool)).find(({ destination }) => destination === 'knet')!.date
  terminal = await world.terminal()
  await trade()
}, 240_000)

afterAll(() => world.close())

/** A day of business with each kind of item, and one of which nobody knows what the network did. */
async function trade(): Promise<void> {
  const [knet, visa] = [cardNamed('knet'), cardNamed('visa-approved')]
  for (const amountMinor of [11_000n, 12_000n, 13_000n, 14_000n, 15_000n]) {
    const { answer, purchase } = await terminal.purchase({ card: knet, amountMinor })
    expect(responseCodeOf(answer)).toBe('00')
    plain.push(purchase.rrn)
  }
  const undone = await terminal.purchase({ card: knet, amountMinor: 4_000n })
  await terminal.reverse(undone).reply
  reversed = undone.purchase.rrn
  const part = await terminal.purchase({ card: knet, amountMinor: 9_000n })
  for (const actualMinor of [6_000n, 3_000n]) await terminal.reverse(part, { actualMinor }).reply
  const paid = await terminal.purchase({ card: knet, amountMinor: 10_000n })
  await terminal.refund(paid, { card: knet, amountMinor: 1_500n, pin: null })
  await terminal.purchase({ card: knet, amountMinor: 3_000n, pin: '0000' })
  await terminal.purchase({ card: knet, amountMinor: 7_000n, kind: 'withdrawal' })
  const held = await terminal.purchase({ card: knet, amountMinor: 9_000n, kind: 'preauthorization' })
  await terminal.complete(held, { amountMinor: 8_000n }).reply
  // Debited, and the line cut in the place of an answer.
  const cut = await terminal.purchase({ card: knet, amountMinor: 2_907n })
  const inDollars = await terminal.purchase({ card: visa, amountMinor: 10_001n })
  await terminal.reverse(inDollars, { actualMinor: 6_667n }).reply
  const heldInDollars = await terminal.purchase({ card: visa, amountMinor: 9_000n, kind: 'preauthorization' })
  await terminal.complete(heldInDollars, { amountMinor: 7_000n }).reply
  for (const { purchase } of [undone, part, cut, inDollars])
    await world.lifeUntil(purchase.rrn, ({ obligations, reversal }) => {
      return reversal === 'acknowledged' && obligations.every(({ state }) => state === 'acknowledged')
    })
  for (const { purchase } of [held, heldInDollars])
    await world.lifeUntil(purchase.rrn, ({ advice }) => advice === 'acknowledged')
}

const program = fileURLToPath(new URL('../../bin/mafraq.ts', import.meta.url))

function mafraq(...args: readonly string[]): { readonly status: number | null; readonly out: string } {
  const all = [program, ...args, '--state', world.system.stateFolder]
  const { status, stderr, stdout } = spawnSync(process.execPath, all, { encoding: 'utf8' })
  return { status, out: stdout + stderr }
}

const statements = new Map<string, string>()

/** All business is before the first test, so that one statement of a network is as good as another. */
function statementOf(network: string): string {
  const known = statements.get(network)
  if (known !== undefined) return known
  const file = join(world.system.stateFolder, `${network}.csv`)
  statements.set(network, file)
  expect(mafraq('networks', 'statement', network, today, '--out', file)).toEqual({ status: 0, out: '' })
  return file
}

/** The statement without its totals and its digest, with other lines. */
function changed(file: string, change: (lines: string[]) => string[]): string {
  const lines = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .filter((line) => !/^(total|sha256),/.test(line))
  const other = `${file}.changed`
  writeFileSync(other, `${change(lines).join('\n')}\n`)
  return other
}

test('the statement of each network, made from its own book, is what sources were told, journal and ledger say', () => {
  for (const network of ['knet', 'visa']) {
    const file = statementOf(network)
    const { items, sealed, totalled } = readStatement(readFileSync(file))
    expect(items.length).toBeGreaterThan(network === 'knet' ? 14 : 1)
    expect({ sealed, totalled }).toEqual({ sealed: true, totalled: true })
    const { out, status } = mafraq('day', 'match', network, today, '--file', file)
    expect(out).toMatch(/\nRESULT ok\n$/)
    expect(out).not.toMatch(/DIFFER|ONLY|DUPLICATED/)
    expect(status).toBe(0)
  }
  expect(mafraq('day', 'show').out).toMatch(/matched \S+ {2}nothing open/)
  expect(mafraq('day', 'match', 'knet', today).out).toMatch(/without a statement[^]*RESULT ok/)
})

test('our own items as a statement are read by the same command, and match themselves', () => {
  const { out, status } = mafraq('day', 'items', 'knet', today, '--csv')
  expect(status).toBe(0)
  const file = join(world.system.stateFolder, 'ours.csv')
  writeFileSync(file, out)
  const { out: told, status: agrees } = mafraq(
    'day',
    'match',
    'knet',
    today,
    '--file',
    file,
    '--dry-run',
    '--json',
  )
  expect(JSON.parse(told)).toMatchObject({ agrees: true, report: { differing: [] } })
  expect(agrees).toBe(0)
})

test('of a statement with one item removed, one changed, one doubled, one moved and one undoing lost, exactly those are told and kept', () => {
  const [removed, wrong, doubled, moved] = plain as [string, string, string, string]
  const file = statementOf('knet')
  const other = changed(file, (lines) =>
    lines.flatMap((line) => {
      if (line.includes(removed) || (line.includes(reversed) && line.includes('true'))) return []
      if (line.includes(wrong)) return [line.replace('12000', '12001')]
      if (line.includes(doubled)) return [line, line]
      return [line.includes(moved) ? line.replace(today, dateAfter(today, 1)) : line]
    }),
  )
  const match = mafraq('day', 'match', 'knet', today, '--file', other, '--csv')
  const rows = match.out.trimEnd().split('\r\n').slice(1)
  const told = rows.map((row) => row.split(',')).map(([state, , , rrn]) => `${state} ${rrn}`)
  expect(match.status).toBe(1)
  expect(told.toSorted()).toEqual(
    [
      `oursOnly ${removed}`,
      `amountDiffers ${wrong}`,
      `duplicated ${doubled}`,
      `dateDiffers ${moved}`,
      `oursOnly ${reversed}`,
    ].toSorted(),
  )
  const { out } = mafraq('day', 'match', 'knet', today, '--file', other, '--dry-run')
  expect(out).toContain(`mafraq explain ${removed}`)
  expect(out).toMatch(/RESULT differs\n$/)
  expect(mafraq('day', 'show').out).toContain('4 open, 0 explained')
  const queue = mafraq('day', 'unmatched', 'knet').out
  for (const rrn of [removed, wrong, doubled, reversed]) expect(queue).toContain(`RRN ${rrn}`)
  expect(queue).not.toContain(moved)
})

test('an item is explained by one person and closed by another, and one that matches again is gone', () => {
  const items = JSON.parse(mafraq('day', 'unmatched', '--json').out) as { id: string; rrn: string }[]
  const id = items.find(({ rrn }) => rrn === plain[0])!.id
  const by = (name: string): string[] => ['--by', name, '--why', 'their file was cut']
  expect(mafraq('day', 'explain-item', id, ...by('ali'))).toEqual({ status: 0, out: 'done\n' })
  expect(mafraq('day', 'close-item', id, ...by('ali')).out).toContain('another person')
  expect(mafraq('day', 'close-item', id, ...by('bob'))).toEqual({ status: 0, out: 'done\n' })
  expect(mafraq('day', 'item', id).out).toMatch(/explained[^]*by ali[^]*closed[^]*by bob/)
  expect(mafraq('day', 'match', 'knet', today, '--file', statementOf('knet')).status).toBe(0)
  expect(mafraq('day', 'unmatched').out).toContain('nothing is open')
})

test('a file that cannot be read compares nothing, and says where it is wrong without what stands there', () => {
  const { pan } = cardNamed('knet')
  const file = changed(statementOf('knet'), (lines) => [...lines, lines[1]!.replace(plain[0]!, pan)])
  const { out, status } = mafraq('day', 'match', 'knet', today, '--file', file)
  expect(status).toBe(3)
  expect(out).toMatch(/^mafraq: line \d+, column 3 \(rrn\)/)
  expect(out).not.toContain(pan)
  expect(mafraq('day', 'match', 'knet', '2020-01-01', '--file', statementOf('knet')).status).toBe(1)
  expect(mafraq('day', 'match', 'knet', 'today').status).toBe(2)
})

test('totals that a network does not agree to are a case that ages, is measured and pages until somebody explains it', async () => {
  const { control } = world.system.endpoints.networks['knet']!
  for (const change of [{ misbookMinor: '700' }, { cutover: dateAfter(today, 1) }])
    await fetch(`http://${control.host}:${control.port}/day`, {
      method: 'POST',
      body: JSON.stringify(change),
    })
  const open = async (): Promise<unknown[]> =>
    (await unmatchedItems(world.pool, { live: true })).map(({ state }) => state)
  await expect.poll(open, { timeout: 90_000, interval: 500 }).toEqual(['outOfBalance'])
  expect(mafraq('day', 'unmatched').out).toContain(`totals in KWD  mafraq day items knet ${today} --csv`)

  const { host, port } = world.system.endpoints.switch.http
  const figures = async (): Promise<string> => (await fetch(`http://${host}:${port}/metrics`)).text()
  expect(await figures()).toContain('switch_recon_unexplained{destination="knet"} 1')
  const owner = openPool({
    ...{ databaseUrl: world.system.endpoints.database.url, applicationName: 'test', connectionsMax: 1 },
  })
  await owner.query(`UPDATE switch.unmatched SET first_seen = now() - interval '25 h' WHERE status = 'open'`)
  await owner.end()
  const log = (): string => readFileSync(join(world.system.stateFolder, 'logs/switch.log'), 'utf8')
  await expect
    .poll(log, { timeout: 60_000, interval: 500 })
    .toContain('items of a date do not match and nobody has explained them')
  // The network's book has every item of ours and no other, so that its totals were wrong and not ours.
  expect(mafraq('day', 'match', 'knet', today, '--file', statementOf('knet')).out).toMatch(/RESULT ok\n$/)
  expect(await open()).toEqual([])
  expect(await figures()).not.toContain('switch_recon_unexplained{destination="knet"}')
}, 240_000)
