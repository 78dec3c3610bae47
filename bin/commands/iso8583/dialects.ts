import { Command } from 'commander'
import { differences } from '../../../iso8583/iso8583.ts'
import type { Catalogue } from './catalogue.ts'
import { print } from './messages.ts'

export function dialectsCommand(catalogue: Catalogue): Command {
  return new Command('dialects')
    .description('the dialects known by name, and what each changes in its base')
    .option('--json', 'one JSON object')
    .action(({ json }: { readonly json?: true }) => {
      const listed = catalogue.dialects.map((dialect) => ({
        name: dialect.name,
        version: dialect.version,
        base: dialect.base?.name,
        about: dialect.about,
        fidelity: dialect.fidelity,
        elements: Object.keys(dialect.fields).length,
        differences: differences(dialect),
      }))
      if (json) return print({ dialects: listed }, { json })
      for (const { name, about = '', base, elements, differences: changes, fidelity } of listed) {
        const from = base === undefined ? `${elements} elements` : `${base} but for ${summary(changes)}`
        const note = fidelity === 'illustrative' ? ' (illustrative: public facts only)' : ''
        process.stdout.write(`${name.padEnd(20)} ${from}${note}\n${' '.repeat(21)}${about}\n`)
      }
    })
}

function summary(changes: readonly string[]): string {
  if (changes.length === 0) return 'its name'
  const shown = changes.slice(0, 6).map((change) => change.split(':')[0]!)
  return `${shown.join(', ')}${changes.length > 6 ? ` and ${changes.length - 6} more` : ''}`
}
