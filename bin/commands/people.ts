import { type Command, InvalidArgumentError } from 'commander'

/** Whoever acts says who they are, in the same word everywhere: until operators have keys, the record is as good as that. */
export function byWhom(command: Command): Command {
  return command.requiredOption('--by <name>', 'who does it, for the record', personName)
}

/** The same with a reason. */
export function byWhomAndWhy(command: Command): Command {
  return byWhom(command).requiredOption('--why <reason>', 'why, for the record')
}

/** Names are compared where two people are needed, and a space more is no other person. */
export function personName(text: string): string {
  const name = text.normalize('NFKC').trim().replaceAll(/\s+/g, ' ')
  if (name === '' || name.length > 100)
    throw new InvalidArgumentError('A name of 1 to 100 characters is needed.')
  return name
}
