import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { runVectors } from '../../hsm/kat.ts'
import type { KatResult } from '../../hsm/kat.ts'
import { findSofthsm, scratchToken } from '../../hsm/pkcs11/scratch.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { openTwin } from '../../hsm/twin/token.ts'

/** `mafraq hsm`: what can be asked of the HSM's drivers without a running system. */
export function hsmCommand(): Command {
  const command = new Command('hsm').description('known answers through the HSM drivers')
  command
    .command('kat')
    .description('run a file of known answers through a driver, on a scratch token')
    .argument('<file>', 'vectors: {id, function, inputs, expected}')
    .addOption(new Option('--driver <driver>').choices(['pkcs11', 'twin']).default('pkcs11'))
    .option('--json', 'one JSON object')
    .action(async (file: string, options: { driver: 'pkcs11' | 'twin'; json?: true }) => {
      process.exitCode = await kat(file, options)
    })
  return command
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
