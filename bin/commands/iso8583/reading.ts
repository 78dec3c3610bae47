import { Command, Option } from 'commander'
import { type Codec, diff, explain, type Message, type Span } from '../../../iso8583/iso8583.ts'
import type { Catalogue } from './catalogue.ts'
import { bytesOf, inputOptions, type InputOptions, wrongCall } from './input.ts'
import { dialectOption, fail, print } from './messages.ts'

interface Options extends InputOptions {
  readonly dialect: Codec
  readonly json?: true
}

export function describeCommand(catalogue: Catalogue): Command {
  return inputOptions(new Command('describe'))
    .description('a message in one masked line, as logs have it')
    .addOption(dialectOption(catalogue))
    .option('--json', 'one JSON object')
    .argument('[input]', 'the message')
    .action((input: string | undefined, options: Options) => {
      const decoded = options.dialect.tryDecode(bytesOf(input, options))
      if (!decoded.ok) return fail(decoded.error, options)
      const described = options.dialect.describe(decoded.message)
      if (options.json) print({ described }, options)
      else process.stdout.write(`${described}\n`)
    })
}

export function diffCommand(catalogue: Catalogue): Command {
  return new Command('diff')
    .description('where two messages differ, masked')
    .addOption(dialectOption(catalogue))
    .option('--base64', 'the messages are base64')
    .option('--json', 'one JSON object')
    .argument('<left>', 'one message')
    .argument('<right>', 'the other')
    .action((left: string, right: string, options: Options) => {
      const was = side('left', left, options)
      const is = was && side('right', right, options)
      if (was === undefined || is === undefined) return
      const found = diff(options.dialect, was, is)
      if (options.json) print({ differences: found }, options)
      for (const { path, left: before, right: after } of options.json ? [] : found) {
        process.stdout.write(`${path.padEnd(12)} ${told(before)}  ->  ${told(after)}\n`)
      }
      if (found.length > 0) process.exitCode = 1
    })
}

function side(which: string, input: string, options: Options): Message | undefined {
  const decoded = options.dialect.tryDecode(bytesOf(input, options))
  if (decoded.ok) return decoded.message
  fail(decoded.error, options, which)
  return undefined
}

const told = (value: unknown): string =>
  value === undefined ? '(absent)' : typeof value === 'string' ? value : JSON.stringify(value)

export function explainCommand(catalogue: Catalogue): Command {
  return inputOptions(new Command('explain'))
    .description('every byte of a message beside its element, encoding and masked value')
    .addOption(dialectOption(catalogue))
    .addOption(new Option('--at <offset>', 'only what holds the byte at this offset').argParser(offset))
    .option('--json', 'one JSON object')
    .argument('[input]', 'the message')
    .action((input: string | undefined, options: Options & { readonly at?: number }) => {
      const bytes = bytesOf(input, options)
      const { spans, error } = explain(options.dialect, bytes)
      const { at } = options
      const shown = at === undefined ? spans : spans.filter(({ start, end }) => start <= at && at < end)
      if (options.json) print({ spans: shown, ...(error && { error }) }, options)
      else for (const line of table(shown, bytes, options.dialect)) process.stdout.write(`${line}\n`)
      if (error === undefined) return
      if (!options.json) process.stdout.write(`${error.message}\n`)
      process.exitCode = 1
    })
}

function offset(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : wrongCall('--at is a number of bytes from the start.')
}

/** Sensitive bytes are no more shown in hexadecimal than their values are. */
function table(spans: readonly Span[], bytes: Buffer, codec: Codec): readonly string[] {
  const head = ['OFFSET', 'BYTES', 'ELEMENT', 'FORMAT', 'WRITTEN', 'VALUE']
  const rows = spans.map(({ path, start, end, title, format, writing, value }) => [
    `${start}-${end - 1}`,
    isHidden(path, value, codec) ? `(${end - start} bytes)` : shortHex(bytes.subarray(start, end)),
    `${path}${title === '' ? '' : ` ${title}`}`,
    format,
    writing,
    value === undefined ? '' : told(value),
  ])
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.min(44, Math.max(...all.map((row) => row[column]!.length))))
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}

function isHidden(path: string, value: unknown, codec: Codec): boolean {
  const field = codec.dialect.fields[Number(path.split('.')[0])]
  if (field === undefined) return false
  if (field.sensitive !== undefined && field.sensitive !== 'emv') return true
  // Of what holds tags, each tag is shown or hidden by itself; nested values may hide anywhere inside.
  return value === undefined || JSON.stringify(value).includes('"[')
}

function shortHex(bytes: Buffer): string {
  const hex = bytes.toString('hex').toUpperCase()
  return hex.length <= 40 ? hex : `${hex.slice(0, 38)}…`
}
