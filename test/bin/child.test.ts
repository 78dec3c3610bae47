import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { Child } from '../../bin/environment/child.ts'
import { guard } from '../../bin/environment/guard.ts'
import { lockFolder } from '../../bin/environment/lock.ts'
import { freePort } from '../../bin/environment/ports.ts'

const folder = mkdtempSync(join(tmpdir(), 'mafraq-child-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a child is ready when it says so, with what it says, and its own words go to its log', async () => {
  const child = childOf(
    'talks',
    `console.log('before'); console.error('{"text":"logged"}')
    console.log('READY ' + JSON.stringify({ config: process.argv[3] })); setInterval(() => {}, 1000)`,
  )
  const ready = (await child.start()) as { config: string }
  expect(JSON.parse(readFileSync(ready.config, 'utf8'))).toEqual({ name: 'talks' })
  expect(statSync(ready.config).mode & 0o077).toBe(0)
  await child.kill()
  const log = readFileSync(join(folder, 'logs/talks.log'), 'utf8')
  expect(log).toContain('before')
  expect(log).toContain('{"text":"logged"}')
  expect(log).not.toContain('READY')
})

test('a child that ends before it is ready is a failure that names its log', async () => {
  const child = childOf('fails', 'process.exit(9)')
  await expect(child.start()).rejects.toThrow(
    /fails ended with status 9 before it was ready, see .*fails\.log/,
  )
  expect(child.pid()).toBeUndefined()
})

test('a lost child is told of, a stopped or killed one is not', async () => {
  const child = childOf('ends', `console.log('READY {}'); setInterval(() => {}, 1000)`)
  const lost: string[] = []
  child.onLost((how) => lost.push(how))
  await child.start()
  await child.kill()
  await child.start()
  expect(await child.stop()).toBe(true)
  expect(lost).toEqual([])

  await child.start()
  process.kill(child.pid()!, 'SIGKILL')
  await expect.poll(() => lost).toEqual(['SIGKILL'])
  expect(child.pid()).toBeUndefined()
})

test('a child that outlives us is ended by its guard', async () => {
  const inner = `import { spawn } from 'node:child_process'
    import { guard } from ${JSON.stringify(join(import.meta.dirname, '../../bin/environment/guard.ts'))}
    const child = spawn('/bin/sleep', ['600'], { detached: true, stdio: 'ignore' })
    guard(child.pid, 'TERM')
    process.stdout.write(String(child.pid), () => process.kill(process.pid, 'SIGKILL'))`
  const pid = await new Promise<number>((done) => {
    execFile(process.execPath, ['--input-type=module', '-e', inner], (_, stdout) => done(Number(stdout)))
  })
  expect(pid).toBeGreaterThan(0)
  await expect.poll(() => isAlive(pid)).toBe(false)
})

test('a lifted guard leaves its program alone', async () => {
  const child = spawn('/bin/sleep', ['600'], { stdio: 'ignore' })
  guard(child.pid!, 'TERM')()
  await sleep(200)
  expect(isAlive(child.pid!)).toBe(true)
  child.kill()
})

test('a state folder belongs to one living process', () => {
  const unlock = lockFolder(folder)
  expect(() => lockFolder(folder)).toThrow(`process ${process.pid}`)
  unlock()
  // The pid is alive, but began at another moment: it is somebody else by now.
  writeFileSync(join(folder, 'lock'), `${process.pid} 1\n`)
  lockFolder(folder)()
  expect(existsSync(join(folder, 'lock'))).toBe(false)
})

test('ports that are given out are free, different, and none that a client may get', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()))
  expect(new Set(ports).size).toBe(20)
  for (const port of ports) expect(port).toBeLessThan(32_768)
})

function childOf(name: string, program: string): Child {
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, program)
  return new Child({ name, program: file, stateFolder: folder, config: { name } })
}

function isAlive(pid: number): boolean {
  try {
    // A child that has ended and was not waited for is a zombie, which is no life either.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
