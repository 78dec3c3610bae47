import { existsSync, readFileSync } from 'node:fs'
import { bundledDialects, type Codec, compile, dialectFromJson, explain } from '../../iso8583/iso8583.ts'

/** A message to start from, and where its parts lie. */
export interface Seed {
  readonly codec: Codec
  readonly bytes: Buffer
  readonly starts: readonly number[]
}

const folder = new URL('../vectors/dialects/', import.meta.url)

/** The committed seeds: known answers, and messages of every bundled dialect, nested data and all. */
export function loadSeeds(): readonly Seed[] {
  const text = readFileSync(new URL('corpus.json', import.meta.url), 'utf8')
  const entries = JSON.parse(text) as readonly (readonly [dialect: string, hex: string])[]
  const codecs = new Map<string, Codec>()
  return entries.map(([name, hex]) => {
    const codec = codecs.get(name) ?? compile(dialectOf(name))
    codecs.set(name, codec)
    const bytes = Buffer.from(hex, 'hex')
    return { codec, bytes, starts: explain(codec, bytes).spans.map(({ start }) => start) }
  })
}

function dialectOf(name: string) {
  const file = new URL(`${name}.json`, folder)
  const bundled = bundledDialects[name]
  if (bundled !== undefined) return bundled
  if (!existsSync(file)) throw new Error(`the corpus names a dialect that is not there: ${name}`)
  return dialectFromJson(JSON.parse(readFileSync(file, 'utf8')), (base) => bundledDialects[base])
}
