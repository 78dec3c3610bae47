import { Command, CommanderError } from 'commander'
import { Refused } from './commands/refused.ts'

/** A command is loaded when it is called, so that each starts as fast as if it were alone. */
interface Entry {
  readonly name: string
  readonly description: string
  load(): Promise<Command>
}

const entries: readonly Entry[] = [
  {
    name: 'iso8583',
    description: 'take ISO 8583 messages apart and put them together',
    async load() {
      const { iso8583Command } = await import('./commands/iso8583.ts')
      const { allNetworks } = await import('./networks.ts')
      const dialects = (await allNetworks()).map(({ dialect }) => [dialect.name, dialect] as const)
      return iso8583Command(Object.fromEntries(dialects))
    },
  },
  {
    name: 'networks',
    description: "the networks there are, and whether a member's file is sound",
    load: async () => (await import('./commands/networks.ts')).networksCommand(),
  },
  {
    name: 'explain',
    description: 'the whole life of a transaction, by its RRN or id',
    load: async () => (await import('./commands/explain.ts')).explainCommand(),
  },
  {
    name: 'saf',
    description: 'what is owed to networks, and what waits for people',
    load: async () => (await import('./commands/saf.ts')).safCommand(),
  },
  {
    name: 'exposures',
    description: "approvals in issuers' places that the issuer has not acknowledged",
    load: async () => (await import('./commands/saf.ts')).exposuresCommand(),
  },
  {
    name: 'unproven',
    description: 'approvals of which nobody knows whether their source has them',
    load: async () => (await import('./commands/saf.ts')).unprovenCommand(),
  },
  {
    name: 'reconcile',
    description: 'compare what terminals were told, issuers hold and the ledger posted',
    load: async () => (await import('./commands/reconcile.ts')).reconcileCommand(),
  },
  {
    name: 'status',
    description: 'how the running switch stands: sessions, breakers, ledger, HSM',
    load: async () => (await import('./commands/status.ts')).statusCommand(),
  },
  {
    name: 'traffic',
    description: 'the simulated terminals: how they fare, and how much they send',
    load: async () => (await import('./commands/traffic.ts')).trafficCommand(),
  },
  {
    name: 'explain-route',
    description: 'where a card would go, and why; nothing is sent',
    load: async () => (await import('./commands/explain-route.ts')).explainRouteCommand(),
  },
  {
    name: 'rules',
    description:
      'routes, limits, timers, codes and stand-in as files: check, compare, put in force, put back',
    load: async () => (await import('./commands/rules.ts')).rulesCommand(),
  },
  {
    name: 'day',
    description: 'business dates: what they are, and turning one by hand',
    load: async () => (await import('./commands/day.ts')).dayCommand(),
  },
  {
    name: 'ledger',
    description: 'the books: what they say, whether they hold, closing them',
    load: async () => (await import('./commands/ledger.ts')).ledgerCommand(),
  },
  {
    name: 'hsm',
    description: 'how the HSM of the running switch stands; known answers through its drivers',
    load: async () => (await import('./commands/hsm.ts')).hsmCommand(),
  },
  {
    name: 'keys',
    description: 'the key inventory, and the acts of key life',
    load: async () => (await import('./commands/keys.ts')).keysCommand(),
  },
  {
    name: 'vault',
    description: 'the vault of card numbers: how many under which key, and rewrapping',
    load: async () => (await import('./commands/vault.ts')).vaultCommand(),
  },
  {
    name: 'simulate',
    description: 'scenarios of a terminal against the running switch',
    load: async () => (await import('./commands/simulate.ts')).simulateCommand(),
  },
  {
    name: 'cards',
    description: 'the test cards and the amounts that trigger outcomes',
    load: async () => (await import('./commands/cards.ts')).cardsCommand(),
  },
]

const manners = `
Most commands are about a running system, or one that ran: they find it by its state folder, which is --state, else
MAFRAQ_STATE, else .run of the project. Each ends with 0 when what it checks holds, 1 when it does not, was refused or
is about what is not there, 2 when it was called wrongly, 3 when it could not look.`

const refused = 1
const wrongCall = 2
const couldNotCheck = 3

async function main(args: readonly string[]): Promise<number> {
  const program = new Command('mafraq')
    .description('A payment switch and card-network connector.')
    .addHelpText('after', manners)
  const called = entries.find(({ name }) => name === args.find((argument) => argument !== 'help'))
  if (called === undefined) {
    for (const { name, description } of entries) program.command(name).description(description)
  } else {
    program.addCommand(await called.load())
  }
  refuseByException(program)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    // Help that was asked for is no error; help that is shown because nothing was asked is.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : wrongCall
    if (!(error instanceof Error) || error instanceof TypeError) throw error
    process.stderr.write(`mafraq: ${told(error)}\n`)
    return error instanceof Refused ? refused : couldNotCheck
  }
  return Number(process.exitCode ?? 0)
}

/** A file that is not there, or a system that is not up, is told without the name of the system call. */
function told(error: Error): string {
  const { code, path } = error as NodeJS.ErrnoException
  const silent = /ECONNREFUSED (\S+)/.exec(error.message)?.[1]
  if (silent !== undefined) return `nothing answers at ${silent}: the system is stopped, or not up yet`
  if (path === undefined) return error.message
  if (code === 'ENOENT') return `there is no file or folder ${path}`
  if (code === 'EACCES') return `${path} may not be read by this user`
  if (code === 'EISDIR' || code === 'ENOTDIR') return `${path} is ${code === 'EISDIR' ? 'a' : 'no'} folder`
  return error.message
}

/**
 * Commander ends the process with 1 when it is called wrongly, which here means that a check did not hold. Whoever calls
 * wrongly is told where it says how.
 */
function refuseByException(command: Command): void {
  command.exitOverride().showHelpAfterError(`(${pathOf(command)} --help tells how it is called)`)
  for (const inner of command.commands) refuseByException(inner)
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

process.exitCode = await main(process.argv.slice(2))
