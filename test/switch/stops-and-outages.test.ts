import { afterAll, beforeAll, expect, test } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import type { Reply } from '../../simulators/terminals/channel.ts'
import { openSwitchWorld, type SwitchWorld } from './world.ts'

let world: SwitchWorld

beforeAll(async () => {
  world = await openSwitchWorld()
}, 120_000)

afterAll(() => world.close())

const knet = cardNamed('knet')

/** Every figure that dashboards and alarms may count on, with its labels. */
const figures = [
  { name: 'switch_txn_total', labels: ['source', 'destination', 'kind', 'outcome', 'rc'] },
  { name: 'switch_txn_seconds', labels: ['kind', 'part'] },
  { name: 'switch_legs_inflight', labels: ['destination'] },
  { name: 'switch_credits', labels: ['destination', 'state'] },
  { name: 'switch_session_state', labels: ['destination', 'session'] },
  { name: 'switch_echo_seconds', labels: [] },
  { name: 'switch_breaker_state', labels: ['destination'] },
  { name: 'switch_late_total', labels: ['destination', 'kind'] },
  { name: 'switch_orphan_total', labels: [] },
  { name: 'switch_cross_match_total', labels: [] },
  { name: 'switch_duplicate_total', labels: ['verdict'] },
  { name: 'switch_reversal_total', labels: ['cause', 'state'] },
  { name: 'switch_saf_depth', labels: ['destination'] },
  { name: 'switch_saf_oldest_seconds', labels: ['destination'] },
  { name: 'switch_saf_parked', labels: ['destination'] },
  { name: 'switch_standin_total', labels: ['bin_group', 'verdict'] },
  { name: 'switch_standin_exposure_minor', labels: ['currency'] },
  { name: 'switch_mac_fail_total', labels: ['peer'] },
  { name: 'switch_hsm_seconds', labels: ['op'] },
  { name: 'switch_journal_commit_seconds', labels: [] },
  { name: 'switch_ledger_imbalance_minor', labels: ['currency'] },
  { name: 'switch_delivery_unproven', labels: [] },
  { name: 'switch_recon_unmatched', labels: ['network'] },
  { name: 'switch_recon_unexplained', labels: ['destination'] },
  { name: 'switch_recon_oldest_seconds', labels: ['destination'] },
  { name: 'switch_eventloop_lag_seconds', labels: [] },
  { name: 'switch_config_version', labels: [] },
  { name: 'switch_key_age_seconds', labels: ['destination', 'type'] },
  { name: 'switch_cert_expiry_seconds', labels: [] },
]

function code(reply: Reply): string | undefined {
  return reply.kind === 'answer' ? reply.message.fields[39] : reply.kind
}

test('operators can ask how it stands, and nothing they read names a card, a terminal or a trace number', async () => {
  const terminal = await world.terminal()
  const { purchase } = await terminal.purchase({ card: knet, amountMinor: 7_700n })
  const { host, port } = world.system.endpoints.switch.http
  const read = async (path: string): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`http://${host}:${port}${path}`)
    return { status: answer.status, text: await answer.text() }
  }
  expect((await read('/health/live')).status).toBe(200)
  expect(await read('/health/ready')).toEqual({ status: 200, text: '{"ready":true,"reasons":[]}' })
  const status = JSON.parse((await read('/status')).text) as object
  expect(status).toMatchObject({
    destinations: [{ name: 'knet', session: 'online', breaker: 'closed' }],
    ledger: { state: 'up' },
    hsm: { state: 'up' },
  })
  const metrics = await read('/metrics')
  expect(metrics.text).toContain(
    'switch_txn_total{source="acq1",destination="knet",kind="purchase",outcome="approved",rc="00"}',
  )
  for (const { name, labels } of figures) {
    expect(metrics.text, name).toMatch(new RegExp(`^# TYPE ${name} `, 'm'))
    const sample = new RegExp(`^${name}(_count)?\\{([^}]*)\\}`, 'm').exec(metrics.text)
    const shown = sample?.[2]?.split(',').map((label) => label.slice(0, label.indexOf('=')))
    if (shown !== undefined) expect(shown, name).toEqual(expect.arrayContaining(labels))
  }
  const imbalances = [...metrics.text.matchAll(/^switch_ledger_imbalance_minor\{.*\} (.*)$/gm)]
  expect(imbalances.map(([, value]) => value)).toEqual(imbalances.map(() => '0'))
  expect(imbalances.length).toBeGreaterThan(0)
  for (const secret of [knet.pan, purchase.rrn, purchase.terminalId])
    expect(metrics.text).not.toContain(secret)
})

test('SIGTERM sees what is under way to its end, refuses what is new, and loses nothing', async () => {
  const terminal = await world.terminal()
  const late = await world.terminal()
  const before = await late.purchase({ card: knet, amountMinor: 7_050n })
  expect(code(before.answer)).toBe('00')
  await world.network({ delayMs: 1_500 })
  const underWay = Array.from({ length: 10 }, () => terminal.begin({ card: knet, amountMinor: 7_000n }))
  await world.lifeUntil(underWay.at(-1)!.purchase.rrn, ({ state }) => state === 'intent')
  const stopped = world.system.stop('switch')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const refused = await late.purchase({ card: knet, amountMinor: 7_100n })
  const repeated = late.repeat(before, { timeoutMs: 500 })
  const answers = await Promise.all(underWay.map(({ reply }) => reply))
  await stopped
  expect(answers.map(code)).toEqual(Array.from({ length: 10 }, () => '00'))
  expect(code(refused.answer)).toBe('91')
  // Approved before: a decline now would be false.
  expect((await repeated).kind).toBe('noAnswer')
  for (const { purchase } of underWay) expect((await world.life(purchase.rrn)).delivery).toBe('delivered')
}, 60_000)

test('the same node takes up again where it was, with the same numbers never given out twice', async () => {
  await world.network({ reset: true })
  await world.system.start('switch')
  const terminal = await world.terminal()
  for (let tries = 0; ; tries++) {
    const { answer } = await terminal.purchase({ card: knet, amountMinor: 7_200n })
    if (code(answer) === '00') break
    // The session to the network is being opened.
    expect(tries).toBeLessThan(50)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const { rows } = await world.pool.query<{ twice: number }>(
    'SELECT count(*)::int - count(DISTINCT stan)::int AS twice FROM switch.leg',
  )
  expect(rows[0]!.twice).toBe(0)
}, 60_000)

test('F45: while the database is away what is new is refused and what is repeated is met with silence; then all goes on', async () => {
  const terminal = await world.terminal({ timeoutMs: 3_000 })
  const before = await terminal.purchase({ card: knet, amountMinor: 7_300n })
  expect(code(before.answer)).toBe('00')
  // Until its delivery is on record the node knows the answer by heart, and would rightly repeat it.
  await world.lifeUntil(before.purchase.rrn, ({ delivery }) => delivery === 'delivered')
  await new Promise((resolve) => setTimeout(resolve, 300))
  await world.system.kill('postgres')
  // The first to notice may have to wait for the truth; what comes after is refused at once.
  await terminal.purchase({ card: knet, amountMinor: 7_400n, timeoutMs: 15_000 })
  const refused = await terminal.purchase({ card: knet, amountMinor: 7_500n })
  expect(code(refused.answer)).toBe('91')
  expect(await terminal.repeat(before)).toEqual({ kind: 'noAnswer', why: 'timeout' })
  await world.system.start('postgres')
  for (let tries = 0; ; tries++) {
    const { answer } = await terminal.purchase({ card: knet, amountMinor: 7_600n })
    if (code(answer) === '00') break
    expect(tries).toBeLessThan(100)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  expect(code(await terminal.repeat(before))).toBe('00')
}, 90_000)
