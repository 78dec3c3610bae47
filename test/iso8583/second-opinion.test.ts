/** Checks that are not of our own making: another codec and another program's dissector read what we write. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  bodyOf,
  compile,
  extend,
  iso87Ascii,
  iso87AsciiHex,
  lllvar,
  priv,
  text,
} from '../../iso8583/iso8583.ts'
import { purchase } from './messages.ts'

interface Iso8583 {
  getIsoJSON(bytes: Buffer, config: { lenHeader: false }): Record<string, string>
  getRawMessage(): Buffer
}
const Iso8583Js = createRequire(import.meta.url)('iso_8583') as new (message?: object) => Iso8583

// The layout that iso_8583 has built in: bytes as bytes, DE55 as text, always two bitmaps.
const plain = compile(
  extend(iso87Ascii, {
    name: 'plain-1987',
    defaults: { ...iso87Ascii.defaults, bytes: 'bytes' },
    fields: { 55: priv(lllvar(text.upTo(999))) },
  }),
)

const body = purchase({ 55: '9F2608A1B2C3D4E5F60718', 102: '00012345678901' })

test('iso_8583 reads the same values from our bytes', () => {
  const theirs = new Iso8583Js().getIsoJSON(plain.encode(body), { lenHeader: false })
  for (const [de, value] of Object.entries(body.fields)) {
    const expected =
      value instanceof Uint8Array
        ? Buffer.from(value).toString('hex')
        : typeof value === 'bigint'
          ? value.toString().padStart(12, '0')
          : value
    expect(theirs[de], `DE${de}`).toBe(expected)
  }
})

test('we read the same values from the bytes of iso_8583, and write the same bytes', () => {
  const fields = Object.entries(body.fields).map(([de, value]) => [
    de,
    value instanceof Uint8Array
      ? Buffer.from(value).toString('hex')
      : typeof value === 'bigint'
        ? value.toString().padStart(12, '0')
        : value,
  ])
  const theirs = new Iso8583Js({
    0: '0200',
    ...(Object.fromEntries(fields) as Record<string, string>),
  }).getRawMessage()
  expect(bodyOf(plain.decode(theirs))).toEqual(body)
  expect(plain.encode(body as never).equals(theirs)).toBe(true)
})

const isInstalled = ['tshark', 'text2pcap'].every((program) => spawnSync(program, ['-v']).status === 0)

test('the dissector of tshark reads every element of the ASCII dialect, and calls nothing malformed', (context) => {
  if (!isInstalled) return context.skip('tshark and text2pcap are not installed: apt-get install tshark')
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-tshark-'))
  try {
    const message = purchase({ 64: Uint8Array.from([0xa1, 2, 3, 4, 5, 6, 7, 0xf8]) })
    const bytes = compile(iso87AsciiHex).encode(message)
    const framed = Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
    const lines = framed
      .toString('hex')
      .match(/.{1,32}/g)!
      .map((line, nth) => `${(nth * 16).toString(16).padStart(6, '0')} ${line.replace(/../g, '$& ')}`)
    writeFileSync(join(folder, 'message.txt'), `${lines.join('\n')}\n`)
    execFileSync('text2pcap', ['-q', '-T', '5000,8583', 'message.txt', 'message.pcap'], {
      cwd: folder,
      stdio: 'ignore',
    })
    const dissected = execFileSync(
      'tshark',
      [
        '-r',
        'message.pcap',
        '-d',
        'tcp.port==8583,iso8583',
        '-o',
        'iso8583.len_endian:Big endian',
        '-V',
        '-O',
        'iso8583',
      ],
      { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] },
    ).toString()
    expect(dissected).not.toMatch(/malformed/i)
    for (const de of Object.keys(message.fields)) expect(dissected).toContain(`Bit ${de}: `)
    for (const value of ['000000012500', '632602000001', 'DEADBEEF01020304', 'A1020304050607F8']) {
      expect(dissected).toContain(value)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
