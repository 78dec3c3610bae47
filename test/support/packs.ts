import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask } from '../../bin/environment/control.ts'
import { networkHand } from '../../bin/environment/packs.ts'
import { dnsNameOf, TestCertificates } from '../../bin/environment/test-certificates.ts'
import type { System } from '../../bin/environment/system.ts'
import { readTlsMaterial } from '../../iso8583/iso8583.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { type Pack, type PackResult, readPack, runPack } from '../../simulators/terminals/pack.ts'
import { Terminal } from '../../simulators/terminals/terminal.ts'

const folder = join(import.meta.dirname, '../../scenarios')

export function packFiles(): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.yaml'))
}

export interface PackTried {
  readonly scenarios: number
  /** What was not as expected. */
  readonly failures: readonly string[]
  /** How many scenarios failed when the network gave another reason to decline than it had. */
  readonly foundWrong: number
}

/** A pack against the running processes; then the part of it that is about reasons to decline, with a wrong one. */
export async function tryPack(file: string, terminal: Terminal, system: System): Promise<PackTried> {
  const pack = readPack(readFileSync(join(folder, file), 'utf8'), file)
  const network = pack.network ?? 'knet'
  const run = (some: Pack): Promise<PackResult[]> =>
    runPack(some, terminal, networkHand(system.endpoints.networks[network]!))
  const results = await run(pack)
  const { control } = system.endpoints.networks[network]!
  const tell = (rules: string): Promise<unknown> => ask(control, 'POST', '/rules', 30_000, { rules })
  // In the code of its edition.
  await tell(wrongAnswer(network === 'issuer-host' ? '116' : '51'))
  const spoiled = await run({
    ...pack,
    scenarios: pack.scenarios.filter(({ name }) => name.includes('reason')),
  })
  await tell('rules: []\n')
  return {
    scenarios: results.length,
    failures: failuresOf(results).map(({ scenario, failure }) => `${scenario}: ${failure!}`),
    foundWrong: failuresOf(spoiled).length,
  }
}

/** With a certificate, where the system has them. */
export async function openPackTerminal({ endpoints, stateFolder }: System): Promise<Terminal> {
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
    ...{ terminalId: 'PACK0001', merchantId: '000000000000904' },
    keys: { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') },
  })
}

function failuresOf(results: readonly PackResult[]): PackResult[] {
  return results.filter(({ failure }) => failure !== undefined)
}

/** A network that declines for another reason than it has, by one rule. */
function wrongAnswer(code: string): string {
  return `rules:\n- {when: {mti: 02**, amountEndsWith: "905"}, then: {set: {39: "${code}"}}}\n`
}
