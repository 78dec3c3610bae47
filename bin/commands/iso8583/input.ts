import { readFileSync } from 'node:fs'
import { type Command, CommanderError } from 'commander'

export interface InputOptions {
  readonly base64?: true
  readonly file?: string
}

export function inputOptions(command: Command): Command {
  return command
    .option('--base64', 'the input is base64')
    .option('--file <path>', 'read the bytes from a file; - is standard input')
}

/** The bytes a command is about. Blanks and line breaks between digits mean nothing. */
export function bytesOf(input: string | undefined, { base64, file }: InputOptions): Buffer {
  if (file !== undefined && input !== undefined) return wrongCall('give a message or --file, not both.')
  if (file !== undefined) return fromFile(file)
  if (input === undefined || input === '') return wrongCall('give a message, or --file.')
  const text = input.replace(/\s+/g, '')
  if (base64) {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0)
      return wrongCall('the message is not base64.')
    return Buffer.from(text, 'base64')
  }
  if (!/^([0-9A-Fa-f]{2})*$/.test(text))
    return wrongCall(
      'the message is not hexadecimal, two digits a byte (--base64 and --file take other forms).',
    )
  return Buffer.from(text, 'hex')
}

/** A file holds the bytes themselves, or nothing but hexadecimal digits. */
function fromFile(path: string): Buffer {
  const bytes = fileOf(path)
  const text = bytes.toString('latin1').replace(/\s+/g, '')
  return text.length > 0 && /^([0-9A-Fa-f]{2})+$/.test(text) ? Buffer.from(text, 'hex') : bytes
}

/** A file's bytes, or those of standard input; one that cannot be read is a wrong call. */
export function fileOf(path: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    return wrongCall(`cannot read ${path} (${code}).`)
  }
}

/** Says what was wrong with the call, and ends it with the exit code for that. */
export function wrongCall(why: string): never {
  process.stderr.write(`error: ${why}\n`)
  throw new CommanderError(2, 'mafraq.wrongCall', why)
}
