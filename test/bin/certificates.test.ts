import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { Certificates } from '../../bin/environment/certificates.ts'
import type { TlsMaterial } from '../../iso8583/iso8583.ts'
import { TestAuthority } from '../../bin/environment/test-authority.ts'
import { ManualClock } from '../support/manual-clock.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

const authority = new TestAuthority()

function world(untilDays: number) {
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-certificates-'))
  folders.push(folder)
  const files = { key: join(folder, 'key'), certificate: join(folder, 'certificate'), ca: join(folder, 'ca') }
  const write = (material: TlsMaterial): void => {
    for (const name of ['key', 'certificate', 'ca'] as const) writeFileSync(files[name], material[name])
  }
  write(authority.material({ name: 'switch.test', untilDays }))
  const said: unknown[] = []
  const at = (level: string) => (details: object) => void said.push([level, details])
  const clock = new ManualClock(Date.now())
  const certificates = new Certificates(clock, { info: at('info'), warn: at('warn'), error: at('error') })
  return { certificates, files, write, said, clock }
}

test('the files of a certificate are read once for all who use them, and again when somebody says so', () => {
  const { certificates, files, write, said, clock } = world(90)
  const credentials = certificates.open(files)
  expect(certificates.open({ ...files })).toBe(credentials)
  const { expiresAt } = credentials
  write(authority.material({ name: 'switch.test', untilDays: 200 }))
  certificates.reload()
  expect(credentials.expiresAt).toBeGreaterThan(expiresAt)
  expect(said).toMatchObject([['info', { certificate: files.certificate }]])
  certificates.close()
  expect(clock.waiting).toBe(0)
})

test('files that make no sense are not taken, and say so; a process does not start with them', () => {
  const { certificates, files, write, said } = world(90)
  const credentials = certificates.open(files)
  const { expiresAt } = credentials
  write({ ...authority.material({ name: 'switch.test' }), key: authority.issue({ name: 'other' }).key })
  certificates.reload()
  expect(credentials.expiresAt).toBe(expiresAt)
  expect(said).toMatchObject([
    ['error', { alarm: 'certificateRefused', fault: { kind: 'credentials', why: 'keyMismatch' } }],
  ])
  expect(() => certificates.open({ ...files, ca: files.certificate + '.missing' })).toThrow('unreadable')
})

test('an end that is near is an alarm, louder in the last week', () => {
  const { certificates, files, said, clock } = world(10)
  certificates.open(files)
  clock.advance(4 * 86_400_000)
  expect(said).toMatchObject([
    ['warn', { alarm: 'certificateEnds', daysLeft: 14 }],
    ['error', { alarm: 'certificateEnds', daysLeft: 7 }],
  ])
})
