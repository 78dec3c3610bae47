import { execFileSync } from 'node:child_process'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm } from '../../hsm/hsm.ts'
import { scratchToken, softhsmMissing } from '../support/softhsm.ts'
import type { ScratchToken } from '../support/softhsm.ts'
import { compilerMissing, faultyModule } from './faulty.ts'
import type { FaultyModule } from './faulty.ts'
import { faultOf, hex, loadKeys, text, world } from './world.ts'
import type { World } from './world.ts'

const request = { key: 'zak.knet.both', data: hex('6BC1BEE22E409F96E93D7E117393172A') }
const mac = '070A16B46B4D4144'
const deviceError = 48
const pinBlock = {
  from: 'tpk.acq1.in',
  to: 'zpk.knet.out',
  pinBlock: hex('230B4C43B8BA2C5C'),
  pan: '5555555551234567',
}
const moved = 'A5948F55D854BBA4'

describe.skipIf(softhsmMissing() !== undefined || compilerMissing() !== undefined)(
  'on a library that fails',
  () => {
    let rooms: World
    let faulty: FaultyModule
    let spare: ScratchToken
    beforeAll(async () => {
      rooms = await world()
      faulty = faultyModule(rooms.token)
      spare = scratchToken()
      loadKeys(spare, rooms.keyFile)
    })
    afterEach(() => faulty.fault('none'))
    afterAll(async () => {
      await rooms[Symbol.asyncDispose]()
      spare.remove()
    })

    const alone = (): Promise<Hsm> => rooms.open({ module: faulty.module, deadlineMs: 5_000 })
    /** With the deadline of production. */
    const withSpare = async (): Promise<Hsm> => {
      const hsm = await rooms.open({ module: faulty.module, others: [spare] })
      // Both must be up before a fault of one is of interest.
      while (hsm.status().pids!.length < 2 || !(await bothAnswer(hsm))) await wait(20)
      return hsm
    }

    async function bothAnswer(hsm: Hsm): Promise<boolean> {
      const before = rooms.log.length
      await Promise.all(Array.from({ length: 20 }, () => hsm.generateMac(request)))
      return rooms.log.length === before && hsm.status().up === 2
    }

    /** 100 calls a second for as long as `seconds`; the answers, and how late this process's own turns were. */
    async function traffic(hsm: Hsm, seconds: number): Promise<{ answers: Set<string>; p99ms: number }> {
      const delay = monitorEventLoopDelay({ resolution: 5 })
      delay.enable()
      const calls: Promise<string>[] = []
      for (let index = 0; index < seconds * 100; index++) {
        calls.push(
          hsm
            .generateMac(request)
            .then(text, (error: unknown) => JSON.stringify((error as { fault: unknown }).fault)),
        )
        await wait(10)
      }
      const answers = new Set(await Promise.all(calls))
      delay.disable()
      return { answers, p99ms: delay.percentile(99) / 1e6 }
    }

    test.each([
      ['hangs', 'hang 30'],
      ['answers with a device error', `error ${deviceError}`],
      ['loses the second half of each operation', `half ${deviceError}`],
      ['is slower than a deadline', 'slow 2000'],
    ])('with a second token up, no call is lost while the first %s', async (_, fault) => {
      const hsm = await withSpare()
      const running = traffic(hsm, 2)
      await wait(200)
      faulty.fault(fault)
      const { answers } = await running
      expect(answers).toEqual(new Set([mac]))
      await hsm.close()
    })

    test('the callers’ own event loop stays free while a token hangs', async () => {
      const hsm = await withSpare()
      const quiet = await traffic(hsm, 1)
      faulty.fault('hang 30')
      const { p99ms } = await traffic(hsm, 2)
      // Whatever the machine is busy with besides shows in both; a blocked loop would be a second late.
      expect(p99ms).toBeLessThan(Math.max(50, quiet.p99ms * 3))
      await hsm.close()
    })

    test('with the process killed, no call is lost while a second token is up', async () => {
      const hsm = await withSpare()
      const running = traffic(hsm, 1)
      await wait(200)
      process.kill(hsm.status().pids![0]!, 'SIGKILL')
      expect((await running).answers).toEqual(new Set([mac]))
      await hsm.close()
    })

    test('after one failed operation the session is replaced and calls go on', async () => {
      const hsm = await alone()
      faulty.fault('half 145') // OPERATION_NOT_INITIALIZED: what a session says that lost its way
      const failing = hsm.translatePin(pinBlock).catch(() => 'failed')
      await wait(100)
      faulty.fault('none')
      await failing
      expect(text(await hsm.translatePin(pinBlock))).toBe(moved)
      await hsm.close()
    })

    test('a device error ends the process, and its successor answers the call', async () => {
      const hsm = await alone()
      faulty.fault(`error ${deviceError}`)
      const call = hsm.translatePin(pinBlock)
      while (hsm.status().restarts === 0) await wait(5)
      faulty.fault('none')
      expect(text(await call)).toBe(moved)
      await hsm.close()
    })

    test('a token that vanishes ends the process, and one that comes back is used again', async () => {
      const hsm = await rooms.open({ deadlineMs: 400 })
      const [here, away] = ['tokens', 'tokens-away'].map((name) => join(rooms.token.folder, name)) as [
        string,
        string,
      ]
      renameSync(here, away)
      try {
        expect(await faultOf(hsm.generateMac(request))).toEqual({ kind: 'deadline' })
        while (!rooms.log.join('\n').includes('noToken')) await wait(20)
      } finally {
        renameSync(away, here)
      }
      while (hsm.status().state !== 'up') await wait(20)
      expect(text(await hsm.generateMac(request))).toBe(mac)
      await hsm.close()
    })

    test('a key destroyed by another process is unknown from then on, and the others still work', async () => {
      const hsm = await alone()
      destroy('zak.knet.both.v001', rooms.token)
      expect(await faultOf(hsm.generateMac(request))).toEqual({ kind: 'refused', why: 'unknownKey' })
      expect(text(await hsm.translatePin(pinBlock))).toBe(moved)
      expect(hsm.status().restarts).toBe(0)
      await hsm.close()
      loadKeys(rooms.token, rooms.keyFile)
    })

    test('each start logs in once, whatever fails afterwards', async () => {
      const hsm = await alone()
      const before = faulty.logins()
      faulty.fault('half 179') // SESSION_HANDLE_INVALID
      const call = hsm.generateMac(request).catch(() => 'failed')
      while (hsm.status().restarts === 0) await wait(5)
      faulty.fault('none')
      await call
      while (hsm.status().state !== 'up') await wait(20)
      expect(faulty.logins()).toBe(before + hsm.status().restarts)
      await hsm.close()
    })
  },
)

function destroy(label: string, token: ScratchToken): void {
  execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { openPkcs11Token } from ${JSON.stringify(join(import.meta.dirname, '../../hsm/pkcs11/token.ts'))}
       const token = await openPkcs11Token(${JSON.stringify(token)})
       token.destroy(${JSON.stringify(label)})`,
    ],
    { env: { ...process.env, SOFTHSM2_CONF: token.softhsmConf } },
  )
}
