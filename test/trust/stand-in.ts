import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { responseCodeOf, Terminal } from '../../simulators/terminals/terminal.ts'
import { listExposures } from '../../switch/switch.ts'
import type { Goal } from './goal.ts'

const terminalCount = 20
const purchasesEach = 10
const amountMinor = 4_000n
/** Of 4.000 each, as the rules below have it: a card may have three in one episode, all cards together forty. */
const eachMax = 3
const allMax = 40

const rules = `
destinations:
  knet: { settles: reversalThenAdvice, onOutcomes: [unavailable] }
ranges:
  - bin: 888888
    kinds: [purchase]
    currency: KWD
    perTransactionMinorMax: 5000
    perCardMinorMax: 40000
    perCardCountMax: 10
    perEpisodeMinorMax: 12000
    perHourMinorMax: 160000
`

/**
 * `npm run trust:smoke -- stand-in`: the network is killed while two hundred purchases without a PIN are asked for; they
 * are approved in its issuers' place up to the limits and no further, through a switch that is killed half way. Every PIN
 * purchase is declined. The network comes back, is told of each, and the three books agree.
 */
export const standIn: Goal = async ({ stateFolder, say }) => {
  const system = await startSystem({ stateFolder, rules: { 'stand-in.yaml': rules } })
  const pool = openPool({
    databaseUrl: system.endpoints.database.readerUrl,
    applicationName: 'trust',
    connectionsMax: 1,
  })
  let terminals: Terminal[] = []
  try {
    await system.kill('network')
    await sleep(500)
    terminals = await openTerminals(system)
    const first = await buy(terminals, purchasesEach / 2)
    for (const terminal of terminals) terminal.close()
    await system.kill('switch')
    await system.start('switch')
    terminals = await openTerminals(system)
    const second = await buy(terminals, purchasesEach / 2)
    const approved = first.approved + second.approved
    const mostOfOne = Math.max(...first.each.map((many, place) => many + second.each[place]!))
    say(`the network is away: ${approved} approved in its place, at most ${mostOfOne} of one card`)
    const withPin = await buy(terminals.slice(0, 5), 1, { pin: true })
    const atRisk = await listExposures(pool, 1_000)
    say(`exposures: ${atRisk.length}`)
    await system.start('network')
    const settled = await system.settle(60_000)
    const left = (await listExposures(pool, 1_000)).length
    const onOurAccount = await balanceOf(pool)
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const wrong = [
      approved === allMax ? '' : `approved ${approved}`,
      mostOfOne <= eachMax ? '' : `of one card ${mostOfOne}`,
      withPin.approved === 0 ? '' : `with a PIN ${withPin.approved}`,
      atRisk.length === approved ? '' : `exposures ${atRisk.length}`,
      settled && left === 0 && onOurAccount === 0n ? '' : `left ${left}, ${onOurAccount} on our account`,
      ok ? '' : lines.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures: `asked ${terminalCount * purchasesEach}  approved in the issuers' place ${approved}  at most of one card ${mostOfOne}  told ${approved - left}`,
      lines: [...lines.slice(0, -1), `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    for (const terminal of terminals) terminal.close()
    await pool.end()
    await system.close()
  }
}

async function openTerminals({ endpoints }: System): Promise<Terminal[]> {
  const keyFile = await readKeyFile(endpoints.keyFile)
  const keys = { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') }
  const open = (_: unknown, index: number): Promise<Terminal> =>
    Terminal.open({
      ...endpoints.switch.iso8583,
      terminalId: `S${String(index + 1).padStart(7, '0')}`,
      merchantId: '000000000000903',
      keys,
    })
  return Promise.all(Array.from({ length: terminalCount }, open))
}

/** Each terminal with a card of its own, one purchase after the other; all terminals at once. */
async function buy(
  terminals: readonly Terminal[],
  times: number,
  { pin = false } = {},
): Promise<{ readonly approved: number; readonly each: readonly number[] }> {
  const each = await Promise.all(
    terminals.map(async (terminal, place) => {
      let approved = 0
      const card = cardNamed(`load-${place}`)
      for (let time = 0; time < times; time++) {
        const { answer } = await terminal.purchase({ card, amountMinor, ...(pin ? {} : { pin: null }) })
        if (responseCodeOf(answer) === '00') approved++
      }
      return approved
    }),
  )
  return { approved: each.reduce((sum, many) => sum + many, 0), each }
}

async function balanceOf(pool: DatabasePool): Promise<bigint> {
  const { rows } = await pool.query<{ sum: bigint }>(
    `SELECT coalesce(sum(e.amount), 0)::bigint AS sum
       FROM ledger.entry e JOIN ledger.account a ON a.id = e.account_id WHERE a.path LIKE 'standin:%'`,
  )
  return rows[0]!.sum
}
