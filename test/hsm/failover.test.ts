import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm, HsmOptions } from '../../hsm/hsm.ts'
import { scratchToken, softhsmMissing } from '../support/softhsm.ts'
import type { ScratchToken } from '../support/softhsm.ts'
import { compilerMissing, destroyOn, faultyModule } from './faulty.ts'
import type { FaultyModule } from './faulty.ts'
import { faultOf, hex, loadKeys, testKeys, text, world } from './world.ts'
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
/** Once it is open, nothing in a test's time closes it. */
const neverAgain = { windowMs: 600_000, openMs: 600_000 }

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
    /** Without the second token, a call would wait in vain for longer than its deadline. */
    const withSpare = async (options: Partial<HsmOptions> = {}): Promise<Hsm> => {
      const hsm = await rooms.open({ module: faulty.module, others: [spare], deadlineMs: 3_000, ...options })
      // Both must be up before a fault of one is of interest.
      while (hsm.status().up !== 2) await wait(20)
      return hsm
    }

    const tokenFolders = (): [string, string] => [
      join(rooms.token.folder, 'tokens'),
      join(rooms.token.folder, 'tokens-away'),
    ]

    /**
     * On a busy machine one call or another is later than a deadline that a test made short. The pause is needed: while a
     * breaker is open or probes, calls are refused within the turn, and asking again at once would never let the probe's
     * answer in.
     */
    async function answered(hsm: Hsm): Promise<string> {
      for (;;) {
        const answer = await hsm.generateMac(request).then(text, () => undefined)
        if (answer !== undefined) return answer
        await wait(20)
      }
    }

    /** 100 calls a second for as long as `seconds`: the different answers and faults. */
    async function traffic(hsm: Hsm, seconds: number): Promise<Set<string>> {
      const calls: Promise<string>[] = []
      for (let index = 0; index < seconds * 100; index++) {
        calls.push(
          hsm
            .generateMac(request)
            .then(text, (error: unknown) => JSON.stringify((error as { fault: unknown }).fault)),
        )
        await wait(10)
      }
      return new Set(await Promise.all(calls))
    }

    test.each([
      ['hangs', 'hang 30'],
      ['crashes', 'crash'],
      ['answers with a device error', `error ${deviceError}`],
      ['loses the second half of each operation', `half ${deviceError}`],
      ['is slower than a deadline', 'slow 4000'],
    ])('with a second token up, no call is lost while the first %s', async (_, fault) => {
      const hsm = await withSpare()
      const before = faulty.logins() - hsm.status().restarts
      const running = traffic(hsm, 2)
      await wait(200)
      faulty.fault(fault)
      expect(await running).toEqual(new Set([mac]))
      // Never more logins than starts.
      expect(faulty.logins()).toBeLessThanOrEqual(before + hsm.status().restarts)
      await hsm.close()
    })

    test('with a second token up, no call is lost while the first vanishes', async () => {
      const hsm = await withSpare()
      const [here, away] = tokenFolders()
      const running = traffic(hsm, 2)
      await wait(200)
      renameSync(here, away)
      try {
        expect(await running).toEqual(new Set([mac]))
        expect(hsm.status().backends!.map(({ state }) => state === 'up')).toEqual([false, true])
      } finally {
        renameSync(away, here)
      }
      await hsm.close()
    })

    test('with a second token up, no call is lost while the first loses the key, and it is asked for others', async () => {
      const hsm = await withSpare()
      const running = traffic(hsm, 2)
      await wait(200)
      destroyOn(rooms.token, 'zak.knet.both.v001')
      expect(await running).toEqual(new Set([mac]))
      while (hsm.status().backends![0]!.differing.length === 0) await hsm.generateMac(request)
      expect(hsm.status().backends!.map(({ differing }) => differing)).toEqual([['zak.knet.both'], []])
      expect(rooms.log.join('\n')).toContain('is not asked for zak.knet.both: its keys differ')
      await hsm.close()
      loadKeys(rooms.token, rooms.keyFile)
    })

    test('with a second token up, a wrong PIN of the first loses no call, and is tried once', async () => {
      const pinFile = join(rooms.token.folder, 'not-its-pin')
      writeFileSync(pinFile, 'not the PIN')
      const before = faulty.logins()
      const hsm = await rooms.open({ module: faulty.module, pinFile, others: [spare], deadlineMs: 3_000 })
      expect(await traffic(hsm, 2)).toEqual(new Set([mac]))
      expect(faulty.logins()).toBe(before + 1)
      expect(hsm.status().backends!.map(({ state }) => state)).toEqual(['down', 'up'])
      await hsm.close()
    })

    test('with the process killed, no call is lost while a second token is up', async () => {
      const hsm = await withSpare()
      const running = traffic(hsm, 1)
      await wait(200)
      process.kill(hsm.status().pids![0]!, 'SIGKILL')
      expect(await running).toEqual(new Set([mac]))
      await hsm.close()
    })

    test('a token with other keys is not asked for those, and is for the rest', async () => {
      const other = scratchToken()
      const keyFile = join(other.folder, 'other-keys.json')
      const keys = testKeys.map((key) => (key.ref === request.key ? { ...key, value: '00'.repeat(16) } : key))
      writeFileSync(keyFile, JSON.stringify({ keys }))
      loadKeys(other, keyFile)
      const hsm = await rooms.open({ others: [other], deadlineMs: 3_000 })
      while (hsm.status().up !== 2) await wait(20)
      expect(hsm.status().backends!.map(({ differing }) => differing)).toEqual([[], [request.key]])
      expect(await traffic(hsm, 1)).toEqual(new Set([mac]))
      // With the first one silent, the other still serves what both have in common.
      process.kill(hsm.status().pids![0]!, 'SIGSTOP')
      expect(text(await hsm.translatePin(pinBlock))).toBe(moved)
      process.kill(hsm.status().pids![0]!, 'SIGCONT')
      await hsm.close()
      other.remove()
    })

    test('a token whose self-test fails for signatures is used for what is left', async () => {
      faulty.fault('unsigned 112') // MECHANISM_INVALID
      const hsm = await withSpare()
      const [first, second] = hsm.status().backends!
      expect(first!.lacking).toEqual(['macCmacAes', 'macCmacTdes', 'macHmac', 'sign'])
      expect(first!.capabilities).toContain('pinTdes')
      expect(second!.lacking).toEqual([])
      expect(await traffic(hsm, 1)).toEqual(new Set([mac]))
      expect(text(await hsm.translatePin(pinBlock))).toBe(moved)
      expect(hsm.status().restarts).toBe(0)
      await hsm.close()
    })

    test('a process that is lost again and again is left alone, until a health check of it passes', async () => {
      const limits = { failuresMax: 2, windowMs: 600_000, openMs: 1_000 }
      const hsm = await withSpare({ breaker: limits })
      const breaker = (): string => hsm.status().backends![0]!.breaker
      for (const restarts of [1, 2]) {
        process.kill(hsm.status().pids![0]!, 'SIGKILL')
        while (hsm.status().restarts < restarts) await wait(5)
        while (hsm.status().up !== 2) await wait(5)
      }
      expect(hsm.status().backends![0]!.breakerOpenings).toBe(1)
      expect(await traffic(hsm, 0.2)).toEqual(new Set([mac]))
      while (breaker() !== 'closed') await wait(20)
      expect(hsm.status().restarts).toBe(2)
      await hsm.close()
    })

    test('while the breaker of the only one is open calls are refused at once; a health check that passes closes it', async () => {
      const breaker = { failuresMax: 2, windowMs: 600_000, openMs: 2_000 }
      const late = await rooms.open({ module: faulty.module, deadlineMs: 150, breaker })
      const state = (): string => late.status().backends![0]!.breaker
      // Later than the deadline, and quick enough for its heartbeats: nobody ends it, so nothing but the breaker helps.
      faulty.fault('slow 300')
      while (state() === 'closed')
        expect(await faultOf(late.generateMac(request))).toEqual({ kind: 'deadline' })
      const asked = late.status().backends![0]!.breakerOpenings
      faulty.fault('none')
      const faults: unknown[] = []
      const tookMs: number[] = []
      while (state() === 'open') {
        const startedMs = performance.now()
        faults.push(await faultOf(late.generateMac(request)))
        tookMs.push(performance.now() - startedMs)
        await wait(5)
      }
      for (const fault of faults) expect(fault).toEqual({ kind: 'unavailable' })
      expect(Math.min(...tookMs)).toBeLessThan(20)
      expect(asked).toBe(1)
      expect(await answered(late)).toBe(mac)
      await late.close()
    })

    test('what is refused for the caller’s own fault never opens the breaker', async () => {
      const hsm = await rooms.open({ breaker: { ...neverAgain, failuresMax: 2 } })
      const wrong = { ...pinBlock, pinBlock: hex('00'.repeat(8)) }
      for (let times = 0; times < 10; times++) {
        expect(await faultOf(hsm.translatePin(wrong))).toMatchObject({ kind: 'pinBlock' })
        const unknown = await faultOf(hsm.generateMac({ ...request, key: 'zak.nobody.both' }))
        expect(unknown).toMatchObject({ kind: 'refused' })
        expect(await hsm.verifyMac({ ...request, mac: new Uint8Array(8) })).toBe(false)
      }
      expect(hsm.status().backends![0]).toMatchObject({ breaker: 'closed', breakerOpenings: 0 })
      expect(text(await hsm.generateMac(request))).toBe(mac)
      await hsm.close()
    })

    test('a process that has answered enough is replaced by a fresh one, and no call notices', async () => {
      const hsm = await rooms.open({ module: faulty.module, answersMax: 40, deadlineMs: 3_000 })
      const [before] = hsm.status().pids!
      const answers = new Set<string>()
      while (hsm.status().backends![0]!.recycled < 2)
        for (const one of await traffic(hsm, 0.2)) answers.add(one)
      expect(answers).toEqual(new Set([mac]))
      expect(hsm.status().pids).not.toContain(before)
      expect(hsm.status().restarts).toBe(0)
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

    test('a start that hangs is ended after its time, and the next one serves', async () => {
      faulty.fault('hang 60')
      const opening = rooms.open({ module: faulty.module, startMaxMs: 4_000, deadlineMs: 5_000 })
      while (!rooms.log.join('\n').includes('did not start in time')) await wait(20)
      faulty.fault('none')
      const hsm = await opening
      expect(text(await hsm.generateMac(request))).toBe(mac)
      await hsm.close()
    })

    test('a token that vanishes ends the process, and one that comes back is used again', async () => {
      const hsm = await rooms.open({ deadlineMs: 400 })
      const [here, away] = tokenFolders()
      renameSync(here, away)
      try {
        expect(await faultOf(hsm.generateMac(request))).toEqual({ kind: 'deadline' })
        while (!rooms.log.join('\n').includes('noToken')) await wait(20)
      } finally {
        renameSync(away, here)
      }
      while (hsm.status().state !== 'up') await wait(20)
      expect(await answered(hsm)).toBe(mac)
      await hsm.close()
    })

    test('a key destroyed by another process is unknown from then on, and the others still work', async () => {
      const hsm = await alone()
      destroyOn(rooms.token, 'zak.knet.both.v001')
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
