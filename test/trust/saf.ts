import { setTimeout as sleep } from 'node:timers/promises'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { type Asked, responseCodeOf, Terminal } from '../../simulators/terminals/terminal.ts'
import type { Goal } from './goal.ts'

const purchases = 1_000
const poison = 3
const terminalCount = 20
/** The network answers 12 to the reversal of an amount that ends so. */
const poisonMinor = 7_923n

/**
 * A network that is away while a thousand payments are undone: every terminal is told that we own its reversal, the switch is
 * killed on top, and when the network is back each is delivered once, but for three that it refuses, which are
 * parked. Nothing but PostgreSQL remembers what is owed.
 */
export const saf: Goal = async ({ stateFolder, say }) => {
  const system = await startSystem({ stateFolder })
  const { readerUrl: databaseUrl } = system.endpoints.database
  const pool = openPool({ databaseUrl, applicationName: 'trust', connectionsMax: 1 })
  let terminals: Terminal[] = []
  try {
    terminals = await openTerminals(system)
    const bought = await buy(terminals)
    say(`${bought.length} purchases approved`)
    await system.kill('network')
    const acknowledged = await undo(terminals, bought)
    say(`the network is away, ${acknowledged} reversals were acknowledged to their terminals`)
    for (const terminal of terminals) terminal.close()
    await system.kill('switch')
    await system.start('switch')
    const owed = (await obligations(pool))['due'] ?? 0
    say(`the switch was killed and is back, ${owed} reversals are owed`)
    await system.start('network')
    const states = await untilNoneDue(pool)
    say(`delivered: ${JSON.stringify(states)}`)
    const { lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const counters = lines.find((line) => line.startsWith('lost ')) ?? ''
    // What is parked stands at the issuer and no more in our books, until a person has seen to it: these and no others.
    const refused = bought.filter(([, { purchase }]) => purchase.amountMinor === poisonMinor)
    const different = lines.flatMap((line) => /^ {2}lost: RRN (\d+)/.exec(line)?.[1] ?? [])
    const asExpected = refused.every(([, { purchase }]) => different.includes(purchase.rrn))
    const expected = [`parked ${poison}`, ...(asExpected ? [`lost ${poison}`] : [])]
    const wrong = [
      acknowledged === purchases ? '' : `acknowledged to terminals ${acknowledged}`,
      owed === purchases ? '' : `owed ${owed}`,
      states['parked'] === poison ? '' : `parked ${states['parked'] ?? 0}`,
      states['acknowledged'] === purchases - poison ? '' : `acknowledged ${states['acknowledged'] ?? 0}`,
      ...counters.split('  ').filter((counter) => !/ 0$/.test(counter) && !expected.includes(counter)),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures: `owed ${owed}  delivered ${states['acknowledged'] ?? 0}  parked ${states['parked'] ?? 0}`,
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
  const terminals: Terminal[] = []
  for (let index = 1; index <= terminalCount; index++) {
    terminals.push(
      await Terminal.open({
        ...endpoints.switch.iso8583,
        terminalId: `S${String(index).padStart(7, '0')}`,
        merchantId: '000000000000902',
        keys,
      }),
    )
    // As many lines as one address may open in a second.
    if (index % 10 === 0) await sleep(1_100)
  }
  return terminals
}

/** Each terminal one after the other, all terminals at once. */
async function buy(terminals: readonly Terminal[]): Promise<(readonly [Terminal, Asked])[]> {
  const bought: (readonly [Terminal, Asked])[] = []
  let declined = 0
  await Promise.all(
    terminals.map(async (terminal, place) => {
      // What is owed of one card is told one by one: a card for each terminal.
      const card = cardNamed(`load-${place}`)
      for (let index = 0; index < purchases / terminalCount; index++) {
        const amountMinor = place < poison && index === 0 ? poisonMinor : 7_000n
        const asked = await terminal.purchase({ card, amountMinor })
        const code = responseCodeOf(asked.answer)
        // A machine that is busy with something else may decline one; that is not what is tried here.
        if (code === '00') bought.push([terminal, asked])
        else if (++declined > purchases / 10)
          throw new Error(`purchases are declined with ${code ?? 'nothing'}`)
        else index--
      }
    }),
  )
  return bought
}

async function undo(
  terminals: readonly Terminal[],
  bought: readonly (readonly [Terminal, Asked])[],
): Promise<number> {
  let acknowledged = 0
  await Promise.all(
    terminals.map(async (terminal) => {
      for (const [owner, asked] of bought) {
        if (owner !== terminal) continue
        if (responseCodeOf(await terminal.reverse(asked).reply) === '00') acknowledged++
      }
    }),
  )
  return acknowledged
}

async function obligations(pool: DatabasePool): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ state: string; many: number }>(
    'SELECT state, count(*)::int AS many FROM switch.obligation GROUP BY state',
  )
  return Object.fromEntries(rows.map(({ state, many }) => [state, many]))
}

async function untilNoneDue(pool: DatabasePool): Promise<Record<string, number>> {
  for (let tries = 0; ; tries++) {
    const states = await obligations(pool)
    if ((states['due'] ?? 0) === 0 || tries > 600) return states
    await sleep(200)
  }
}
