import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { Command } from 'commander'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { readPack } from '../../simulators/terminals/pack.ts'
import { type PackResult, runPack } from '../../simulators/terminals/pack-run.ts'
import { readTrace, replay } from '../../simulators/terminals/replay.ts'
import { Terminal } from '../../simulators/terminals/terminal.ts'
import { type Address, type Endpoints, readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import { networkHand } from '../environment/packs.ts'

/** `mafraq simulate run FILES`: scenarios against the running switch, each step's answer checked. */
export function simulateCommand(): Command {
  const command = new Command('simulate').description('scenarios of a terminal against the running switch')
  command
    .command('run')
    .description('run scenario files; ends with 1 when an answer is not as expected')
    .argument('<files...>', 'YAML files, for example scenarios/*.yaml')
    .option('--state <folder>', 'the state folder of the running system')
    .option('--junit <file>', 'also write the results as JUnit XML')
    .action(async (files: string[], options: { state?: string; junit?: string }) => {
      const packs = files.map((file) => ({ file, pack: readPack(readFileSync(file, 'utf8'), file) }))
      const endpoints = readEndpoints(stateFolderOf(options.state))
      await someoneListens(endpoints.switch.iso8583)
      const terminal = await openTerminal(endpoints)
      const results: { file: string; results: PackResult[] }[] = []
      let skipped = 0
      for (const { file, pack } of packs) {
        const network = pack.network === undefined ? undefined : endpoints.networks[pack.network]
        if (pack.network !== undefined && network === undefined) {
          process.stdout.write(`${file}\n  skipped: no network ${pack.network} runs here\n`)
          skipped += pack.scenarios.length
          continue
        }
        const hand = network && networkHand(network)
        results.push({ file, results: await runPack(pack, { terminal, network: hand }) })
      }
      terminal.close()
      for (const one of results) process.stdout.write(asText(one))
      const all = results.flatMap((one) => one.results)
      const failed = all.filter(({ failure }) => failure !== undefined).length
      const counted = `scenarios ${all.length}${skipped === 0 ? '' : `  skipped ${skipped}`}`
      process.stdout.write(`RESULT ${failed === 0 ? 'ok' : `${failed} failed`}  ${counted}\n`)
      if (options.junit !== undefined) writeFileSync(options.junit, asJUnit(results))
      if (failed > 0) process.exitCode = 1
    })
  command
    .command('replay')
    .description(
      'recorded traffic once more, at its moments; ends with 1 when an answer is another than it was',
    )
    .argument(
      '<book>',
      'a book of terminals: books/terminals.jsonl of the state folder, or one that was kept',
    )
    .option('--state <folder>', 'the state folder of the running system')
    .option('--speed <times>', 'as many times as fast as it was', '1')
    .action(async (book: string, options: { state?: string; speed: string }) => {
      const speed = Number(options.speed)
      if (!(speed > 0 && speed <= 1_000)) throw new Error('--speed is a number above 0, at most 1000')
      const trace = await readTrace(book)
      const endpoints = readEndpoints(stateFolderOf(options.state))
      await someoneListens(endpoints.switch.iso8583)
      const startedMs = performance.now()
      const { asked, same, uncompared, differing } = await replay(trace, {
        open: (terminalId) => openTerminal(endpoints, terminalId),
        speed,
      })
      for (const { rrn, was, is } of differing) process.stdout.write(`RRN ${rrn}: was ${was}, is ${is}\n`)
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(0)
      const counted = `asked ${asked}  same ${same}  not compared ${uncompared}  seconds ${seconds}`
      process.stdout.write(
        `RESULT ${differing.length === 0 ? 'ok' : `${differing.length} differ`}  ${counted}\n`,
      )
      if (differing.length > 0) process.exitCode = 1
    })
  return command
}

/** A terminal tries its line again and again, which is right while a system runs and no use where none does. */
async function someoneListens(address: Address): Promise<void> {
  const socket = connect(address)
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}

async function openTerminal(
  { keyFile, switch: node }: Endpoints,
  terminalId = 'SCENARIO',
): Promise<Terminal> {
  const keys = await readKeyFile(keyFile)
  return Terminal.open({
    ...node.iso8583,
    ...{ terminalId, merchantId: '000000000000903' },
    keys: { pin: keyNamed(keys, 'tpk.acq1.in'), mac: keyNamed(keys, 'tak.acq1.both') },
  })
}

function asText({ file, results }: { file: string; results: readonly PackResult[] }): string {
  const lines = results.map(({ scenario, tookMs, failure }) =>
    failure === undefined
      ? `  ok      ${scenario}  (${Math.round(tookMs)} ms)`
      : `  FAILED  ${scenario}: ${file}, ${failure}`,
  )
  return `${[file, ...lines].join('\n')}\n`
}

/** The XML that build servers read. */
export function asJUnit(suites: readonly { file: string; results: readonly PackResult[] }[]): string {
  const suite = ({ file, results }: { file: string; results: readonly PackResult[] }): string => {
    const failures = results.filter(({ failure }) => failure !== undefined).length
    const cases = results.map(({ scenario, tookMs, failure }) => {
      const start = `    <testcase classname="${escaped(file)}" name="${escaped(scenario)}" time="${(tookMs / 1_000).toFixed(3)}"`
      return failure === undefined
        ? `${start}/>`
        : `${start}><failure message="${escaped(failure)}"/></testcase>`
    })
    const head = `  <testsuite name="${escaped(file)}" tests="${results.length}" failures="${failures}">`
    return [head, ...cases, '  </testsuite>'].join('\n')
  }
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.map(suite).join('\n')}\n</testsuites>\n`
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
