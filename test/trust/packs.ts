import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { networkHand } from '../../bin/environment/packs.ts'
import { simulatedNetworks } from '../../bin/environment/simulated-networks.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { type Pack, type PackResult, readPack, runPack } from '../../simulators/terminals/pack.ts'
import { Terminal } from '../../simulators/terminals/terminal.ts'
import type { Goal } from './goal.ts'

const folder = join(import.meta.dirname, '../../scenarios')
/** A network that declines for another reason than it has, by one rule: in the code of its edition. */
const wrongAnswer = (code: string): string =>
  `rules:\n- {when: {mti: 02**, amountEndsWith: "905"}, then: {set: {39: "${code}"}}}\n`
const timeouts = {
  ...{ networkMs: 1_500, sourceMs: 4_000, terminalMs: 6_000 },
  breaker: { openMs: 500, openMsMax: 1_000, rampStepMs: 500 },
}

/**
 * `npm run trust:smoke -- packs`: every pack on the real processes, all networks at once; then, one after the other,
 * networks that answer wrongly, which their packs must find.
 */
export const packs: Goal = async ({ stateFolder, say }) => {
  const system = await startSystem({ stateFolder, networks: Object.keys(simulatedNetworks), timeouts })
  const terminal = await openTerminal(system)
  try {
    const lines: string[] = []
    let [scenarios, failed, unfound] = [0, 0, 0]
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) {
      const pack = readPack(readFileSync(join(folder, file), 'utf8'), file)
      const results = await run(pack, terminal, system)
      scenarios += results.length
      for (const { scenario, failure } of results) {
        if (failure === undefined) continue
        failed++
        lines.push(`${file}: ${scenario}: ${failure}`)
        say(lines.at(-1)!)
      }
      const found = await foundWrong(pack, terminal, system)
      if (found === 0) unfound++
      say(`${file}: scenarios ${results.length}  failed by a wrong answer ${found}`)
    }
    await system.settle(30_000)
    const { ok, lines: books } = await runReconcile({ stateFolder, final: true, settleMs: 20_000 })
    const wrong = [
      failed === 0 ? '' : `${failed} scenarios failed`,
      unfound === 0 ? '' : `${unfound} packs did not find a wrong answer`,
      ok ? '' : books.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures: `scenarios ${scenarios}  failed ${failed}  packs that miss a wrong answer ${unfound}`,
      lines: [...lines, ...books.slice(0, -1), `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    terminal.close()
    await system.close()
  }
}

async function openTerminal({ endpoints }: System): Promise<Terminal> {
  const keyFile = await readKeyFile(endpoints.keyFile)
  return Terminal.open({
    ...endpoints.switch.iso8583,
    ...{ terminalId: 'PACK0001', merchantId: '000000000000904' },
    keys: { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') },
  })
}

function run(pack: Pack, terminal: Terminal, { endpoints }: System): Promise<PackResult[]> {
  return runPack(pack, terminal, networkHand(endpoints.networks[pack.network ?? 'knet']!))
}

/** How many scenarios fail when the network gives another reason than it has. */
async function foundWrong(pack: Pack, terminal: Terminal, system: System): Promise<number> {
  const name = pack.network ?? 'knet'
  const { control } = system.endpoints.networks[name]!
  const tell = (rules: string): Promise<unknown> => ask(control, 'POST', '/rules', 5_000, { rules })
  await tell(wrongAnswer(name === 'issuer-host' ? '116' : '51'))
  const asked = { ...pack, scenarios: pack.scenarios.filter((scenario) => scenario.name.includes('reason')) }
  const results = await run(asked, terminal, system)
  await tell('rules: []\n')
  return results.filter(({ failure }) => failure !== undefined).length
}
