import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { ask } from '../../bin/environment/control.ts'
import type { Address } from '../../bin/environment/endpoints.ts'
import { networkHand } from '../../bin/environment/packs.ts'
import { dnsNameOf, TestCertificates } from '../../bin/environment/test-certificates.ts'
import { simulatedNetwork } from '../../bin/environment/simulated-networks.ts'
import type { System } from '../../bin/environment/system.ts'
import type { RuleTexts } from '../../switch/switch.ts'
import { readTlsMaterial } from '../../iso8583/iso8583.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { type Pack, type PackScenario, readPack } from '../../simulators/terminals/pack.ts'
import { runPack } from '../../simulators/terminals/pack-run.ts'
import { Terminal } from '../../simulators/terminals/terminal.ts'
import { hear, tryAlterations } from './pack-alterations.ts'

const folder = join(import.meta.dirname, '../../scenarios')

/** All, or those that a network is asked in: the terminals' own with the first. */
export function packFiles(network?: string): string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
  return network === undefined ? files : files.filter((file) => networkOf(read(file)) === network)
}

function read(file: string): Pack {
  return readPack(readFileSync(join(folder, file), 'utf8'), file)
}

function networkOf({ network = 'knet' }: Pack): string {
  return network
}

export interface PackTried {
  readonly scenarios: number
  /** What was not as expected. */
  readonly failures: readonly string[]
  /** How many answers were played again with one thing that a step expects altered. */
  readonly altered: number
  /** How many scenarios were played again with a network that is wrong in what they are about. */
  readonly spoiled: number
  /** Those of both that passed all the same, or failed without saying where. */
  readonly missed: readonly string[]
}

/** Rules of a switch that packs expect: small amounts without a PIN are approved in the place of each network's issuers. */
export function packRules(networks: readonly string[]): RuleTexts {
  const settles = { settles: 'reversalThenAdvice', onOutcomes: ['unavailable'] }
  const limits = {
    ...{ perTransactionMinorMax: 5_000, perCardMinorMax: 15_000, perCardCountMax: 5 },
    ...{ perEpisodeMinorMax: 10_000, perHourMinorMax: 500_000 },
  }
  return {
    'stand-in.yaml': stringify(
      {
        destinations: Object.fromEntries(networks.map((name) => [name, settles])),
        ranges: networks
          .flatMap((name) => simulatedNetwork(name).ranges)
          .map((bin) => ({ bin, kinds: ['purchase'], currency: 'KWD', ...limits })),
      },
      { aliasDuplicateObjects: false },
    ),
  }
}

/**
 * A pack against the running processes; then from memory with each answer altered in each thing that is expected of it; then
 * each scenario again with a network that answers it wrongly.
 */
export async function tryPack(file: string, terminal: Terminal, system: System): Promise<PackTried> {
  const pack = read(file)
  const endpoint = system.endpoints.networks[networkOf(pack)]!
  const run = { terminal, network: networkHand(endpoint) }
  const failures: string[] = []
  const missed: string[] = []
  let altered = 0
  for (const scenario of pack.scenarios) {
    const { heard, failure } = await hear(scenario, run)
    if (failure !== undefined) {
      failures.push(`${scenario.name}: ${failure}`)
      continue
    }
    const tried = await tryAlterations(scenario, heard)
    altered += tried.altered
    missed.push(...tried.missed)
  }
  let spoiled = 0
  for (const scenario of pack.scenarios) {
    const spoil = spoilOf(scenario, pack)
    if (spoil === undefined) continue
    spoiled++
    const tell = (path: string, what: object): Promise<unknown> =>
      ask(endpoint.control, 'POST', path, 30_000, what)
    for (const { path, what } of spoil.before) await tell(path, what)
    const [result] = await runPack(
      { scenarios: [scenario] },
      { ...run, countedWithinMs: spoil.withinMs ?? 2_000 },
    )
    if (result!.failure === undefined) missed.push(`${scenario.name}: a network that does it wrongly`)
    await tell('/rules', { rules: 'rules: []\n' })
    await tell('/behaviour', { reset: true })
    if (spoil.unsettles === true) await lineIsBack(endpoint.control)
  }
  return { scenarios: pack.scenarios.length, failures, altered, spoiled, missed }
}

/** Signed on, and tried with the two echoes that a breaker wants before it lets anything through. */
async function lineIsBack(control: Address): Promise<void> {
  const status = (): Promise<{ signedOn: number; echoes: number }> => ask(control, 'GET', '/status', 30_000)
  const { echoes } = await status()
  for (let tries = 0; tries < 600; tries++) {
    const now = await status()
    if (now.signedOn > 0 && now.echoes >= echoes + 2) return
    await sleep(100)
  }
  throw new Error('the line did not come back')
}

/** What a network does wrong in scenarios of such names. Where it refuses, it has not done it: the books agree all the same. */
interface Spoil {
  readonly about: RegExp
  readonly before: readonly { readonly path: string; readonly what: object }[]
  /** How long what is to be counted may take here. */
  readonly withinMs?: number
  /** Nothing else can be tried before the line is signed on again. */
  readonly unsettles?: boolean
}

/** Of the terminals' own pack, which knows no network, what the switch answers by itself has none. */
function spoilOf({ name }: PackScenario, { network }: Pack): Spoil | undefined {
  if (network === undefined) return [otherReason].find(({ about }) => about.test(name))
  const spoil = spoils.find(({ about }) => about.test(name))
  if (spoil === undefined) throw new Error(`nothing is known that would spoil "${name}"`)
  return spoil
}

const spoils: readonly Spoil[] = [
  {
    about: /signed on to/,
    before: [{ path: '/behaviour', what: { refuseSignOn: true } }],
    unsettles: true,
  },
  spoiltBy(/^no issuer can be asked|^an issuer is silent/, '{mti: 022*}', '{request: lost}'),
  spoiltBy(/is reversed|reversed in full|changes his mind|let go$/, '{mti: 04**}', '{request: lost}'),
  spoiltBy(/most of it taken$/, '{mti: 022*}', '{request: lost}'),
  spoiltBy(/^cash/, '{processingCode: "31"}', '{refuse: "05"}'),
  spoiltBy(/^half of what/, '{amountEndsWith: "916"}', '{refuse: "05"}'),
  spoiltBy(/^a terminal charges/, '{amountEndsWith: "917"}', '{refuse: "05"}'),
  spoiltBy(/reason/, '{amountEndsWith: "943"}', '{refuse: "41"}'),
  spoiltBy(/wrong PIN/, '{amountEndsWith: "000"}', '{refuse: "05"}'),
  spoiltBy(/spoils a purchase/, '{amountEndsWith: "913"}', '{refuse: "05"}'),
  spoiltBy(/^new keys/, '{amountEndsWith: "200"}', '{refuse: "63"}'),
  // A purchase in the network's book that nobody asked for.
  {
    about: /^the business date turns/,
    before: [{ path: '/day', what: { misbookMinor: '1' } }],
    withinMs: 20_000,
  },
]

/** Of the terminals' own pack, which knows nothing of a network behind the switch: what reaches one is declined. */
const otherReason = spoiltBy(/^(?!.*(echo|seal))/, '{mti: [0100, 0200]}', '{refuse: "57"}')

function spoiltBy(about: RegExp, when: string, then: string): Spoil {
  return {
    about,
    before: [{ path: '/rules', what: { rules: `rules:\n- {when: ${when}, then: ${then}}\n` } }],
  }
}

/** With a certificate, where the system has them. */
export async function openPackTerminal({ endpoints, stateFolder }: System, number = 1): Promise<Terminal> {
  const keyFile = await readKeyFile(endpoints.keyFile)
  const own = join(stateFolder, 'tls')
  return Terminal.open({
    ...endpoints.switch.iso8583,
    ...(existsSync(own) && {
      tls: {
        ...readTlsMaterial(new TestCertificates(own, []).files('terminals')),
        peer: dnsNameOf('switch'),
      },
    }),
    ...{ terminalId: `PACK${String(number).padStart(4, '0')}`, merchantId: '000000000000904' },
    keys: { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') },
  })
}
