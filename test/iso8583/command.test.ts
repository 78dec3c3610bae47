import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommanderError } from 'commander'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { iso8583Command } from '../../bin/commands/iso8583.ts'
import { compile, extend, iso87Ascii, iso87Bcd } from '../../iso8583/iso8583.ts'
import { pan, purchase } from './messages.ts'

const folder = mkdtempSync(join(tmpdir(), 'mafraq-codec-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => void (process.exitCode = 0))

const extra = extend(iso87Bcd, { name: 'extra-dialect' })

/** Runs the command in this process. `code` as the shell would see it. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' }
  const out = vi
    .spyOn(process.stdout, 'write')
    .mockImplementation((text) => ((written.out += String(text)), true))
  const err = vi
    .spyOn(process.stderr, 'write')
    .mockImplementation((text) => ((written.err += String(text)), true))
  process.exitCode = 0
  try {
    const command = iso8583Command({ [extra.name]: extra })
    for (const one of [command, ...command.commands]) one.exitOverride()
    await command.parseAsync(args, { from: 'user' })
    return { code: process.exitCode, ...written }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return { code: 2, ...written }
  } finally {
    out.mockRestore()
    err.mockRestore()
  }
}

const hex = compile(iso87Bcd).encode(purchase()).toString('hex')

test('decode prints the masked message as JSON, and the clear one when asked', async () => {
  const masked = await run('decode', '--dialect', 'iso87-bcd', '--json', hex)
  expect(masked.code).toBe(0)
  expect(masked.out.split('\n')).toHaveLength(2)
  expect(JSON.parse(masked.out)).toMatchObject({
    mti: '0200',
    fields: {
      2: '400000******0002',
      4: '000000012500',
      52: '[secret]',
      55: { '5A': '[emv]', '9F26': '0102030405060708' },
    },
  })
  expect(masked.out).not.toContain(pan)

  const clear = await run('decode', '--dialect', 'iso87-bcd', '--json', '--reveal', hex.toUpperCase())
  expect(JSON.parse(clear.out)).toMatchObject({
    fields: { 2: pan, 52: 'DEADBEEF01020304', 55: { '5A': pan } },
  })
})

test('what decode reveals, encode takes', async () => {
  const clear = await run('decode', '--dialect', 'iso87-bcd', '--json', '--reveal', hex)
  const again = await run('encode', '--dialect', 'iso87-ascii', clear.out)
  expect(again).toMatchObject({ code: 0 })
  const ascii = compile(iso87Ascii)
  expect(ascii.decode(Buffer.from(again.out.trim(), 'hex')).reveal(2)).toBe(pan)
})

test('a message that is wrong is an error object and exit code 1', async () => {
  const { code, out } = await run('decode', '--dialect', 'iso87-bcd', '--json', hex.slice(0, 60))
  expect(code).toBe(1)
  expect(JSON.parse(out)).toEqual({ error: { code: 'TRUNCATED', path: '7', offset: 28, need: 5, have: 2 } })
  const { err } = await run('decode', '--dialect', 'iso87-bcd', hex.slice(0, 60))
  expect(err).toBe('DE7 needs 5 bytes at offset 28, 2 left (dialect iso87-bcd)\n')
})

test('a body that cannot be encoded is an error object that does not say the value', async () => {
  const body = { mti: '0200', fields: { 2: `${pan}0000` } }
  const { code, out, err } = await run('encode', '--dialect', 'iso87-bcd', '--json', JSON.stringify(body))
  expect(code).toBe(1)
  expect(JSON.parse(out)).toEqual({ error: { code: 'VALUE_TOO_LONG', path: '2', need: 19, have: 20 } })
  expect(out + err).not.toContain(pan)
})

test.each([
  ['no dialect', ['decode', hex]],
  ['a dialect that is neither bundled nor a file', ['decode', '--dialect', 'nobody-knows', hex]],
  ['a message that is not hexadecimal', ['decode', '--dialect', 'iso87-bcd', 'xyz']],
  ['half a byte', ['decode', '--dialect', 'iso87-bcd', '020']],
  ['no message', ['decode', '--dialect', 'iso87-bcd']],
  ['a message and a file', ['decode', '--dialect', 'iso87-bcd', '--file', 'x', hex]],
  ['a file that is not there', ['decode', '--dialect', 'iso87-bcd', '--file', '/nowhere/at-all']],
  ['vectors that are not there', ['kat', '/nowhere/at-all']],
  ['vectors that are none', ['kat', 'package.json']],
  ['vectors that are not JSON', ['kat', 'README.md']],
])('%s is a wrong call', async (_what, args) => {
  const { code, err } = await run(...args)
  expect(code).toBe(2)
  expect(err).not.toBe('')
})

test('JSON that is none is an error that does not repeat it', async () => {
  const { code, out, err } = await run(
    'encode',
    '--dialect',
    'iso87-bcd',
    `{"mti": "0200", "fields": {"2": ${pan}`,
  )
  expect(code).toBe(2)
  expect(err).toContain('not JSON')
  expect(out + err).not.toContain(pan)
})

test("networks' dialects are found by name, and private ones by file", async () => {
  expect((await run('decode', '--dialect', 'extra-dialect', hex)).code).toBe(0)
  const file = join(folder, 'private.json')
  writeFileSync(file, JSON.stringify({ name: 'private', extends: 'extra-dialect', fields: { 55: null } }))
  const { code, out } = await run('decode', '--dialect', file, '--json', hex)
  expect(code).toBe(1)
  expect(JSON.parse(out)).toMatchObject({ error: { code: 'FIELD_NOT_IN_SPEC', path: '55' } })
  writeFileSync(file, '{')
  expect((await run('decode', '--dialect', file, hex)).code).toBe(2)
})

test('a message is also read from base64 and from files', async () => {
  const base64 = Buffer.from(hex, 'hex').toString('base64')
  expect((await run('decode', '--dialect', 'iso87-bcd', '--base64', base64)).code).toBe(0)
  const file = join(folder, 'message')
  for (const content of [Buffer.from(hex, 'hex'), `${hex}\n`]) {
    writeFileSync(file, content)
    expect((await run('decode', '--dialect', 'iso87-bcd', '--file', file)).code).toBe(0)
  }
})

test('kat runs the known answers: every one passes, and none is skipped', async () => {
  const vectors = new URL('../vectors/iso8583.json', import.meta.url).pathname
  const { code, out } = await run('kat', vectors, '--json')
  expect(code).toBe(0)
  const all = (JSON.parse(readFileSync(vectors, 'utf8')) as { vectors: unknown[] }).vectors.length
  expect(JSON.parse(out)).toEqual({ passed: all, failed: 0, skipped: 0, failures: [], skips: [] })
  expect((await run('kat', vectors)).out.trim()).toBe(`${all} passed, 0 failed, 0 skipped`)
})

test('kat looks for dialects in the folder it is given, and skips a vector by name whose dialect is nowhere', async () => {
  const vectors = new URL('../vectors/iso8583.json', import.meta.url).pathname
  const { out } = await run('kat', vectors, '--dialects', folder, '--json')
  const { failed, skips } = JSON.parse(out) as { failed: number; skips: { id: string; why: string }[] }
  expect(failed).toBe(0)
  expect(skips).toContainEqual({ id: 'jpos-iso87apackager', why: 'no dialect vector-iso87a' })
})

test('kat fails a vector whose values, bytes or error are others', async () => {
  const file = join(folder, 'vectors.json')
  const vectors = [
    { id: 'value', kind: 'message', hex, dialectName: 'iso87-bcd', fields: { 0: '0200', 3: '111111' } },
    { id: 'accepted', kind: 'malformed', hex, dialectName: 'iso87-bcd', mustReject: true },
    {
      id: 'code',
      kind: 'malformed',
      hex: '02',
      dialectName: 'iso87-bcd',
      mustReject: true,
      expectedError: 'BAD_BITMAP at offset 1',
    },
    { id: 'nobody', kind: 'message', hex, dialectName: 'nobody-knows' },
  ]
  writeFileSync(file, JSON.stringify({ vectors }))
  const { code, out } = await run('kat', file, '--json')
  expect(code).toBe(1)
  expect(JSON.parse(out)).toMatchObject({
    passed: 0,
    failed: 3,
    skipped: 1,
    failures: [{ id: 'value' }, { id: 'accepted' }, { id: 'code' }],
  })
  expect(out).not.toContain(pan)
})

test('explain shows every byte range once, in order, and no sensitive byte', async () => {
  const { code, out } = await run('explain', '--dialect', 'iso87-bcd', '--json', hex)
  expect(code).toBe(0)
  const { spans } = JSON.parse(out) as { spans: { path: string; start: number; end: number }[] }
  const elements = spans.filter(({ path }) => !path.includes('.'))
  let at = 0
  for (const { start, end } of elements) {
    expect(start).toBe(at)
    at = end
  }
  expect(at).toBe(hex.length / 2)
  expect(spans.map(({ path }) => path)).toContain('55.9F26')

  const text = await run('explain', '--dialect', 'iso87-bcd', hex)
  expect(text.out).not.toMatch(/4000000000|DEADBEEF/)
  const one = await run('explain', '--dialect', 'iso87-bcd', '--at', '0', hex)
  expect(one.out.trim().split('\n')).toHaveLength(2)
  const cut = await run('explain', '--dialect', 'iso87-bcd', hex.slice(0, 60))
  expect(cut.code).toBe(1)
  expect(cut.out).toContain('DE7 needs 5 bytes at offset 28, 2 left')
})

test('diff names the elements that differ, masked; describe prints one masked line', async () => {
  const other = compile(iso87Bcd)
    .encode(purchase({ 4: 1n, 2: '4000000000000010' }))
    .toString('hex')
  const { code, out } = await run('diff', '--dialect', 'iso87-bcd', '--json', hex, other)
  expect(code).toBe(1)
  expect(JSON.parse(out)).toEqual({
    differences: [
      { path: '2', left: '400000******0002', right: '400000******0010' },
      { path: '4', left: '000000012500', right: '000000000001' },
    ],
  })
  expect((await run('diff', '--dialect', 'iso87-bcd', hex, hex)).code).toBe(0)
  const cut = await run('diff', '--dialect', 'iso87-bcd', '--json', hex, hex.slice(0, -2))
  expect(cut.code).toBe(1)
  expect(JSON.parse(cut.out)).toMatchObject({ error: { which: 'right', code: 'TRUNCATED' } })
  const described = await run('describe', '--dialect', 'iso87-bcd', hex)
  expect(described.out).toMatch(/^0200 2=400000\*{6}0002 /)
})

test('dialects lists what is known, and what each changes in its base', async () => {
  const { out } = await run('dialects', '--json')
  const { dialects } = JSON.parse(out) as { dialects: { name: string; base?: string }[] }
  expect(dialects.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['iso87-ascii', 'iso87-bcd', 'iso93-bcd', 'extra-dialect']),
  )
  expect((await run('dialects')).out).toContain('iso87-bcd but for its name')
})
