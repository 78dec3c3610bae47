import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { Canaries, Scan, scanDatabase, scanFolder } from '../../bin/environment/canary.ts'
import type { Hit } from '../../bin/environment/canary.ts'
import type { Canary } from '../../bin/environment/canary-forms.ts'
import { seededRandom } from '../../kernel/random.ts'
import { openTestDatabase } from '../support/postgres.ts'

const pan = '8888880000000001'
const longPan = '6011111111111111117'
const track = '8888880000000001=30092011'
const pinBlock = '9F3C51A27788D0E4'

const planted: readonly Canary[] = [
  { kind: 'pan', name: 'card', value: pan },
  { kind: 'pan', name: 'nineteen', value: longPan },
  { kind: 'track', name: 'stripe', value: track },
  { kind: 'pinBlock', name: 'block', value: pinBlock },
]
const canaries = new Canaries(planted)

const folder = mkdtempSync(join(tmpdir(), 'mafraq-canary-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ebcdicDigits = (text: string): Buffer => Buffer.from(text.replace(/[0-9]/g, 'f$&'), 'hex')

/** What a leak may look like, by the encoding that must be named. */
const leaks: readonly (readonly [encoding: string, name: string, leak: Buffer])[] = [
  ['text', 'card', Buffer.from(pan)],
  ['text', 'nineteen', Buffer.from(longPan)],
  ['text', 'stripe', Buffer.from(track)],
  ['text', 'stripe', Buffer.from(track.replace('=', 'D'))],
  ['text', 'block', Buffer.from(pinBlock)],
  ['text', 'block', Buffer.from(pinBlock.toLowerCase())],
  ['hex', 'card', Buffer.from(Buffer.from(pan).toString('hex'))],
  ['hex', 'stripe', Buffer.from(Buffer.from(track).toString('hex').toUpperCase())],
  ['hex', 'block', Buffer.from(Buffer.from(pinBlock).toString('hex'))],
  ['ebcdic', 'card', ebcdicDigits(pan)],
  ['ebcdic', 'nineteen', ebcdicDigits(longPan)],
  ['utf16', 'card', Buffer.from(pan, 'utf16le')],
  ['utf16', 'card', Buffer.from(pan, 'utf16le').swap16()],
  ['reversed', 'card', Buffer.from(pan).reverse()],
  ['packed', 'card', Buffer.from(pan, 'hex')],
  ['packed', 'card', Buffer.from(`1${pan}f`, 'hex')],
  ['packed', 'nineteen', Buffer.from(`${longPan}f`, 'hex')],
  ['packed', 'nineteen', Buffer.from(`0${longPan}`, 'hex')],
  ['packed', 'stripe', Buffer.from(`${track.replace('=', 'D')}F`, 'hex')],
  ['packed', 'block', Buffer.from(pinBlock, 'hex')],
  ['separated', 'card', Buffer.from('8888 8800 0000 0001')],
  ['separated', 'card', Buffer.from('8888-8800-0000-0001')],
  ...[0, 1, 2].flatMap((before) => {
    const base64 = (bytes: Buffer): Buffer =>
      Buffer.from(Buffer.concat([Buffer.alloc(before, 7), bytes, Buffer.alloc(3, 7)]).toString('base64'))
    return [
      ['base64', 'card', base64(Buffer.from(pan))],
      ['base64', 'card', base64(Buffer.from(pan, 'hex'))],
      ['base64', 'block', base64(Buffer.from(pinBlock, 'hex'))],
      ['base64', 'stripe', base64(Buffer.from(track))],
    ] as const
  }),
]

test.each(leaks.map(([encoding, name, leak], index) => ({ encoding, name, leak, index })))(
  'a leak of $name as $encoding is found (form $index)',
  ({ encoding, name, leak }) => {
    const noise = seededRandom(1)
    const hits = scanned([noise.bytes(999), leak, noise.bytes(999)])
    expect(hits).toContainEqual(expect.objectContaining({ encoding, name }))
    for (const hit of hits) expect(JSON.stringify(hit)).not.toContain(pan)
  },
)

test('however the stream is cut, the same leaks are found at the same places', () => {
  const stream = Buffer.concat(leaks.flatMap(([, , leak]) => [leak, Buffer.from('\n')]))
  const whole = scanned([stream])
  expect(whole.length).toBeGreaterThan(leaks.length)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), (pieceBytes) => {
      const pieces: Buffer[] = []
      for (let at = 0; at < stream.length; at += pieceBytes) pieces.push(stream.subarray(at, at + pieceBytes))
      expect(scanned(pieces)).toEqual(whole)
    }),
  )
})

test('a masked number, another number and noise are not taken for a leak', () => {
  const innocent = [
    '888888******0001 8888880000000002 888888000000000',
    '8888 8800\n0000 0001',
    `${pan.slice(0, 8)}x${pan.slice(8)}`,
    '2026-11-22T01:02:03.456789Z 1764000000000000',
  ]
  expect(scanned(innocent.map((text) => Buffer.from(`${text}\n`)))).toEqual([])
  expect(scanned([seededRandom(2).bytes(2_000_000), Buffer.alloc(1_000_000)])).toEqual([])
})

test('a page of a free space map in the log of writes is not taken for a leak, and what looks like no map is', async () => {
  const repeated = '5454545454545454'
  const both = new Canaries([...planted, { kind: 'pan', name: 'repeated', value: repeated }])
  const root = mkdtempSync(join(tmpdir(), 'mafraq-wal-'))
  mkdirSync(join(root, 'pg_wal'))
  const page = Buffer.concat([
    Buffer.from('5555545455', 'hex'),
    Buffer.alloc(40, 0x54),
    Buffer.from('67a0', 'hex'),
  ])
  writeFileSync(join(root, 'pg_wal', 'map'), page)
  expect((await scanFolder(root, both)).hits).toEqual([])
  writeFileSync(join(root, 'pg_wal', 'leak'), `${repeated}\n${pan}\n`)
  writeFileSync(join(root, 'pg_wal', 'packed'), Buffer.from(pan, 'hex'))
  writeFileSync(join(root, 'table'), Buffer.from(repeated, 'hex'))
  const found = (await scanFolder(root, both)).hits.map(
    ({ encoding, file, name }) => `${file} ${encoding} ${name}`,
  )
  expect(found.sort()).toEqual([
    'pg_wal/leak text card',
    'pg_wal/leak text repeated',
    'pg_wal/packed packed card',
    'table packed repeated',
  ])
  rmSync(root, { recursive: true })
})

test('every file of a folder is searched, those behind a link too, and each hit names its file', async () => {
  const behind = mkdtempSync(join(tmpdir(), 'mafraq-behind-'))
  mkdirSync(join(folder, 'logs/deep'), { recursive: true })
  writeFileSync(join(folder, 'logs/deep/switch.log'), `{"text":"card ${pan} refused"}\n`)
  writeFileSync(join(folder, 'clean.log'), 'card 888888******0001 refused\n')
  writeFileSync(join(behind, 'segment'), Buffer.concat([Buffer.alloc(3_000_000), Buffer.from(pan, 'hex')]))
  symlinkSync(behind, join(folder, 'pg'))
  symlinkSync(folder, join(folder, 'circle'))
  try {
    const { hits, files, bytes } = await scanFolder(folder, canaries)
    expect(hits.map(({ file, encoding }) => `${file} ${encoding}`).sort()).toEqual([
      'logs/deep/switch.log text',
      'pg/segment packed',
    ])
    expect(files).toBe(3)
    expect(bytes).toBeGreaterThan(3_000_000)
  } finally {
    rmSync(behind, { recursive: true })
  }
})

test('every row of a database is searched, whatever the type of its column', async () => {
  const { url, close } = await openTestDatabase()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('CREATE TABLE public.leaky (id int, note text, detail jsonb, raw bytea)')
    await client.query('CREATE TABLE public.clean (note text)')
    await client.query("INSERT INTO public.clean VALUES ('888888******0001')")
    expect((await scanDatabase(url, canaries)).hits).toEqual([])

    // Long and monotonous, so that the server stores it compressed and no file holds it in the clear.
    await client.query('INSERT INTO public.leaky VALUES (1, $1, NULL, NULL)', [`${'x'.repeat(9_000)}${pan}`])
    await client.query('INSERT INTO public.leaky VALUES (2, NULL, $1, NULL)', [{ inner: { pan } }])
    await client.query('INSERT INTO public.leaky VALUES (3, NULL, NULL, $1)', [Buffer.from(pinBlock, 'hex')])
    const { hits } = await scanDatabase(url, canaries)
    expect(hits.map(({ file, kind }) => `${file} ${kind}`)).toEqual([
      'public.leaky pan',
      'public.leaky pan',
      'public.leaky pinBlock',
    ])
  } finally {
    await client.end()
    await close()
  }
})

function scanned(pieces: readonly Buffer[]): readonly Hit[] {
  const scan = new Scan(canaries, 'stream', 10_000)
  for (const piece of pieces) scan.push(piece)
  return [...scan.hits].sort(
    (one, other) => one.endsAt - other.endsAt || one.encoding.localeCompare(other.encoding),
  )
}
