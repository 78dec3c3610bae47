import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { runReconcile } from './commands/reconcile.ts'
import { stateFolderOf } from './environment/endpoints.ts'
import type { TerminalsStatus } from './environment/control.ts'
import type { Address } from './environment/endpoints.ts'
import { missingForPkcs11 } from './environment/softhsm.ts'
import { startSystem } from './environment/system.ts'
import type { System, SystemOptions } from './environment/system.ts'
import { simulatedNetworks } from './environment/simulated-networks.ts'

/** `npm start`: the whole system with live traffic, until Ctrl-C; with `--once`, so many seconds of it, then the proof. */
const usage = `npm start -- [--state DIR] [--rate R] [--networks LIST|all] [--nodes N] [--tls] [--no-apt]
npm start -- --once [--seconds S] [and the options above]
npm start -- --doctor | --reset [--state DIR]`

interface Options {
  readonly once: boolean
  /** undefined: a new one, which is removed again when all was well. */
  readonly stateFolder: string | undefined
  readonly rate: number
  readonly seconds: number
  /** What there is of it, besides what every system has. */
  readonly shape: Pick<SystemOptions, 'networks' | 'nodes' | 'tls'>
}

const calledWrongly = 2
const couldNotCheck = 3
/** What is still owed when the traffic ends has this long to be delivered: for the proof, and at Ctrl-C. */
const settleMs = 120_000
const drainMs = 30_000
/** Each has processes of its own; on one machine more of them only prove what two do. */
const nodesMax = 4
/** A system that approves nothing for so long is not well. */
const approvedWithinMs = 30_000

const launchedAt = Number(process.env['MAFRAQ_LAUNCHED_AT'] ?? Date.now())

function say(text: string): void {
  const seconds = ((Date.now() - launchedAt) / 1_000).toFixed(1).padStart(5)
  process.stdout.write(`${seconds} s  ${text}\n`)
}

async function main(args: readonly string[]): Promise<number> {
  const options = read(args)
  if (options === undefined) {
    process.stderr.write(`${usage}\n`)
    return calledWrongly
  }
  const ended = untilToldToEnd()
  const stateFolder = options.stateFolder ?? newFolder()
  let system: System | undefined
  let proof: Proof | undefined
  try {
    const { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = process.env
    const { once, shape } = options
    system = await startSystem({ ...shape, stateFolder, databaseUrl, redisUrl, supervise: !once, say })
    proof = await use(system, options, ended)
  } catch (error) {
    process.stderr.write(`mafraq: ${error instanceof Error ? error.message : 'could not start'}\n`)
    return couldNotCheck
  } finally {
    await system?.close()
    say('stopped')
  }
  if (proof === undefined) return 0
  for (const line of proof.lines) console.log(line)
  if (options.stateFolder === undefined && proof.ok) rmSync(stateFolder, { recursive: true, force: true })
  else if (!proof.ok) console.log(`what it left is in ${stateFolder}`)
  console.log(proof.result)
  return proof.ok ? 0 : 1
}

/** Traffic, until it has been proven right or somebody ends it. */
async function use(system: System, options: Options, ended: Promise<undefined>): Promise<Proof | undefined> {
  warnOfTwin(system)
  await system.startTerminals({ rate: options.rate, ...(options.once ? { seconds: options.seconds } : {}) })
  say(`terminals offer ${options.rate} purchases a second`)
  const rrn = await Promise.race([firstApproved(system), ended])
  say(rrn === undefined ? 'no purchase was approved yet' : `first approved purchase: RRN ${rrn}`)
  if (options.once) return prove(system, options, ended)
  greet(system, rrn, options.shape.tls === true)
  await ended
  say('ending: no new purchases, what is open is seen to its end')
  await system.stopTerminals(drainMs).catch(() => undefined)
  await system.settle(drainMs)
  return undefined
}

function read(args: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        state: { type: 'string' },
        rate: { type: 'string' },
        seconds: { type: 'string', default: '10' },
        networks: { type: 'string', default: 'knet' },
        nodes: { type: 'string', default: '1' },
        tls: { type: 'boolean', default: false },
        // The launcher's; it has done with it.
        'no-apt': { type: 'boolean' },
      },
    })
    const rate = Number(values.rate ?? (values.once ? '50' : '5'))
    const seconds = Number(values.seconds)
    if (!(rate > 0 && rate <= 10_000 && seconds > 0 && seconds <= 1e6)) return undefined
    const known = Object.keys(simulatedNetworks)
    const networks = values.networks === 'all' ? known : [...new Set(values.networks.split(','))]
    const nodes = Number(values.nodes)
    if (!networks.every((name) => known.includes(name))) return undefined
    if (!Number.isInteger(nodes) || nodes < 1 || nodes > nodesMax) return undefined
    const stateFolder = values.once && values.state === undefined ? undefined : stateFolderOf(values.state)
    return { once: values.once, stateFolder, rate, seconds, shape: { networks, nodes, tls: values.tls } }
  } catch {
    return undefined
  }
}

/** Where the database's own account can enter. */
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-once-'))
  chmodSync(folder, 0o711)
  return folder
}

function warnOfTwin({ endpoints }: System): void {
  if (endpoints.hsm.driver !== 'twin') return
  const { why, command } = missingForPkcs11() ?? { why: 'no PKCS#11', command: 'apt-get install softhsm2' }
  const lines = [
    `NO HSM: ${why}.`,
    'PINs and keys are handled by the software twin, in the memory of a process.',
    `The real interface comes with: ${command}`,
  ]
  const width = Math.max(...lines.map((line) => line.length))
  const rule = '*'.repeat(width + 4)
  console.log([rule, ...lines.map((line) => `* ${line.padEnd(width)} *`), rule].join('\n'))
}

/** undefined: none was in time. */
async function firstApproved(system: System): Promise<string | undefined> {
  for (const giveUpAt = performance.now() + approvedWithinMs; performance.now() < giveUpAt; await sleep(50)) {
    const rrn = (await system.terminals())?.firstApproved?.rrn
    if (rrn !== undefined) return rrn
  }
  return undefined
}

function greet(system: System, rrn: string | undefined, tls: boolean): void {
  const { endpoints, stateFolder } = system
  const url = ({ host, port }: Address, path: string): string => `http://${host}:${port}${path}`
  const state = stateFolder === stateFolderOf(undefined) ? '' : ` --state ${stateFolder}`
  const { iso8583 } = endpoints.switch
  console.log(
    [
      '',
      `  ISO 8583   ${iso8583.host}:${iso8583.port}  (1987, ASCII, 2-byte length${tls ? ', mutual TLS' : ''})`,
      ...[endpoints.switch, ...Object.values(endpoints.nodes ?? {})].flatMap(({ http }) => [
        `  status     ${url(http, '/status')}`,
        `  metrics    ${url(http, '/metrics')}`,
      ]),
      ...Object.entries(endpoints.networks).map(
        ([name, { control }], _, all) =>
          `  ${(all.length === 1 ? 'network' : name).padEnd(11)}${url(control, '/status')}`,
      ),
      `  terminals  ${url(endpoints.terminals.control, '/status')}`,
      `  state      ${stateFolder}`,
      '',
      '  Try:',
      ...[`explain ${rrn ?? 'RRN'}`, 'status', 'reconcile'].map(
        (command) => `    bin/mafraq ${command}${state}`,
      ),
      '',
      '  Ctrl-C ends everything in order.',
      '',
    ].join('\n'),
  )
}

interface Proof {
  readonly ok: boolean
  readonly lines: readonly string[]
  readonly result: string
}

/** The traffic to its end, what is owed delivered, and then what the three books say. */
async function prove(system: System, options: Options, ended: Promise<undefined>): Promise<Proof> {
  const broken = system.broken.then((part): Proof => {
    return { ok: false, lines: [], result: `RESULT ${part} ended by itself` }
  })
  return Promise.race([broken, proof()])

  async function proof(): Promise<Proof> {
    await Promise.race([sleep(options.seconds * 1_000), ended])
    const terminals = await system.stopTerminals(settleMs)
    const settled = await system.settle(settleMs)
    say(settled ? 'no transaction is open, no reversal is owed' : 'not everything came to its end')
    const { ok, lines } = await runReconcile({ stateFolder: system.stateFolder, final: true })
    say('books compared, state folder and database searched for card data')
    const summary = [...summaryOf(terminals), ...lines.slice(0, -1)]
    // Books that agree on nothing prove nothing.
    if (terminals.approved === 0)
      return { ok: false, lines: summary, result: 'RESULT no purchase was approved' }
    return { ok, lines: summary, result: lines.at(-1) ?? 'RESULT nothing was found out' }
  }
}

function summaryOf(terminals: TerminalsStatus): string[] {
  const { sent, approved, declined, unanswered, repeated, reversed, dropped, latency } = terminals
  const codes = Object.entries(declined).map(([code, count]) => `${code}: ${count}`)
  const { p50Ms, p99Ms } = latency.fromScheduled
  return [
    `purchases ${sent}  approved ${approved}  declined (${codes.join(', ')})  unanswered ${unanswered}  repeated ${repeated}`,
    `reversed ${reversed}  dropped ${dropped}  p50 ${p50Ms.toFixed(1)} ms  p99 ${p99Ms.toFixed(1)} ms from the scheduled time`,
  ]
}

/** Resolves at the first signal; at a second one, some time later, the process ends at once. */
function untilToldToEnd(): Promise<undefined> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    const end = (): void => {
      // One Ctrl-C may reach us twice, once more through npm.
      if (firstAt !== undefined && performance.now() - firstAt > 1_000) process.exit(1)
      firstAt ??= performance.now()
      resolve(undefined)
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
    // The launcher is gone, and nobody else would tell us.
    process.on('disconnect', end)
  })
}

process.exitCode = await main(process.argv.slice(2))
if (process.connected) process.disconnect()
