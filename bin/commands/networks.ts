import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { NetworkFileError } from '../../connectors/network-file.ts'
import { allNetworks, digestOf, networkOfText } from '../networks.ts'

/** `mafraq networks list | check FILE`. */
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
        const told =
          error instanceof NetworkFileError
            ? error.mistakes.map((mistake) => `${file}: ${mistake}`)
            : [
                (error as NodeJS.ErrnoException).code === 'ENOENT'
                  ? `there is no file ${file}`
                  : (error as Error).message,
              ]
        process.stderr.write(`${told.join('\n')}\n`)
        process.exitCode = 1
      }
    })
  return command
}
