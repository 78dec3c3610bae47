import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem } from '../../bin/environment/system.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { readPack, runPack } from '../../simulators/terminals/pack.ts'
import { Terminal } from '../../simulators/terminals/terminal.ts'
import type { Goal } from './goal.ts'

const folder = join(import.meta.dirname, '../../scenarios')
/** A network that approves what it should decline, by one rule. */
const wrongAnswer = 'rules:\n- {when: {mti: 02**, amountEndsWith: "905"}, then: {set: {39: "51"}}}\n'

/** `npm run trust:smoke -- packs`: every pack on the real processes; then a network that answers wrongly, which it must find. */
export const packs: Goal = async ({ stateFolder, say }) => {
  const system = await startSystem({ stateFolder })
  try {
    const { endpoints } = system
    const keyFile = await readKeyFile(endpoints.keyFile)
    const terminal = await Terminal.open({
      ...endpoints.switch.iso8583,
      ...{ terminalId: 'PACK0001', merchantId: '000000000000904' },
      keys: { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') },
    })
    const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
    const all = files.flatMap((name) => readPack(readFileSync(join(folder, name), 'utf8'), name))
    const lines: string[] = []
    const results = await runPack(all, terminal)
    for (const { scenario, failure } of results)
      lines.push(`${failure === undefined ? 'ok' : failure}: ${scenario}`)
    for (const line of lines) say(line)
    const failed = results.filter(({ failure }) => failure !== undefined).length
    await ask(endpoints.networks['knet']!.control, 'POST', '/rules', 5_000, { rules: wrongAnswer })
    const spoiled = await runPack(all, terminal)
    const found = spoiled.filter(({ failure }) => failure !== undefined).length
    terminal.close()
    await system.settle(30_000)
    const { ok, lines: books } = await runReconcile({ stateFolder, final: true, settleMs: 20_000 })
    const wrong = [
      failed === 0 ? '' : `${failed} scenarios failed`,
      found === 1 ? '' : `a wrong answer failed ${found} scenarios`,
      ok ? '' : books.at(-1)!.replace('RESULT ', ''),
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures: `scenarios ${results.length}  failed ${failed}  failed by a wrong answer ${found}`,
      lines: [...lines, `RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    await system.close()
  }
}
