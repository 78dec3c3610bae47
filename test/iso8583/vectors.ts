import { existsSync, readFileSync } from 'node:fs'
import { bundledDialects, type Codec, compile, dialectFromJson } from '../../iso8583/iso8583.ts'

export interface MessageVector {
  readonly id: string
  readonly kind: string
  readonly hex: string
  readonly dialectName: string
  readonly fields?: Readonly<Record<string, string>>
  readonly mustReject?: true
  readonly expectedError?: string
}

const folder = new URL('../vectors/', import.meta.url)

const all = (
  JSON.parse(readFileSync(new URL('iso8583.json', folder), 'utf8')) as { vectors: readonly MessageVector[] }
).vectors

/** Known answers from public sources; where each comes from is in the file. */
export const messageVectors = all.filter(({ kind }) => kind === 'message')
export const malformedVectors = all.filter(
  ({ kind, dialectName }) => kind === 'malformed' && dialectName !== 'emv-tlv',
)

const codecs = new Map<string, Codec>()

export function codecOf(name: string): Codec {
  let codec = codecs.get(name)
  if (codec === undefined) {
    const file = new URL(`dialects/${name}.json`, folder)
    const find = (base: string) => bundledDialects[base]
    const dialect = existsSync(file)
      ? dialectFromJson(JSON.parse(readFileSync(file, 'utf8')) as unknown, find)
      : bundledDialects[name]!
    codec = compile(dialect)
    codecs.set(name, codec)
  }
  return codec
}

/** Parts of an element put together, as the vectors state them. */
export function joined(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? Object.values(value).map(joined).join('')
    : String(value)
}
