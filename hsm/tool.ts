import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { loadKeys, writeTestKeys } from './keys.ts'

const usage = `hsm-keys make --file F
hsm-keys load --file F --module M --token-label L --pin-file P   (SOFTHSM2_CONF in the environment)`

/**
 * Makes test keys and loads them, as a process of its own: SoftHSM reads its configuration once in a process's
 * life. Prints one line; resolves to the exit code (0 done, 1 failed, 2 called wrongly).
 */
export async function keysTool(args: readonly string[]): Promise<number> {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        file: { type: 'string' },
        module: { type: 'string' },
        'token-label': { type: 'string' },
        'pin-file': { type: 'string' },
      },
    })
    const { file, module, 'token-label': tokenLabel, 'pin-file': pinFile } = values
    if (positionals[0] === 'make' && file !== undefined) return make(file)
    if (
      positionals[0] === 'load' &&
      file !== undefined &&
      module !== undefined &&
      tokenLabel !== undefined &&
      pinFile !== undefined
    ) {
      const { loaded, kept } = await loadKeys({ module, tokenLabel, pinFile, keyFile: file })
      console.log(`${loaded} key objects loaded, ${kept} were there`)
      return 0
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : 'failed')
    return error instanceof TypeError ? 2 : 1
  }
  console.error(usage)
  return 2
}

function make(file: string): number {
  if (existsSync(file)) {
    console.log('the key file is there already and is kept')
    return 0
  }
  writeTestKeys(file)
  console.log('test keys written')
  return 0
}
