import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Hsm } from '../../hsm/hsm.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, text, world } from './world.ts'
import type { World } from './world.ts'

const onToken = test.skipIf(softhsmMissing() !== undefined)
const patient = { deadlineMs: 10_000 }
const request = { key: 'zak.knet.both', data: hex('6BC1BEE22E409F96E93D7E117393172A') }
const mac = '070A16B46B4D4144'

let rooms: World
beforeAll(async () => {
  if (softhsmMissing() === undefined) rooms = await world()
})
afterAll(async () => {
  await (rooms as World | undefined)?.[Symbol.asyncDispose]()
})

function pidOf(hsm: Hsm): number {
  return hsm.status().pids![0]!
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A process that has ended and was not yet waited for is a zombie, and not alive.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await wait(20)
}

onToken('calls under way when the process is killed are answered by its successor', async () => {
  const hsm = await rooms.open(patient)
  const calls = Array.from({ length: 40 }, () => hsm.generateMac(request))
  process.kill(pidOf(hsm), 'SIGKILL')
  const answers = await Promise.all(calls)
  expect(new Set(answers.map(text))).toEqual(new Set([mac]))
  expect(hsm.status()).toMatchObject({ state: 'up', restarts: 1, pending: 0 })
  await hsm.close()
})

onToken('a process that hangs is killed and replaced, and callers hear of it at their deadline', async () => {
  const hsm = await rooms.open({ deadlineMs: 200 })
  const hung = pidOf(hsm)
  process.kill(hung, 'SIGSTOP')
  expect(await faultOf(hsm.generateMac(request))).toEqual({ kind: 'deadline' })
  await until(() => hsm.status().state === 'up' && hsm.status().restarts === 1)
  expect(isAlive(hung)).toBe(false)
  // A busy machine may be too late for so short a deadline once more.
  await until(async () => (await hsm.generateMac(request).then(text, () => undefined)) === mac)
  await hsm.close()
})

onToken('an idle process that hangs is noticed before anybody asks it', async () => {
  const hsm = await rooms.open()
  process.kill(pidOf(hsm), 'SIGSTOP')
  await until(() => hsm.status().restarts === 1 && hsm.status().state === 'up')
  expect(rooms.log.join('\n')).toContain('fell silent, killed')
  await hsm.close()
})

onToken('a process that is slow to come back still serves calls inside their deadline', async () => {
  const hsm = await rooms.open(patient)
  process.kill(pidOf(hsm), 'SIGKILL')
  await until(() => hsm.status().state !== 'up')
  expect(text(await hsm.generateMac(request))).toBe(mac)
  await hsm.close()
})

onToken('when the queue is full the next call is shed, and the others are not disturbed', async () => {
  const hsm = await rooms.open({ ...patient, queueMax: 8 })
  process.kill(pidOf(hsm), 'SIGSTOP')
  const queued = Array.from({ length: 8 }, () => hsm.generateMac(request))
  expect(await faultOf(hsm.generateMac(request))).toEqual({ kind: 'shed' })
  process.kill(pidOf(hsm), 'SIGCONT')
  expect((await Promise.all(queued)).map(text)).toEqual(queued.map(() => mac))
  await hsm.close()
})

onToken('with the token’s PIN wrong there is one login and no second', async () => {
  const pinFile = join(rooms.token.folder, 'wrong-pin')
  writeFileSync(pinFile, 'not the PIN')
  const log: string[] = []
  const add = (line: string): void => void log.push(line)
  const opening = rooms.open({ pinFile, log: { info: add, warn: add, error: add } })
  await expect(opening).rejects.toThrow('the HSM process does not start: loginRefused')
  await wait(300)
  expect(log.filter((line) => line.includes('does not start'))).toHaveLength(1)
  expect(log.join('\n')).toContain('not started again')
})

onToken.each([
  ['SoftHSM', { driver: 'pkcs11' }],
  ['the twin', { driver: 'twin' }],
] as const)('%s is refused in production', async (_, driver) => {
  const opening = rooms.open({ ...driver, environment: 'production' })
  await expect(opening).rejects.toThrow('the HSM process does not start: insecureInProduction')
})

onToken('SoftHSM runs in production when that is allowed by name, and says what it is', async () => {
  const hsm = await rooms.open({ environment: 'production', allowInsecureDriver: true })
  await until(() => rooms.log.some((line) => line.includes('protects no key')))
  await hsm.close()
})

onToken.each([
  ['a library that is not there', { module: '/nowhere/lib.so' }, 'moduleNotFound'],
  ['a library that is none', { module: '/etc/passwd' }, 'moduleNotFound'],
  ['a PIN file that is not there', { pinFile: '/nowhere/pin' }, 'badConfig'],
  ['a key file that is not there', { driver: 'twin', keyFile: '/nowhere/keys' }, 'badKeys'],
] as const)('%s is told by name', async (_, options, fault) => {
  await expect(rooms.open(options)).rejects.toThrow(`the HSM process does not start: ${fault}`)
})

onToken('the HSM process ends when the process that started it is killed', async () => {
  const script = `
    import { openHsm } from ${JSON.stringify(join(import.meta.dirname, '../../hsm/hsm.ts'))}
    const say = () => undefined
    const hsm = await openHsm({ ...${JSON.stringify(optionsOf(rooms))}, log: { info: say, warn: say, error: say } })
    console.log(hsm.status().pids[0])`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script])
  const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)))
  expect(isAlive(pid)).toBe(true)
  parent.kill('SIGKILL')
  await until(() => !isAlive(pid))
})

function optionsOf({ token, database }: World): object {
  return {
    driver: 'pkcs11',
    module: token.module,
    tokenLabel: token.tokenLabel,
    pinFile: token.pinFile,
    softhsmConf: token.softhsmConf,
    vaultDatabaseUrl: database.url,
    socketFolder: join(token.folder, 'other-socket'),
    processFile: join(import.meta.dirname, '../../bin/hsm.ts'),
    environment: 'test',
  }
}

onToken('neither the process list nor the environment shows the database’s address', async () => {
  const hsm = await rooms.open()
  const seen = ['cmdline', 'environ']
    .map((file) => readFileSync(`/proc/${pidOf(hsm)}/${file}`, 'latin1'))
    .join()
  expect(seen).toContain('bin/hsm.ts')
  expect(seen).not.toContain('postgres')
  expect(readFileSync(`/proc/${pidOf(hsm)}/limits`, 'utf8')).toMatch(/Max core file size\s+0/)
  await hsm.close()
})

onToken('the socket is closed to others, and a stranger on it gets no answer', async () => {
  const hsm = await rooms.open()
  const folder = join(rooms.token.folder, 'socket')
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  const path = join(folder, readdirSync(folder)[0]!)
  for (const first of [hex('FFFFFFFF00'), hex('0000000500000001FF'), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
    const stranger = connect(path)
    const heard: Buffer[] = []
    stranger.on('data', (chunk) => heard.push(chunk))
    stranger.on('error', () => undefined)
    stranger.write(first)
    await new Promise((resolve) => stranger.once('close', resolve))
    expect(heard).toEqual([])
  }
  expect(text(await hsm.generateMac(request))).toBe(mac)
  await hsm.close()
})

onToken('after close, calls are refused and the process is gone', async () => {
  const hsm = await rooms.open()
  const pid = pidOf(hsm)
  await hsm.close()
  expect(isAlive(pid)).toBe(false)
  expect(await faultOf(hsm.generateMac(request))).toEqual({ kind: 'unavailable' })
  expect(hsm.status().state).toBe('down')
})
