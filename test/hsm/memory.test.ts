import { createCipheriv } from 'node:crypto'
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Canaries, scanDatabase, scanFolder } from '../../bin/environment/canary.ts'
import type { Hsm } from '../../hsm/hsm.ts'
import { openClient } from '../../kernel/database.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, world } from './world.ts'
import type { TestKey, World } from './world.ts'

/** Not the published keys of the other tests: those are the self-test's as well, which leaves them where they lie. */
const keys = [
  { ref: 'tpk.acq1.in', algorithm: 'DES2', value: '5E8CA2D0130B6D7F29F4B5C8E31A4975' },
  { ref: 'zpk.knet.out', algorithm: 'DES2', value: '7CB6D35861EC9B15AD0E3457F8C24F91' },
  { ref: 'tak.acq1.both', algorithm: 'DES2', value: '970D4A62E5B36BC831DC64A8198076FD' },
  { ref: 'zak.knet.both', algorithm: 'AES-128', value: 'C5D3A90E71F64B2886BA1DE3570F924C' },
  { ref: 'fpk.vault.both', algorithm: 'HMAC', value: '4D9A37E1B8C2605F7301EFA46C95D82B'.repeat(2) },
  { ref: 'kek.vault.both', algorithm: 'AES-256', value: '8E17B4D26F03A95CE1487A3DC06B52F9'.repeat(2) },
] as const satisfies readonly TestKey[]

const clearBlock = hex('041261AAAAEDCBA9')

/** What must not be found, by its name. A PIN of four digits is too short to be told from chance; its blocks are not. */
const secrets: Readonly<Record<string, Buffer>> = {
  ...Object.fromEntries(keys.map(({ ref, value }) => [`key ${ref}`, hex(value)])),
  'clear PIN block': clearBlock,
  'PIN field': hex('041234FFFFFFFFFF'),
  'PIN block of the request': underKey(keys[0].value),
  'PIN block of the answer': underKey(keys[1].value),
}

/** The PIN block as it travels under a key of two parts. */
function underKey(value: string): Buffer {
  return createCipheriv('des-ede', hex(value), null).setAutoPadding(false).update(clearBlock)
}

const pieceBytes = 1 << 24
/** A secret on the border of two pieces is whole in one of them. */
const overlapBytes = 64

/** The names of the secrets that are in the writable memory of a process. */
function found(pid: number): string[] {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const names = new Set<string>()
  const piece = Buffer.alloc(pieceBytes)
  for (const line of maps) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line)
    if (range === null) continue
    const [from, to] = [BigInt(`0x${range[1]!}`), BigInt(`0x${range[2]!}`)]
    for (let at = from; at < to; at += BigInt(pieceBytes - overlapBytes)) {
      const length = Math.min(pieceBytes, Number(to - at))
      try {
        readSync(memory, piece, 0, length, at as unknown as number)
      } catch {
        continue // Reserved, and never touched.
      }
      const bytes = piece.subarray(0, length)
      for (const [name, secret] of Object.entries(secrets)) if (bytes.includes(secret)) names.add(name)
    }
  }
  closeSync(memory)
  return [...names].sort()
}

async function traffic(hsm: Hsm): Promise<void> {
  const pin = { from: 'tpk.acq1.in', to: 'zpk.knet.out', pinBlock: secrets['PIN block of the request']! }
  // Refusals are what ends in logs.
  await faultOf(hsm.translatePin({ ...pin, pan: '5555555551234666' }))
  await faultOf(hsm.translatePin({ ...pin, pan: 'no number' }))
  for (let index = 0; index < 300; index++) {
    await hsm.translatePin({ ...pin, pan: '5555555551234567' })
    await hsm.generateMac({ key: 'tak.acq1.both', data: Buffer.alloc(200, index) })
    await hsm.tokenise('4111111111111111')
  }
}

describe.skipIf(softhsmMissing() !== undefined)('in the memory of the HSM process', () => {
  let rooms: World
  beforeAll(async () => {
    rooms = await world(keys)
  })
  afterAll(async () => {
    await rooms[Symbol.asyncDispose]()
  })

  test('the scan finds the keys of the twin, which has them in clear', async () => {
    const hsm = await rooms.open({ driver: 'twin' })
    await traffic(hsm)
    const names = found(hsm.status().pids![0]!)
    expect(names).toEqual(
      expect.arrayContaining(['key tpk.acq1.in', 'key zpk.knet.out', 'key kek.vault.both']),
    )
    await hsm.close()
  })

  test('there is no key, PIN or PIN block while it is idle, nor five seconds after traffic', async () => {
    const hsm = await rooms.open()
    expect(found(hsm.status().pids![0]!)).toEqual([])
    await traffic(hsm)
    await wait(5_000)
    expect(found(hsm.status().pids![0]!)).toEqual([])
    await hsm.close()
  })

  test('neither logs, nor tables, nor the token’s files, nor what a crash leaves have one; a planted one is found', async () => {
    const folder = join(rooms.token.folder, 'scanned')
    mkdirSync(folder)
    const hsm = await rooms.open()
    await traffic(hsm)
    const pid = hsm.status().pids![0]!
    expect(readFileSync(`/proc/${pid}/coredump_filter`, 'utf8').trim()).toBe('00000000')
    const before = coresIn([process.cwd(), tmpdir()])
    process.kill(pid, 'SIGSEGV')
    while (hsm.status().restarts === 0) await wait(20)
    expect(coresIn([process.cwd(), tmpdir()])).toEqual(before)
    await hsm.close()
    writeFileSync(join(folder, 'log'), rooms.log.join('\n'))
    cpSync(join(rooms.token.folder, 'tokens'), join(folder, 'tokens'), { recursive: true })
    const canaries = new Canaries(
      Object.entries(secrets).flatMap(([name, secret]) =>
        (secret.toString('hex').toUpperCase().match(/.{16}/g) ?? []).map((value) => ({
          kind: 'pinBlock' as const,
          name,
          value,
        })),
      ),
    )
    const names = async (): Promise<string[]> =>
      [await scanFolder(folder, canaries), await scanDatabase(rooms.database.url, canaries)].flatMap(
        ({ hits }) => hits.map((hit) => `${hit.file}: ${hit.name}`),
      )
    expect(await names()).toEqual([])
    const block = secrets['PIN block of the request']!
    writeFileSync(join(folder, 'core.1'), Buffer.concat([Buffer.alloc(99_999), block, Buffer.alloc(99)]))
    writeFileSync(join(folder, 'log'), `refused: ${block.toString('hex')}`)
    const database = await openClient({ databaseUrl: rooms.database.url, applicationName: 'test' })
    await database.query(
      `CREATE TABLE public.planted AS SELECT decode('${block.toString('hex')}', 'hex') AS block`,
    )
    await database.end()
    expect((await names()).sort()).toEqual(
      ['core.1', 'log', 'public.planted'].map((file) => `${file}: PIN block of the request`),
    )
  })
})

function coresIn(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder).filter((name) => /^(core(\..*)?|.*\.core)$/.test(name)),
  )
}
