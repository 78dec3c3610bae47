import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { runVectors } from '../../hsm/kat.ts'
import type { KatResult } from '../../hsm/kat.ts'
import { findSofthsm, scratchToken } from '../../hsm/pkcs11/scratch.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import type { HsmStatus } from '../../hsm/hsm.ts'
import { openTwin } from '../../hsm/twin/token.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'

/** `mafraq hsm`: known answers without a running system, and how the HSM of a running one stands. */
export function hsmCommand(): Command {
  const command = new Command('hsm').description(
    'known answers through the HSM drivers; how the HSM of the running switch stands',
  )
  command
    .command('kat')
    .description('run a file of known answers through a driver, on a scratch token')
    .argument('<file>', 'vectors: {id, function, inputs, expected}')
    .addOption(new Option('--driver <driver>').choices(['pkcs11', 'twin']).default('pkcs11'))
    .option('--json', 'one JSON object')
    .action(async (file: string, options: { driver: 'pkcs11' | 'twin'; json?: true }) => {
      process.exitCode = await kat(file, options)
    })
  command
    .command('status')
    .description(
      'the HSM processes of the running switch: what they can do, how they fare, whose keys differ',
    )
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON object')
    .action(async (options: { state?: string; json?: true }) => {
      process.exitCode = await status(options)
    })
  return command
}

/** 0 all serve with the same keys, 1 something is amiss, 3 the switch does not answer. */
async function status({ state, json }: { state?: string; json?: true }): Promise<number> {
  const { host, port } = readEndpoints(stateFolderOf(state)).switch.http
  let hsm: HsmStatus
  try {
    const answer = await fetch(`http://${host}:${port}/status`)
    hsm = ((await answer.json()) as { hsm: HsmStatus }).hsm
  } catch {
    console.error('the switch does not answer on its HTTP port')
    return 3
  }
  const backends = hsm.backends ?? []
  if (json === true) console.log(JSON.stringify(hsm))
  else for (const line of statusLines(hsm)) console.log(line)
  const sound = backends.every(({ breaker, differing, lacking, state: is }) => {
    // A signing key is made inside one token, and is on no other.
    const amiss = differing.filter((ref) => !ref.startsWith('sign.'))
    return is === 'up' && breaker === 'closed' && amiss.length === 0 && lacking.length === 0
  })
  return sound ? 0 : 1
}

function statusLines({ driver, backends, keys, operations, pending }: HsmStatus): string[] {
  const milliseconds = (seconds: number): string => (seconds * 1_000).toFixed(1)
  return [
    `hsm ${driver}  waiting ${pending}`,
    ...(backends ?? []).flatMap((one) => [
      `${one.name}  ${one.state}  ${one.model ?? '-'}  token ${one.tokenLabel ?? '-'}  breaker ${one.breaker} (opened ${one.breakerOpenings})  in flight ${one.outstanding}  restarts ${one.restarts}  replaced ${one.recycled}`,
      `  can ${one.capabilities.join(', ')}`,
      ...(one.lacking.length === 0 ? [] : [`  cannot ${one.lacking.join(', ')}`]),
      ...(one.differing.length === 0 ? [] : [`  other keys than elsewhere: ${one.differing.join(', ')}`]),
    ]),
    ...Object.entries(operations ?? {}).map(([name, { count, faults, seconds }]) => {
      const failed = Object.entries(faults).map(([fault, number]) => `  ${fault} ${number}`)
      return `${name}  ${count}  mean ${milliseconds(seconds / count)} ms${failed.join('')}`
    }),
    ...(keys ?? []).map(({ label, id, state, ageSeconds }) => {
      const days = ageSeconds === undefined ? '' : `  ${(ageSeconds / 86_400).toFixed(1)} days old`
      return `${label}  ${id}  ${state}${days}`
    }),
  ]
}

/** 0 all passed, 1 some failed, 2 no such file of vectors, 3 no SoftHSM to run them on. */
async function kat(
  file: string,
  { driver, json }: { driver: 'pkcs11' | 'twin'; json?: true },
): Promise<number> {
  let vectors: unknown
  try {
    vectors = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    console.error(`${file} cannot be read as JSON`)
    return 2
  }
  if (driver === 'pkcs11' && findSofthsm() === undefined) {
    console.error('SoftHSM is not installed: apt-get install softhsm2, or --driver twin')
    return 3
  }
  try {
    return report(driver === 'twin' ? runVectors(openTwin([]), vectors) : await onScratchToken(vectors), json)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    console.error(`${file} holds no list of vectors`)
    return 2
  }
}

async function onScratchToken(vectors: unknown): Promise<KatResult> {
  const scratch = scratchToken()
  process.env['SOFTHSM2_CONF'] = scratch.softhsmConf
  try {
    const token = await openPkcs11Token(scratch)
    try {
      return runVectors(token, vectors)
    } finally {
      token.close()
    }
  } finally {
    scratch.remove()
  }
}

function report(result: KatResult, json: true | undefined): number {
  const { passed, failed, skipped, failures, skips } = result
  if (json === true) {
    console.log(JSON.stringify({ passed, failed, skipped, failures, skips }))
  } else {
    for (const { id, why } of skips) console.log(`skipped ${id}: ${why}`)
    for (const { id, why } of failures) console.log(`failed ${id}: ${why}`)
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  }
  return failed === 0 ? 0 : 1
}
