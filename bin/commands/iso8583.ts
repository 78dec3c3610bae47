import { Command } from 'commander'
import type { Dialect } from '../../iso8583/iso8583.ts'
import { decodeCommand, encodeCommand } from './iso8583/messages.ts'
import { Catalogue } from './iso8583/catalogue.ts'

/** `mafraq iso8583 …`. `extraDialects` are those that live with their networks' connectors. */
export function iso8583Command(extraDialects: Readonly<Record<string, Dialect>> = {}): Command {
  const catalogue = new Catalogue(extraDialects)
  const command = new Command('iso8583').description('ISO 8583 messages, read and written')
  for (const inner of [decodeCommand(catalogue), encodeCommand(catalogue)]) command.addCommand(inner)
  return command
}
