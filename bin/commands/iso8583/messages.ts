import { Command, Option } from 'commander'
import { bodyFromJson, type Codec, IsoCodecError, revealJson } from '../../../iso8583/iso8583.ts'
import type { Catalogue } from './catalogue.ts'
import { bytesOf, fileOf, inputOptions, type InputOptions, wrongCall } from './input.ts'

interface DecodeOptions extends InputOptions {
  readonly dialect: Codec
  readonly json?: true
  readonly reveal?: true
}

export function decodeCommand(catalogue: Catalogue): Command {
  return inputOptions(new Command('decode'))
    .description('a message as JSON: masked, unless --reveal is given')
    .addOption(dialectOption(catalogue))
    .option('--json', 'on one line')
    .option('--reveal', 'clear values: card numbers, track data, PIN blocks')
    .argument('[input]', 'the message: hexadecimal, or what --base64 or --file say')
    .action((input: string | undefined, options: DecodeOptions) => {
      const decoded = options.dialect.tryDecode(bytesOf(input, options))
      if (!decoded.ok) return fail(decoded.error, options)
      const { message } = decoded
      print(options.reveal ? revealJson(options.dialect, message) : message.toJSON(), options)
    })
}

interface EncodeOptions {
  readonly dialect: Codec
  readonly json?: true
}

export function encodeCommand(catalogue: Catalogue): Command {
  return new Command('encode')
    .description('a message from JSON as hexadecimal')
    .addOption(dialectOption(catalogue))
    .option('--json', 'errors on one line')
    .argument('<json>', '{"mti": "0800", "fields": {"7": "1122020304", …}}; - is standard input')
    .action((json: string, options: EncodeOptions) => {
      try {
        const body = bodyFromJson(options.dialect, parsed(json === '-' ? fileOf('-').toString() : json))
        process.stdout.write(`${options.dialect.encode(body).toString('hex').toUpperCase()}\n`)
      } catch (error) {
        if (!(error instanceof IsoCodecError)) throw error
        fail(error, options)
      }
    })
}

export function dialectOption(catalogue: Catalogue): Option {
  return new Option('--dialect <name|file>', 'a dialect by name, or a JSON file of one')
    .argParser(catalogue.codec)
    .makeOptionMandatory()
}

export function print(value: unknown, { json }: { readonly json?: true }): void {
  process.stdout.write(`${JSON.stringify(value, null, json ? 0 : 2)}\n`)
}

/**
 * What is wrong with the message: the command did its work, and the answer is no. A person is told in a sentence too.
 * `which`: of several, that one.
 */
export function fail(error: IsoCodecError, options: { readonly json?: true }, which?: string): void {
  const { code, path, offset, need, have } = error
  if (!options.json) process.stderr.write(`${which === undefined ? '' : `${which}: `}${error.message}\n`)
  print({ error: { ...(which !== undefined && { which }), code, path, offset, need, have } }, options)
  process.exitCode = 1
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // The parser's own words quote the text, which holds clear values.
    return wrongCall('the message is not JSON.')
  }
}
