import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm, HsmOptions } from '../../hsm/hsm.ts'
import { openClient } from '../../kernel/database.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { compilerMissing, faultyModule } from './faulty.ts'
import type { FaultyModule } from './faulty.ts'
import { hex, text, world } from './world.ts'
import type { World } from './world.ts'

const request = { key: 'zak.knet.both', data: hex('6BC1BEE22E409F96E93D7E117393172A') }
const mac = '070A16B46B4D4144'
/** Long enough for a restart that should not be to have come. */
const longEnoughMs = 1_500
/** Each starts a handful of processes, one after the other. */
const unhurried = { timeout: 120_000 }

describe.skipIf(softhsmMissing() !== undefined || compilerMissing() !== undefined)('the processes', () => {
  let rooms: World
  let faulty: FaultyModule
  let pin: string
  const file = (name: string): string => join(rooms.token.folder, name)
  beforeAll(async () => {
    rooms = await world()
    faulty = faultyModule(rooms.token)
    pin = readFileSync(rooms.token.pinFile, 'utf8')
    // Each start is written down; `refuse` makes it end as where there is no such token.
    writeFileSync(
      file('counted.mjs'),
      `import { appendFileSync, existsSync } from 'node:fs'
       appendFileSync(${JSON.stringify(file('starts'))}, 'start\\n')
       if (existsSync(${JSON.stringify(file('refuse'))})) process.exit(66)
       await import(${JSON.stringify(join(import.meta.dirname, '../../bin/hsm.ts'))})`,
    )
  })
  afterEach(() => {
    rmSync(file('refuse'), { force: true })
    rmSync(file('starts'), { force: true })
    writeFileSync(file('own-pin'), pin)
  })
  afterAll(() => rooms[Symbol.asyncDispose]())

  const starts = (): number =>
    existsSync(file('starts')) ? readFileSync(file('starts'), 'utf8').split('\n').length - 1 : 0
  const open = (options: Partial<HsmOptions> = {}): Promise<Hsm> => {
    writeFileSync(file('own-pin'), pin)
    return rooms.open({
      ...{ module: faulty.module, pinFile: file('own-pin'), processFile: file('counted.mjs') },
      ...options,
    })
  }
  /** Until the process has answered so much that it is to be replaced. */
  async function wearOut(hsm: Hsm, done: () => boolean): Promise<void> {
    while (!done()) {
      expect(text(await hsm.generateMac(request))).toBe(mac)
      await wait(5)
    }
  }

  test(
    'one that was to take over and did not start leaves nothing behind that goes on starting',
    unhurried,
    async () => {
      const hsm = await open({ answersMax: 20 })
      appendFileSync(file('refuse'), '')
      await wearOut(hsm, () => starts() === 2)
      await wait(longEnoughMs)
      expect(starts()).toBe(2)
      expect(text(await hsm.generateMac(request))).toBe(mac)
      await hsm.close()
      await wait(longEnoughMs)
      expect(starts()).toBe(2)
    },
  )

  test(
    'one that hangs when its successor has taken over is ended, and not started again',
    unhurried,
    async () => {
      const hsm = await open({ answersMax: 20, deadlineMs: 60_000 })
      const [old] = hsm.status().pids!
      const client = await openClient({ databaseUrl: rooms.database.url, applicationName: 'test' })
      try {
        // What waits for the database keeps the old process from ending, which answers meanwhile.
        await client.query('BEGIN')
        await client.query('LOCK TABLE vault.card IN ACCESS EXCLUSIVE MODE')
        const waiting = hsm.tokenise('9999990000000022')
        await wearOut(hsm, () => hsm.status().backends![0]!.recycled === 1)
        process.kill(old!, 'SIGSTOP')
        while (!rooms.log.join('\n').includes('fell silent')) await wait(20)
        await client.query('COMMIT')
        // What it had not answered its successor does.
        expect(await waiting).toMatch(/^tok_/)
        await wait(longEnoughMs)
        expect(starts()).toBe(2)
      } finally {
        await client.end()
      }
      await hsm.close()
      await wait(longEnoughMs)
      expect(starts()).toBe(2)
    },
  )

  test(
    'log in no more once the token has refused a login, and those that are in go on',
    unhurried,
    async () => {
      const hsm = await open({ answersMax: 20, successorAgainMs: 100, processes: 2 })
      while (hsm.status().up !== 2) await wait(20)
      const before = faulty.logins()
      writeFileSync(file('own-pin'), 'another PIN')
      await wearOut(hsm, () => faulty.logins() > before)
      await wait(longEnoughMs)
      await wearOut(hsm, () => true)
      expect(faulty.logins()).toBe(before + 1)
      expect(hsm.status().up).toBe(2)
      // Nor when one of them is lost.
      process.kill(hsm.status().pids![0]!, 'SIGKILL')
      while (hsm.status().up !== 1) await wait(20)
      await wait(longEnoughMs)
      expect(faulty.logins()).toBe(before + 1)
      expect(text(await hsm.generateMac(request))).toBe(mac)
      await hsm.close()
    },
  )

  test('of one token are not let in one after the other with a PIN that it refuses', unhurried, async () => {
    const before = faulty.logins()
    writeFileSync(file('wrong-pin'), 'another PIN')
    await expect(open({ processes: 4, pinFile: file('wrong-pin') })).rejects.toThrow('loginRefused')
    expect(faulty.logins()).toBe(before + 1)
  })
})

test.skipIf(softhsmMissing() !== undefined)(
  'a token of thousands of keys is served as one of few',
  unhurried,
  async () => {
    await using rooms = await world()
    const keyFile = join(rooms.token.folder, 'many.json')
    const { keys } = JSON.parse(readFileSync(rooms.keyFile, 'utf8')) as { keys: object[] }
    const many = Array.from({ length: 4_000 }, (_, index) => ({
      ref: `tpk.terminal-${index}.in`,
      algorithm: 'DES2',
      value: '0123456789ABCDEFFEDCBA9876543210',
    }))
    writeFileSync(keyFile, JSON.stringify({ keys: [...keys, ...many] }))
    const hsm = await rooms.open({ driver: 'twin', keyFile })
    expect(text(await hsm.generateMac(request))).toBe(mac)
    expect(hsm.status().keys).toHaveLength(keys.length + many.length)
    await hsm.close()
  },
)
