import { createWriteStream, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { NetworkFileError } from '../../connectors/network-file.ts'
import { readBook } from '../../simulators/book.ts'
import { statementOf } from '../../simulators/network/statement.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import { businessDate } from './ledger-arguments.ts'
import { Refused } from './refused.ts'
import { allNetworks, digestOf, networkOfText } from '../networks.ts'

/** `mafraq networks list | check FILE | statement NETWORK DATE`. */
export function networksCommand(): Command {
  const command = new Command('networks').description(
    "the networks there are, and whether a member's file is sound",
  )
  command
    .command('list')
    .description('each network, its dialect, and how far it goes')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: true }) => {
      const networks = (await allNetworks()).map(({ name, dialect, rules }) => ({
        name,
        dialect: dialect.name,
        edition: dialect.version,
        reversal: rules.reversalMti,
        fidelity: dialect.fidelity ?? 'generic',
        about: dialect.about ?? '',
      }))
      if (json) return void process.stdout.write(`${JSON.stringify(networks, null, 2)}\n`)
      process.stdout.write(
        `${'NETWORK'.padEnd(13)}${'DIALECT'.padEnd(24)}ISO   UNDO  ${'WHAT IT IS'.padEnd(13)} ABOUT\n`,
      )
      for (const { name, dialect, edition, reversal, fidelity, about } of networks) {
        process.stdout.write(
          `${name.padEnd(13)}${dialect.padEnd(24)}${edition}  ${reversal}  ${fidelity.padEnd(13)} ${about}\n`,
        )
      }
      process.stdout.write('illustrative: public facts only; refused where environment is production\n')
    })
  command
    .command('check <file>')
    .description("read a member's file as the switch would; prints the digest for its configuration")
    .action(async (file: string) => {
      try {
        const text = readFileSync(file)
        const { dialect, name } = await networkOfText(file, text)
        process.stdout.write(`ok: ${name} in ${dialect.name}\nsha256 ${digestOf(text)}\n`)
      } catch (error) {
        // What can't be read was not looked at.
        if ((error as NodeJS.ErrnoException).code !== undefined) throw error
        const told =
          error instanceof NetworkFileError
            ? error.mistakes.map((mistake) => `${file}: ${mistake}`)
            : [(error as Error).message]
        process.stderr.write(`${told.join('\n')}\n`)
        process.exitCode = 1
      }
    })
  command
    .command('statement')
    .argument('<network>')
    .argument('<date>', 'YYYY-MM-DD', businessDate)
    .description(
      'what a simulated network says that it did on a business date, from its own book, as mafraq day match reads it',
    )
    .option('--state <folder>', 'the state folder of the running system')
    .option('--out <file>', 'write it there in the place of standard output')
    .action(async (network: string, date: string, { state, out }: { state?: string; out?: string }) => {
      const { networks } = readEndpoints(stateFolderOf(state))
      const found = networks[network]
      if (found === undefined)
        throw new Refused(
          `no network ${network} is simulated there; there are: ${Object.keys(networks).join(', ')}`,
        )
      const text = Readable.from(statementOf(readBook(found.book), date))
      if (out === undefined) for await (const line of text) process.stdout.write(line as string)
      else await pipeline(text, createWriteStream(out, { mode: 0o600 }))
    })
  return command
}
