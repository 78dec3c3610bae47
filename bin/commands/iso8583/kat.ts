import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import {
  bundledFrames,
  bodyOf,
  type Codec,
  compile,
  type Dialect,
  type FieldValue,
  FrameReader,
  IsoCodecError,
  type Message,
  revealJson,
} from '../../../iso8583/iso8583.ts'
import type { Catalogue } from './catalogue.ts'
import { fileOf, wrongCall } from './input.ts'
import { print } from './messages.ts'

interface Vector {
  readonly id: string
  readonly kind: string
  readonly hex: string
  readonly dialectName: string
  readonly fields?: Readonly<Record<string, string>>
  readonly tags?: readonly Tag[]
  readonly mustReject?: boolean
  readonly expectedError?: string
  readonly bodyLength?: number
  readonly sessionControl?: boolean
}

type Tag = readonly [tag: string, value: string | readonly Tag[]]

/** The dialects that the bundled vectors need and nobody else does. */
const dialectsOfVectors = fileURLToPath(new URL('../../../test/vectors/dialects/', import.meta.url))

/** The answer for one vector: nothing, why it failed, or why it was skipped. */
type Verdict = { readonly kind: 'passed' } | { readonly kind: 'failed' | 'skipped'; readonly why: string }

const passed: Verdict = { kind: 'passed' }
const failed = (why: string): Verdict => ({ kind: 'failed', why })

export function katCommand(catalogue: Catalogue): Command {
  return new Command('kat')
    .description('known answers: runs a file of vectors against the codec')
    .option('--dialects <folder>', 'where the dialects that vectors name are, beside the bundled ones')
    .option('--json', 'one JSON object')
    .argument('<file>', 'the vectors')
    .action((file: string, options: { readonly dialects?: string; readonly json?: true }) => {
      const vectors = vectorsOf(file)
      const folder = options.dialects ?? dialectsOfVectors
      const run = new Run(catalogue, folder)
      const verdicts = vectors.map((vector) => ({ id: vector.id, verdict: run.judge(vector) }))
      const of = (kind: Verdict['kind']) => verdicts.filter(({ verdict }) => verdict.kind === kind)
      const failures = of('failed').map(({ id, verdict }) => ({
        id,
        why: 'why' in verdict ? verdict.why : '',
      }))
      const skips = of('skipped').map(({ id, verdict }) => ({ id, why: 'why' in verdict ? verdict.why : '' }))
      const counts = { passed: of('passed').length, failed: failures.length, skipped: skips.length }
      if (options.json) print({ ...counts, failures, skips }, options)
      else {
        for (const { id, why } of skips) process.stdout.write(`skipped  ${id}: ${why}\n`)
        for (const { id, why } of failures) process.stdout.write(`FAILED   ${id}: ${why}\n`)
        process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
      }
      if (counts.failed > 0) process.exitCode = 1
    })
}

function vectorsOf(file: string): readonly Vector[] {
  const text = fileOf(file).toString()
  try {
    const { vectors } = JSON.parse(text) as { readonly vectors?: unknown }
    if (Array.isArray(vectors)) return vectors as readonly Vector[]
  } catch {
    return wrongCall(`${file} is not JSON.`)
  }
  return wrongCall(`${file} has no list of vectors.`)
}

class Run {
  readonly #catalogue: Catalogue
  readonly #folder: string
  readonly #codecs = new Map<string, Codec | undefined>()

  constructor(catalogue: Catalogue, folder: string) {
    this.#catalogue = catalogue
    this.#folder = folder
  }

  judge(vector: Vector): Verdict {
    const bytes = Buffer.from(vector.hex, 'hex')
    if (vector.kind === 'frame-header') return judgeFrame(vector, bytes)
    const codec = this.#codecOf(vector.dialectName)
    if (codec === undefined) return { kind: 'skipped', why: `no dialect ${vector.dialectName}` }
    const isTlv = vector.dialectName === 'emv-tlv'
    const head = isTlv ? tlvHead(bytes.length) : Buffer.alloc(0)
    const result = codec.tryDecode(Buffer.concat([head, bytes]))
    if (vector.mustReject)
      return result.ok ? failed('is accepted') : judgeError(vector, result.error, head.length)
    if (!result.ok) return failed(result.error.message)
    const problem = isTlv ? tagProblem(vector, result.message) : fieldProblem(codec, vector, result.message)
    if (problem !== undefined) return failed(problem)
    const again = codec.encode(bodyOf(result.message)).subarray(head.length)
    return again.equals(bytes) ? passed : failed('is not written again byte for byte')
  }

  #codecOf(name: string): Codec | undefined {
    if (!this.#codecs.has(name)) this.#codecs.set(name, this.#find(name))
    return this.#codecs.get(name)
  }

  #find(name: string): Codec | undefined {
    const bundled: Dialect | undefined = this.#catalogue.find(name)
    if (bundled !== undefined) return compile(bundled)
    const file = join(this.#folder, `${name}.json`)
    return existsSync(file) ? compile(this.#catalogue.load(file)) : undefined
  }
}

/** Bare BER-TLV is read as the DE55 of a message that has nothing else: MTI, bitmap, three bytes of length. */
function tlvHead(size: number): Buffer {
  return Buffer.from(`01000000000000000200${size.toString(16).padStart(6, '0')}`, 'hex')
}

function judgeFrame({ dialectName, bodyLength = 0, sessionControl = false }: Vector, head: Buffer): Verdict {
  const format = bundledFrames[dialectName]
  if (format === undefined) return { kind: 'skipped', why: `no frame format ${dialectName}` }
  const [frame, ...more] = new FrameReader(format).read(Buffer.concat([head, Buffer.alloc(bodyLength)]))
  if (frame?.body.length !== bodyLength || more.length > 0) return failed('gives another length')
  return frame.control === sessionControl ? passed : failed('is taken for the wrong party')
}

function fieldProblem(codec: Codec, { fields = {} }: Vector, message: Message): string | undefined {
  const { mti, fields: decoded } = revealJson(codec, message)
  const got: Record<string, string> = { 0: mti }
  for (const [de, value] of Object.entries(decoded)) got[de] = joined(value)
  for (const de of new Set([...Object.keys(fields), ...Object.keys(got)])) {
    if (got[de] === fields[de]) continue
    if (got[de] === undefined) return `DE${de} is missing`
    return fields[de] === undefined ? `DE${de} is too much` : `DE${de} has another value`
  }
  return undefined
}

/** Vectors state an element of several parts as one text. */
function joined(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? Object.values(value).map(joined).join('')
    : String(value)
}

function tagProblem({ tags = [] }: Vector, message: Message): string | undefined {
  return sameTags(tags, message.reveal(55)) ? undefined : 'has other tags'
}

function sameTags(expected: string | readonly Tag[], value: FieldValue | undefined): boolean {
  if (typeof expected === 'string') {
    return value instanceof Uint8Array && Buffer.from(value).toString('hex').toUpperCase() === expected
  }
  if (typeof value !== 'object' || value instanceof Uint8Array) return false
  return (
    expected.length === Object.keys(value).length &&
    expected.every(([tag, inner]) => sameTags(inner, value[tag]))
  )
}

/** `TRUNCATED field 3 at offset 36`; codes that are not ours, such as other codecs' own, only ask for a refusal. */
function judgeError({ expectedError = '' }: Vector, error: IsoCodecError, headBytes: number): Verdict {
  const match = /^([A-Z_]+)(?: field (\d+))?(?: at offset (\d+))?$/.exec(expectedError)
  if (match === null) return passed
  const [, code, field, offset] = match
  if (error.code !== code) return failed(`is refused as ${error.code}, not ${code}`)
  if (field !== undefined && error.path !== field)
    return failed(`is refused at DE${error.path}, not DE${field}`)
  if (offset !== undefined && (error.offset ?? 0) - headBytes !== Number(offset)) {
    return failed(`is refused at offset ${(error.offset ?? 0) - headBytes}, not ${offset}`)
  }
  return passed
}
