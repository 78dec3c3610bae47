import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { text } from 'node:stream/consumers'
import { destroyKey, loadKeys, putKeys, writeTestKeys } from './keys.ts'
import type { TokenAddress } from './keys.ts'
import { openPkcs11Token } from './pkcs11/token.ts'

const usage = `hsm-keys make --file F
hsm-keys load --file F --module M --token-label L --pin-file P   (SOFTHSM2_CONF in the environment)
hsm-keys put, inspect, destroy --label X                         (with the same three options; put reads keys from stdin)`

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
        label: { type: 'string' },
      },
    })
    const { file, module, 'token-label': tokenLabel, 'pin-file': pinFile } = values
    if (positionals[0] === 'make' && file !== undefined) return make(file)
    if (module !== undefined && tokenLabel !== undefined && pinFile !== undefined) {
      const address = { module, tokenLabel, pinFile }
      if (positionals[0] === 'load' && file !== undefined) {
        return loaded(await loadKeys({ ...address, keyFile: file }))
      }
      if (positionals[0] === 'put') return loaded(await putKeys(address, await text(process.stdin)))
      if (positionals[0] === 'inspect') return await inspect(address)
      if (positionals[0] === 'destroy' && values.label !== undefined)
        return await destroy(address, values.label)
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : 'failed')
    return error instanceof TypeError ? 2 : 1
  }
  console.error(usage)
  return 2
}

function loaded(counts: { readonly loaded: number; readonly kept: number }): number {
  console.log(`${counts.loaded} key objects loaded, ${counts.kept} were there`)
  return 0
}

async function inspect(address: TokenAddress): Promise<number> {
  const token = await openPkcs11Token(address)
  try {
    const objects = token.objects().map((object) => {
      const { label, id } = object
      return { label, id, unsafe: token.unsafe(object) }
    })
    console.log(JSON.stringify(objects))
    return 0
  } finally {
    token.close()
  }
}

/** The key with its parts. */
async function destroy(address: TokenAddress, label: string): Promise<number> {
  const token = await openPkcs11Token(address)
  try {
    destroyKey(token, label)
    return 0
  } finally {
    token.close()
  }
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
