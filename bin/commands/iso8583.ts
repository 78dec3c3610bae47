import { Command } from 'commander'
import type { Dialect } from '../../iso8583/iso8583.ts'
import { Catalogue } from './iso8583/catalogue.ts'
import { dialectsCommand } from './iso8583/dialects.ts'
import { katCommand } from './iso8583/kat.ts'
import { decodeCommand, encodeCommand } from './iso8583/messages.ts'
import { describeCommand, diffCommand, explainCommand } from './iso8583/reading.ts'

/** `mafraq iso8583 …`. `extraDialects` are those that live with their networks' connectors. */
export function iso8583Command(extraDialects: Readonly<Record<string, Dialect>> = {}): Command {
  const catalogue = new Catalogue(extraDialects)
  const command = new Command('iso8583').description('ISO 8583 messages, read and written')
  const makers = [
    decodeCommand,
    encodeCommand,
    describeCommand,
    explainCommand,
    diffCommand,
    dialectsCommand,
    katCommand,
  ]
  for (const make of makers) command.addCommand(make(catalogue))
  return command
}
