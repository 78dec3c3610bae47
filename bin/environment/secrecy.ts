import { encryptPin, keyNamed, pinBlock0, readKeyFile, type TestKey } from '../../simulators/keys.ts'
import { testCards } from '../../simulators/cards.ts'
import { Canaries, scanDatabase, scanFolder } from './canary.ts'
import type { Findings } from './canary.ts'
import type { Canary } from './canary-forms.ts'
import { readEndpoints } from './endpoints.ts'
import { simulatedNetworks } from './simulated-networks.ts'

/**
 * Under which keys a test card's PIN travels: to the switch, and from it to the network. Under an AES key the block has
 * chance in it, so what it will be can't be known beforehand.
 */
function pinKeysOf(keys: ReadonlyMap<string, TestKey>, network: string): string[] {
  const outward = simulatedNetworks[network]?.keys.pin ?? 'zpk.knet.out'
  return ['tpk.acq1.in', outward].filter((ref) => keyNamed(keys, ref).algorithm.startsWith('DES'))
}

/**
 * Everything of the test cards that must be nowhere: numbers, tracks, and PIN blocks clear and encrypted. A format 0
 * block has no chance in it, so the encrypted blocks of a run are known beforehand.
 */
async function cardCanaries(keyFile: string): Promise<readonly Canary[]> {
  const keys = await readKeyFile(keyFile)
  return testCards.flatMap(({ name, pan, pin, expiry, network }): Canary[] => [
    { kind: 'pan', name, value: pan },
    { kind: 'track', name, value: `${pan}=${expiry}` },
    { kind: 'pinBlock', name: `${name}, clear`, value: pinBlock0({ pin, pan }).toString('hex') },
    ...pinKeysOf(keys, network).map((ref): Canary => {
      const block = encryptPin(keyNamed(keys, ref), { pin, pan })
      return { kind: 'pinBlock', name: `${name}, ${ref}`, value: block.toString('hex') }
    }),
  ])
}

/** Searches what a run has written: every file of its state folder, and every row of its database. */
export async function findCardData(stateFolder: string): Promise<Findings> {
  const { keyFile, database } = readEndpoints(stateFolder)
  const canaries = new Canaries(await cardCanaries(keyFile))
  const files = await scanFolder(stateFolder, canaries)
  const rows = await scanDatabase(database.url, canaries)
  return {
    files: files.files + rows.files,
    bytes: files.bytes + rows.bytes,
    hits: [...files.hits, ...rows.hits],
  }
}
