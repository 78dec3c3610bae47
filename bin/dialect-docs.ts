/** Writes the annotated reference of every dialect that is in this repository: `npm run docs:dialects`. */
import { writeFileSync } from 'node:fs'
import { bundledDialects, reference } from '../iso8583/iso8583.ts'
import { allNetworks } from './networks.ts'

const folder = new URL('../docs/dialects/', import.meta.url)

const networks = await allNetworks()
for (const dialect of [...Object.values(bundledDialects), ...networks.map((network) => network.dialect)]) {
  writeFileSync(new URL(`${dialect.name}.md`, folder), reference(dialect))
  process.stdout.write(`docs/dialects/${dialect.name}.md\n`)
}
