/** `mafraq vault`, `mafraq keys` and `mafraq hsm` as processes, over the state folder of a system of two tokens. */
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Hsm, IssuerHsm } from '../../hsm/hsm.ts'
import { kcvOf } from '../../hsm/kcv.ts'
import { clearKey } from '../../hsm/keys.ts'
import { setOddParity } from '../../hsm/soft.ts'
import { scratchToken, softhsmMissing } from '../support/softhsm.ts'
import type { ScratchToken } from '../support/softhsm.ts'
import { hex, loadKeys, untilKey, world } from './world.ts'
import type { World } from './world.ts'

const program = join(import.meta.dirname, '../../bin/mafraq.ts')
const people = ['--by', 'first keeper', '--witness', 'second keeper']
const visa = '4111111111111111'

const unhurried = { timeout: 120_000 }
const ref = 'mac3.typed.both'

function xored(one: string, other: string): Buffer {
  const value = hex(one)
  for (const [index, byte] of hex(other).entries()) value[index]! ^= byte
  setOddParity(value)
  return value
}

/** What a terminal shows of a program whose questions are answered, each when it is asked. */
function onTerminal(line: string, typed: readonly string[]): Promise<string> {
  const child = spawn('script', ['-qefc', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  let screen = ''
  let answered = 0
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    screen += piece
    const asked = screen.match(/(component \d|value|whole key)[^:\n]*: /g)?.length ?? 0
    for (; answered < Math.min(asked, typed.length); answered++) child.stdin.write(`${typed[answered]}\r`)
  })
  return new Promise((resolve) => child.once('close', () => resolve(screen)))
}

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

describe.skipIf(softhsmMissing() !== undefined)('the command line', { timeout: 120_000 }, () => {
  let rooms: World
  let spare: ScratchToken
  let hsm: Hsm & IssuerHsm
  let http: Server
  let token: string
  const folder = (): string => join(rooms.token.folder, 'state')

  function mafraq(...args: readonly string[]): Promise<Ran> {
    return new Promise((resolve) => {
      execFile(process.execPath, [program, ...args, '--state', folder()], (error, out, err) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
      })
    })
  }

  /**
   * A key that was just put on both tokens is known to neither process, then to one, then to both. Signing keys are on
   * one token only.
   */
  async function untilBothKnow(version: string): Promise<void> {
    while (!hsm.status().keys!.some(({ label }) => label === version)) await wait(20)
    const differing = () => hsm.status().backends!.flatMap((backend) => backend.differing)
    while (differing().some((ref) => !ref.startsWith('sign.'))) await wait(20)
  }

  beforeAll(async () => {
    rooms = await world()
    spare = scratchToken()
    loadKeys(spare, rooms.keyFile)
    hsm = await rooms.open({ others: [spare] })
    while (hsm.status().up !== 2) await wait(20)
    token = await hsm.tokenise(visa)
    http = createServer((_, answer) => answer.end(JSON.stringify({ hsm: hsm.status() })))
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const { module, tokenLabel, pinFile, softhsmConf } = rooms.token
    mkdirSync(folder())
    writeFileSync(
      join(folder(), 'endpoints.json'),
      JSON.stringify({
        version: 1,
        database: { url: rooms.database.url, vaultUrl: rooms.database.url },
        hsm: { driver: 'pkcs11', module, tokenLabel, pinFile, softhsmConf, others: [spare] },
        keyFile: rooms.keyFile,
        switch: { http: { host: '127.0.0.1', port: (http.address() as { port: number }).port } },
      }),
    )
  })
  afterAll(async () => {
    http.close()
    await rooms[Symbol.asyncDispose]()
    spare.remove()
  })

  test.skipIf(!existsSync('/usr/bin/script'))(
    'a component that is typed at a terminal is shown on none',
    unhurried,
    async () => {
      const [one, other] = ['11223344556677889AABBCCDDEEFF013', '0123456789ABCDEFFEDCBA9876543210']
      const whole = clearKey({ ref, version: 1, algorithm: 'DES2', value: xored(one, other) }).kcv
      const args = ['keys', 'import-components', '--ref', ref, '--algorithm', 'DES2', ...people]
      const line = [process.execPath, program, ...args, '--state', folder()]
        .map((word) => `'${word}'`)
        .join(' ')
      const typed = [one, kcvOf('DES2', hex(one)), other, kcvOf('DES2', hex(other)), whole]
      const screen = await onTerminal(line, typed)
      expect(screen).toContain(`${ref}.v001`)
      await untilBothKnow(`${ref}.v001`)
      for (const component of [one, other]) expect(screen).not.toContain(component.slice(0, 6))
      // What is no secret is shown as it is typed.
      expect(screen).toContain(`check value of the whole key: ${whole}`)
    },
  )

  test('hsm status tells what each process can do, and ends with 0 while all have the same keys', async () => {
    const ran = await mafraq('hsm', 'status')
    expect(ran.out).toContain('hsm process 1  up  SoftHSM v2')
    expect(ran.out).toContain('hsm process 2  up  SoftHSM v2')
    expect(ran.out).toMatch(/^tokenise {2}1 {2}mean [\d.]+ ms$/m)
    expect(ran.out).toMatch(/^zpk\.knet\.out\.v001 {2}P0E:[0-9A-F]{6} {2}active/m)
    expect(ran.code).toBe(0)
  })

  test('a key is taken over, made, rotated in and checked on both tokens', unhurried, async () => {
    const key = ['--ref', 'zak.knet.both']
    expect(await mafraq('keys', 'adopt', ...people)).toMatchObject({ code: 0 })
    const made = await mafraq('keys', 'generate', ...key, '--algorithm', 'AES-128', ...people)
    expect(made.out).toMatch(/zak\.knet\.both\.v002/)
    const rotated = await mafraq('keys', 'rotate', ...key, '--grace', '600', ...people)
    expect(rotated).toEqual({ code: 0, out: 'zak.knet.both.v002 is active\n', err: '' })
    const list = await mafraq('keys', 'list')
    expect(list.out).toMatch(/^zak\.knet\.both\.v001 {2}previous {2}M6 C {2}AES-128/m)
    expect(list.out).toMatch(/^zak\.knet\.both\.v002 {2}active .* first keeper, second keeper$/m)
    expect(await mafraq('keys', 'check')).toEqual({ code: 0, out: 'RESULT ok\n', err: '' })
    await untilKey(hsm, 'zak.knet.both.v002', 'active')
    await untilBothKnow('zak.knet.both.v002')
    // The key that signs the keepers' records is on the first token only, as it should be.
    expect(hsm.status().backends!.flatMap(({ differing }) => differing)).toEqual(['sign.audit.both'])
    expect((await mafraq('hsm', 'status')).code).toBe(0)
  })

  test('what was done to keys is told by whom, and what was known before is still there', async () => {
    const told = await mafraq('keys', 'acts')
    expect(told.out).toMatch(
      /^\d+ {2}.* {2}rotate {4}zak\.knet\.both\.v002 {2}kcv [0-9A-F]{6} {2}first keeper, second keeper$/m,
    )
    expect(told.out).toMatch(/^RESULT ok\n/m)
    const [, last] = /^last (\S+)$/m.exec(told.out)!
    expect((await mafraq('keys', 'acts', '--known', last!)).code).toBe(0)
    const other = await mafraq('keys', 'acts', '--known', `99:${'0'.repeat(64)}`)
    expect(other.out).toContain('RESULT there is no act 99:')
    expect(other.code).toBe(1)
  })

  test('a key that does not exist is refused in one line, and nothing is changed', async () => {
    const refused = await mafraq('keys', 'rotate', '--ref', 'zak.nobody.both', ...people)
    expect(refused.code).toBe(1)
    expect(refused.err.trim().split('\n')).toHaveLength(1)
    expect((await mafraq('keys', 'check')).code).toBe(0)
  })

  test('hsm status ends with 1 when a process lacks a key, and names the key', async () => {
    const destroyed = await mafraq(
      ...['keys', 'retire', '--ref', 'zak.knet.both', '--key-version', '1', '--destroy', ...people],
    )
    expect(destroyed.out).toBe('zak.knet.both.v001 is destroyed\n')
    const other = await rooms.open({ others: [{ ...spare, tokenLabel: 'away' }] })
    const before = hsm
    hsm = other
    const ran = await mafraq('hsm', 'status')
    hsm = before
    await other.close()
    expect(ran.out).toContain('hsm process 1  up')
    expect(ran.out).toMatch(/hsm process 2 {2}(starting|down)/)
    expect(ran.code).toBe(1)
  })

  test('vault status counts cards by key, and rewrap puts all under a new one and says who did it', async () => {
    const before = await mafraq('vault', 'status', '--json')
    expect(JSON.parse(before.out)).toMatchObject({
      dataKeys: [{ state: 'active', cards: 1 }],
      underOldKeys: [],
    })
    const rewrapped = await mafraq('vault', 'rewrap', '--by', 'a keeper')
    expect(rewrapped.out).toBe('1 cards are under the new key, 0 under others\nRESULT ok\n')
    expect(rewrapped.code).toBe(0)
    const after = await mafraq('vault', 'status')
    // Whichever its number: of two processes that make the first key at once one takes a number for nothing.
    expect(after.out).toMatch(
      /^data key \d+ {2}retired {2}.* {2}0 cards\ndata key \d+ {2}active {2}.* {2}1 cards$/m,
    )
    expect(after.out).toContain('under keys that are not active: 0 cards')
    expect(await hsm.detokenise(token)).toBe(visa)
  })

  test('a batch that is none is refused', async () => {
    expect((await mafraq('vault', 'rewrap', '--by', 'a keeper', '--batch', '0')).code).toBe(2)
  })

  test('vault access lists each look-up with its time and who asked, and never the number', async () => {
    const seen = await mafraq('vault', 'access', token)
    expect(seen.out).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}switch\n1 look-ups\n$/)
    const json = await mafraq('vault', 'access', token, '--json')
    expect(JSON.parse(json.out)).toMatchObject({ token, access: [{ actor: 'switch', found: true }] })
    expect(seen.out + json.out).not.toContain(visa)
  })

  test('hsm status ends with 3 when the switch does not answer', async () => {
    await new Promise((resolve) => http.close(resolve))
    expect(await mafraq('hsm', 'status')).toMatchObject({ code: 3 })
  })
})
