import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { allNetworks } from '../../bin/networks.ts'
import { bundledDialects, reference } from '../../iso8583/iso8583.ts'

const ofNetworks = (await allNetworks()).map(({ dialect }) => dialect)

test.each([...Object.values(bundledDialects), ...ofNetworks])(
  'the reference of $name is current',
  (dialect) => {
    const file = new URL(`../../docs/dialects/${dialect.name}.md`, import.meta.url)
    expect(existsSync(file), 'run npm run docs:dialects').toBe(true)
    expect(readFileSync(file, 'utf8') === reference(dialect), 'run npm run docs:dialects').toBe(true)
  },
)
