import { execFileSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Hsm } from '../../hsm/hsm.ts'
import { destroyOn, faultyModule } from '../hsm/faulty.ts'
import type { FaultyModule } from '../hsm/faulty.ts'
import { hex, loadKeys, text, world } from '../hsm/world.ts'
import type { World } from '../hsm/world.ts'
import { stopOwnServer } from '../support/postgres.ts'
import { scratchToken } from '../support/softhsm.ts'
import type { ScratchToken } from '../support/softhsm.ts'
import type { Goal } from './goal.ts'

const rate = 100
const seconds = 5
const loopDelayMaxMs = 50
const mac = { key: 'zak.knet.both', data: hex('6BC1BEE22E409F96E93D7E117393172A') }
const pin = {
  ...{ from: 'tpk.acq1.in', to: 'zpk.knet.out', pan: '5555555551234567' },
  pinBlock: hex('230B4C43B8BA2C5C'),
}

/** What a call must answer with. */
const right = { mac: '070A16B46B4D4144', pin: 'A5948F55D854BBA4' }

interface Room {
  readonly rooms: World
  readonly faulty: FaultyModule
  readonly spare: ScratchToken
}

/** Each way in which a token fails while a second one is up, within the deadline of production (500 ms). */
const faults: Readonly<Record<string, (room: Room, hsm: Hsm) => void>> = {
  none: () => undefined,
  hang: ({ faulty }) => faulty.fault('hang 30'),
  crash: ({ faulty }) => faulty.fault('crash'),
  error: ({ faulty }) => faulty.fault('error 48'),
  half: ({ faulty }) => faulty.fault('half 48'),
  slow: ({ faulty }) => faulty.fault('slow 2000'),
  killed: (_, hsm) => void process.kill(hsm.status().pids![0]!, 'SIGKILL'),
  stopped: (_, hsm) => void process.kill(hsm.status().pids![0]!, 'SIGSTOP'),
  vanished: ({ rooms }) => renameSync(join(rooms.token.folder, 'tokens'), join(rooms.token.folder, 'away')),
  'destroyed key': ({ rooms }) => destroyOn(rooms.token, 'zak.knet.both.v001'),
  'wrong PIN': () => undefined,
}

/** `npm run trust:smoke -- hsm`: no call is lost while a second token is up, and the caller's own turns stay short. */
export const hsm: Goal = async ({ say }) => {
  try {
    return await drill(say)
  } finally {
    await stopOwnServer()
  }
}

async function drill(say: Parameters<Goal>[0]['say']): ReturnType<Goal> {
  await using rooms = await world()
  const spare = scratchToken()
  loadKeys(spare, rooms.keyFile)
  const room = { rooms, faulty: faultyModule(rooms.token), spare }
  const lines: string[] = []
  let [lost, calls, worstMs] = [0, 0, 0]
  for (const name of Object.keys(faults)) {
    const result = await under(name, room)
    lost += result.lost
    calls += result.calls
    worstMs = Math.max(worstMs, result.p99ms)
    const line = `${name}: calls ${result.calls}  lost ${result.lost}  loop delay p99 ${result.p99ms.toFixed(1)} ms  logins ${result.logins} of ${result.starts} starts`
    say(line)
    lines.push(line)
    if (result.logins > result.starts) lost++
    restore(room)
  }
  spare.remove()
  const ok = lost === 0 && worstMs <= loopDelayMaxMs
  return {
    ok,
    figures: `calls ${calls}  lost ${lost}  worst p99 ${worstMs.toFixed(1)} ms`,
    lines: [...lines, ok ? 'RESULT ok' : 'RESULT calls were lost, or turns were long'],
  }
}

async function under(
  name: string,
  room: Room,
): Promise<{ lost: number; calls: number; p99ms: number; logins: number; starts: number }> {
  const { faulty, rooms, spare } = room
  const loginsBefore = faulty.logins()
  const wrongPin = join(rooms.token.folder, 'wrong-pin')
  writeFileSync(wrongPin, 'not the PIN')
  const hsm = await rooms.open({
    ...{ module: faulty.module, others: [spare] },
    ...(name === 'wrong PIN' ? { pinFile: wrongPin } : {}),
  })
  while (hsm.status().up !== 2 && name !== 'wrong PIN') await sleep(20)
  await traffic(hsm, 1)
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const running = traffic(hsm, seconds)
  await sleep(500)
  faults[name]!(room, hsm)
  const lost = await running
  delay.disable()
  const starts = 1 + (hsm.status().backends?.[0]?.restarts ?? 0)
  const logins = faulty.logins() - loginsBefore
  await hsm.close()
  return { lost, calls: seconds * rate * 2, p99ms: delay.percentile(99) / 1e6, logins, starts }
}

/** How many of the calls did not come back right. */
async function traffic(hsm: Hsm, forSeconds: number): Promise<number> {
  const calls: Promise<boolean>[] = []
  const startedAt = performance.now()
  for (let index = 0; index < forSeconds * rate; index++) {
    calls.push(hsm.generateMac(mac).then((answer) => text(answer) === right.mac))
    calls.push(hsm.translatePin(pin).then((answer) => text(answer) === right.pin))
    await sleep(Math.max(0, startedAt + (index * 1_000) / rate - performance.now()))
  }
  const ended = await Promise.allSettled(calls)
  return ended.filter((one) => one.status === 'rejected' || !one.value).length
}

function restore({ faulty, rooms }: Room): void {
  faulty.fault('none')
  const [here, away] = ['tokens', 'away'].map((name) => join(rooms.token.folder, name)) as [string, string]
  execFileSync('/bin/sh', ['-c', '[ ! -d "$1" ] || mv "$1" "$0"', here, away])
  loadKeys(rooms.token, rooms.keyFile)
}
