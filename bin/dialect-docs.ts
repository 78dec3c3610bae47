/** Writes the annotated reference of every dialect that is in this repository: `npm run docs:dialects`. */
import { writeFileSync } from 'node:fs'
import { knetPlaceholder } from '../connectors/knet/dialect.ts'
import { bundledDialects, reference } from '../iso8583/iso8583.ts'

const folder = new URL('../docs/dialects/', import.meta.url)

for (const dialect of [...Object.values(bundledDialects), knetPlaceholder]) {
  writeFileSync(new URL(`${dialect.name}.md`, folder), reference(dialect))
  process.stdout.write(`docs/dialects/${dialect.name}.md\n`)
}
