/**
 * A further token that must hold the same keys, for the tool of those who keep them. It is worked on by a process of
 * its own: a PKCS#11 library reads its configuration once in a process's life, and two of SoftHSM's don't fit in one.
 */
import { spawn } from 'node:child_process'
import type { TokenPlace } from './client.ts'
import type { ClearKey } from './objects.ts'

/** An object as that token has it, and what is wrong with its flags. */
export interface InspectedObject {
  readonly label: string
  readonly id: string
  readonly unsafe: readonly string[]
}

export interface OtherToken {
  readonly name: string
  /** All objects of the key. A key that is there already is left alone. Throws when its version is there as another. */
  put(key: ClearKey): Promise<void>
  destroy(label: string): Promise<void>
  inspect(): Promise<InspectedObject[]>
}

/** `toolFile` is `bin/hsm-keys.ts`. */
export function otherToken(place: TokenPlace, toolFile: string): OtherToken {
  const run = (command: string, more: readonly string[], input = ''): Promise<string> => {
    const { module, tokenLabel, pinFile } = place
    const address = ['--module', module, '--token-label', tokenLabel, '--pin-file', pinFile]
    return answerOf({ place, args: [toolFile, command, ...address, ...more], input })
  }
  return {
    name: place.tokenLabel,
    async put({ ref, version, algorithm, kcv, value }) {
      // In clear through a pipe between two processes of one tool, and nowhere else.
      const key = { ref, version, algorithm, kcv, value: value.toString('hex') }
      await run('put', [], JSON.stringify({ keys: [key] }))
    },
    async destroy(label) {
      await run('destroy', ['--label', label])
    },
    inspect: async () => JSON.parse(await run('inspect', [])) as InspectedObject[],
  }
}

function answerOf({
  place,
  args,
  input,
}: {
  place: TokenPlace
  args: string[]
  input: string
}): Promise<string> {
  const { softhsmConf } = place
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: softhsmConf === undefined ? {} : { SOFTHSM2_CONF: softhsmConf },
  })
  const [said, complained]: [string[], string[]] = [[], []]
  child.stdout.setEncoding('utf8').on('data', (piece: string) => said.push(piece))
  child.stderr.setEncoding('utf8').on('data', (piece: string) => complained.push(piece))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve(said.join(''))
      else
        reject(
          new Error(`the token ${place.tokenLabel}: ${complained.join('').trim().split('\n').at(-1) ?? ''}`),
        )
    })
  })
}
