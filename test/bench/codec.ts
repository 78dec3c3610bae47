/**
 * How fast the codec is, as ratios in one run: against `iso_8583` for the plain ASCII layout of 1987, and the BCD
 * dialect against the ASCII one. All our checks are on; theirs checks next to nothing on decoding. Both sides read and
 * write the message alone, without a length before it.
 *
 *     npm run bench:codec [-- --json] [-- --rounds 15] [-- --memory]
 */
import { createRequire } from 'node:module'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import {
  bodyOf,
  compile,
  extend,
  type FieldValue,
  iso87Ascii,
  iso87Bcd,
  lllvar,
  type Message,
  type MessageBody,
  priv,
  text,
} from '../../iso8583/iso8583.ts'

interface TheirMessage {
  getIsoJSON(bytes: Buffer, config: { lenHeader: false }): Record<string, string>
  getRawMessage(): Buffer
}

const Theirs = createRequire(import.meta.url)('iso_8583') as new (message?: object) => TheirMessage

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '15' },
    memory: { type: 'boolean', default: false },
  },
})

// What `iso_8583` can read: its bytes are bytes and its DE55 is text. It always writes a secondary bitmap, so the
// message has an element that needs one.
const plain = extend(iso87Ascii, {
  name: 'bench-ascii',
  defaults: { ...iso87Ascii.defaults, bytes: 'bytes' },
  fields: { 55: priv(lllvar(text.upTo(999))) },
})

const icc =
  '9F2608A1B2C3D4E5F60718' +
  '9F2701809F100706010A03A0A000' +
  '9F370411223344' +
  '9F36020001950580000000009A032611229C01009F02060000000125005F2A020414820219809F1A0204149F03060000000000009F3303E0F0C8'

const fields: Readonly<Record<number, FieldValue>> = {
  2: '4000000000000002',
  3: '000000',
  4: 12_500n,
  7: '1122020304',
  11: '000001',
  12: '050304',
  13: '1122',
  14: '2512',
  18: '5411',
  22: '051',
  25: '00',
  32: '12345678901',
  35: '4000000000000002=25121011000012345',
  37: '632602000001',
  41: 'TERM0001',
  42: 'MERCHANT0000001',
  43: 'Mafraq test shop         Kuwait       KW',
  49: '414',
  52: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
  102: '00012345678901',
}

const asciiBody: MessageBody = { mti: '0200', fields: { ...fields, 55: icc } }
const bcdBody: MessageBody = {
  mti: '0200',
  fields: { ...fields, 55: new Uint8Array(Buffer.from(icc, 'hex')) },
}

const ascii = compile(plain)
const bcd = compile(iso87Bcd)
const asciiBytes = ascii.encode(asciiBody)
const bcdBytes = bcd.encode(bcdBody)

const theirBody: Record<string, string> = { 0: '0200' }
for (const [de, value] of Object.entries(asciiBody.fields)) {
  theirBody[de] =
    typeof value === 'bigint'
      ? value.toString().padStart(12, '0')
      : value instanceof Uint8Array
        ? Buffer.from(value).toString('hex')
        : (value as string)
}

/** The elements a switch looks at before it decides anything: who, what, how much, where. */
const six = [2, 3, 4, 11, 37, 41]

let sink = 0

function readSix(message: Message): void {
  for (const de of six) sink += message.reveal(de) === undefined ? 0 : 1
}

function readAll(message: Message): void {
  if (bodyOf(message).fields[41] !== 'TERM0001') throw new Error('another message was read')
  sink++
}

function theirDecode(): void {
  const json = new Theirs().getIsoJSON(asciiBytes, { lenHeader: false })
  if (json['41'] !== 'TERM0001') throw new Error('iso_8583 reads another message')
  sink++
}

function theirEncode(): void {
  const bytes = new Theirs({ ...theirBody }).getRawMessage()
  if (!Buffer.isBuffer(bytes)) throw new Error('iso_8583 refuses the message')
  sink += bytes.length
}

const contests = {
  decodeSix: { ours: () => readSix(ascii.decode(asciiBytes)), theirs: theirDecode },
  decodeAll: { ours: () => readAll(ascii.decode(asciiBytes)), theirs: theirDecode },
  encode: { ours: () => void (sink += ascii.encode(asciiBody).length), theirs: theirEncode },
  bcdOverAscii: {
    ours: () => readSix(bcd.decode(bcdBytes)),
    theirs: () => readSix(ascii.decode(asciiBytes)),
  },
}

const goals = { decodeSix: 10, decodeAll: 6, encode: 50, bcdOverAscii: 0.5 }

/**
 * Runs for about `ms` of processor time and answers how often a second. Processor time, all threads of ours
 * together: on a machine that others use as well, the clock on the wall measures them.
 */
function rate(run: () => void, ms: number): number {
  const began = process.cpuUsage()
  let count = 0
  let elapsedMs = 0
  do {
    for (let turn = 0; turn < 100; turn++) run()
    count += 100
    const { user, system } = process.cpuUsage(began)
    elapsedMs = (user + system) / 1000
  } while (elapsedMs < ms)
  return (count * 1000) / elapsedMs
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function compare({ ours, theirs }: { ours: () => void; theirs: () => void }, rounds: number) {
  rate(ours, 300)
  rate(theirs, 300)
  const pairs = Array.from({ length: rounds }, () => [rate(ours, 60), rate(theirs, 60)] as const)
  const ratios = pairs.map(([our, their]) => our / their)
  return {
    ours: Math.round(median(pairs.map(([our]) => our))),
    theirs: Math.round(median(pairs.map(([, their]) => their))),
    ratio: Number(median(ratios).toFixed(2)),
    min: Number(Math.min(...ratios).toFixed(2)),
    max: Number(Math.max(...ratios).toFixed(2)),
  }
}

/** Decodes a million messages and answers by how many bytes the heap grew, collected before and after. */
function memory(): number {
  const collect = (globalThis as { gc?: () => void }).gc
  if (collect === undefined) throw new Error('run with node --expose-gc for --memory')
  const turns = (count: number): void => {
    for (let turn = 0; turn < count; turn++) readSix(bcd.decode(bcdBytes))
  }
  turns(100_000)
  collect()
  const before = process.memoryUsage().heapUsed
  turns(1_000_000)
  collect()
  return process.memoryUsage().heapUsed - before
}

if (args.memory) {
  const bytes = memory()
  console.log(
    args.json
      ? JSON.stringify({ heapGrowthBytes: bytes })
      : `heap after 1,000,000 messages: ${bytes} bytes more`,
  )
} else {
  const rounds = Number(args.rounds)
  const results = Object.entries(contests).map(([name, contest]) => [name, compare(contest, rounds)] as const)
  if (args.json) console.log(JSON.stringify(Object.fromEntries(results)))
  else {
    for (const [name, { ours, theirs, ratio, min, max }] of results) {
      const goal = goals[name as keyof typeof goals]
      console.log(
        `${name.padEnd(13)} ${String(ours).padStart(8)}/s against ${String(theirs).padStart(8)}/s  ratio ${ratio} (${min} to ${max}), goal ${goal}`,
      )
    }
    console.log(
      `${asciiBytes.length} bytes ASCII, ${bcdBytes.length} bytes BCD, ${rounds} rounds, load ${loadavg()
        .map((one) => one.toFixed(1))
        .join(' ')}`,
    )
  }
  if (sink === 0) throw new Error('nothing was measured')
}
