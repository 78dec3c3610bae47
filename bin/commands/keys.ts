import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { Command, InvalidArgumentError, Option } from 'commander'
import {
  adoptKeys,
  checkInventory,
  generateKey,
  importBlock,
  importComponents,
  retireKey,
  rotateKey,
} from '../../hsm/ceremony.ts'
import type { Component, Keeper } from '../../hsm/ceremony.ts'
import { listKeys } from '../../hsm/inventory.ts'
import { readActs } from '../../hsm/key-acts.ts'
import { KeyRefusal, type KeyRefusalCode } from '../../hsm/key-checks.ts'
import { kcvOf } from '../../hsm/kcv.ts'
import { isAlgorithm, keyBytes, labelOf } from '../../hsm/key.ts'
import type { Algorithm, KeyName } from '../../hsm/key.ts'
import { otherToken } from '../../hsm/other-token.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { openClient } from '../../kernel/database.ts'
import { keyExchangeHistory, wantKeyExchange } from '../../switch/switch.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import { withJournal } from './journal.ts'
import { countOf } from './ledger-arguments.ts'
import { byWhom, byWhomAndWhy, personName } from './people.ts'
import { Refused } from './refused.ts'

const toolFile = join(import.meta.dirname, '..', 'hsm-keys.ts')

interface Shared {
  readonly state?: string
  readonly ref: string
  readonly by: string
  readonly witness: string
  readonly peer?: string
}

/** `mafraq keys`: the inventory, and the acts of key life by two people. A switch that runs follows within a second. */
export function keysCommand(): Command {
  const keys = new Command('keys').description('the key inventory, and the acts of key life by two people')
  onKeeper(keys.command('list').description('every key version and its state'), list)
  onKeeper(keys.command('check').description('compare the inventory with the token'), check)
  onKeeper(
    keys
      .command('acts')
      .description('what was done to keys and by whom, and whether all of it is there as it was signed')
      .option('--known <act>', 'the last one at an earlier time, as this command told it: NUMBER:HASH')
      .option('--json', 'one JSON object'),
    acts,
  )
  people(onKeeper(keys.command('adopt').description('take keys without inventory rows into it'), adopt))
  onKeeper(
    newKey(keys.command('generate').description('a random key as the next version'))
      .addOption(algorithmOption())
      .option('--kbpk <ref>', 'print its key block under this protection key'),
    generate,
  )
  onKeeper(
    newKey(keys.command('import-components').description('two or three components, typed in turn'))
      .addOption(algorithmOption())
      .addOption(new Option('--components <n>').choices(['2', '3']).default('2')),
    components,
  )
  onKeeper(
    newKey(keys.command('import-block').description('a key block (X9.143), read from standard input'))
      .requiredOption('--kbpk <ref>', 'its protection key')
      .option('--kcv <kcv>', 'the check value that came with it'),
    block,
  )
  onKeeper(
    people(keys.command('rotate').description('the pending version becomes active'))
      .requiredOption('--ref <ref>', 'role.zone.direction')
      .option('--grace <seconds>', 'how long the previous version is honoured', graceSeconds, 3_600),
    rotate,
  )
  onKeeper(
    people(keys.command('retire').description('a version that is not active is used no more'))
      .requiredOption('--ref <ref>', 'role.zone.direction')
      .requiredOption('--key-version <n>', 'its number', countOf)
      .option('--destroy', 'and leaves the token'),
    retire,
  )
  exchanges(keys)
  return keys
}

/** Of keys that travel in messages: what became of each, and asking a network for new ones. */
function exchanges(keys: Command): void {
  const place = (command: Command): Command =>
    command.option('--state <folder>', 'the state folder of the system').option('--json', 'one JSON object')
  place(keys.command('exchanges').description('what became of the key exchanges with networks'))
    .option('--last <count>', 'at most so many', countOf, 50)
    .action((options: Placed & { readonly last: number }) =>
      withJournal({ state: options.state, role: 'readerUrl', as: 'keys' }, async (pool) => {
        const history = await keyExchangeHistory(pool, options.last)
        if (options.json === true) return void console.log(JSON.stringify(history))
        if (history.length === 0) console.log('no key has been exchanged with a network so far')
        for (const { at, destination, event, key, kcv, why, who } of history) {
          const named = key === null ? '-' : `${key} kcv ${kcv ?? '-'}`
          console.log(
            `${at.toISOString()}  ${destination.padEnd(12)} ${event.padEnd(10)} ${named}  ${why}  (${who})`,
          )
        }
      }),
    )
  byWhomAndWhy(
    place(
      keys.command('ask').description('ask a network for new keys; the running switch does within a minute'),
    ),
  )
    .argument('<destination>')
    .action((destination: string, options: Placed & { readonly by: string; readonly why: string }) =>
      withJournal({ state: options.state, role: 'writerUrl', as: 'keys' }, async (pool) => {
        const { networks } = readEndpoints(stateFolderOf(options.state))
        if (!Object.hasOwn(networks, destination)) {
          const there = Object.keys(networks).join(', ')
          throw new Refused(`no destination is called ${destination}; there are: ${there}`)
        }
        await wantKeyExchange(pool, { destination, who: options.by, why: options.why })
        console.log(`${destination} will be asked for new keys`)
      }),
    )
}

interface Placed {
  readonly state?: string
  readonly json?: boolean
}

function people(command: Command): Command {
  return byWhom(command).requiredOption('--witness <name>', 'who watches; another person', personName)
}

function newKey(command: Command): Command {
  return people(command)
    .requiredOption('--ref <ref>', 'role.zone.direction, for example zpk.knet.out')
    .option('--peer <name>', 'whose key it is too')
}

/** Up to a month: after that, whatever a peer still seals with the key before is not its own any more. */
function graceSeconds(text: string): number {
  const seconds = Number(text)
  if (!/^\d{1,7}$/.test(text) || seconds > 31 * 86_400)
    throw new InvalidArgumentError('A whole number of seconds is needed, at most 2678400 (31 days).')
  return seconds
}

function algorithmOption(): Option {
  return new Option('--algorithm <name>').choices(Object.keys(keyBytes)).makeOptionMandatory()
}

/** Gives `run` the token and the database of a running system; 0 done, 1 refused or not in order, 3 could not look. */
function onKeeper(command: Command, run: (keeper: Keeper, options: never) => Promise<number>): Command {
  return command
    .option('--state <folder>', 'the state folder of the system')
    .action(async (options: { readonly state?: string }) => {
      const { hsm, database } = readEndpoints(stateFolderOf(options.state))
      if (hsm.driver === 'twin') {
        console.error('the software twin has its keys from a file: there is nothing to keep')
        process.exitCode = 3
        return
      }
      if (hsm.softhsmConf !== undefined) process.env['SOFTHSM2_CONF'] = hsm.softhsmConf
      const token = await openPkcs11Token(hsm)
      const client = await openClient({ databaseUrl: database.url, applicationName: 'mafraq-keys' })
      try {
        const others = (hsm.others ?? []).map((place) => otherToken(place, toolFile))
        process.exitCode = await run({ token, database: client, others }, options as never)
      } catch (error) {
        if (!(error instanceof KeyRefusal)) throw error
        console.error(`${error.message}: ${refusals[error.code]}`)
        process.exitCode = 1
      } finally {
        await client.end()
        token.close()
      }
    })
}

const refusals: Readonly<Record<KeyRefusalCode, string>> = {
  badReference:
    'a reference is role.zone.direction, such as zpk.knet.out, and the algorithm must suit the role',
  samePerson: '--by and --witness must be two people',
  weakKey: 'it is a weak key, or its halves are the same',
  weakProtection: 'its protection key is weaker than the key itself',
  wrongParity: 'the parity of its bytes is wrong: it may be mistyped',
  wrongLength: 'it is not as long as its algorithm asks for',
  wrongUsage: 'the key block is for another use',
  kcvDiffers: 'the check value is another: it may be mistyped',
  notEnoughComponents: 'at least two components are needed',
  noSuchKey: 'no key of that reference and version, in the state this needs, is there (mafraq keys list)',
  wrongState: 'the key is not in the state that this needs (mafraq keys list)',
  stillNeeded: 'cards of the vault are still under it: mafraq vault rewrap first',
}

const emptyInventory =
  'the inventory is empty: of each key on the token the newest version is used; mafraq keys adopt takes them in'

async function list({ database }: Keeper): Promise<number> {
  const keys = await listKeys(database)
  if (keys.length === 0) console.log(emptyInventory)
  for (const key of keys) {
    const { usage, mode, algorithm, kcv, state, madeBy, witnessedBy, peer } = key
    const label = labelOf(key.ref, key.version)
    console.log(
      `${label}  ${state}  ${usage} ${mode}  ${algorithm}  kcv ${kcv}  ${peer ?? '-'}  ${madeBy}, ${witnessedBy}`,
    )
  }
  return 0
}

async function check(keeper: Keeper): Promise<number> {
  const found = await checkInventory(keeper)
  if ((await listKeys(keeper.database)).length === 0) console.log(emptyInventory)
  for (const line of found) console.log(line)
  console.log(found.length === 0 ? 'RESULT ok' : `RESULT ${found.length} differences`)
  return found.length === 0 ? 0 : 1
}

async function acts(
  { token, database }: Keeper,
  options: { readonly known?: string; readonly json?: true },
): Promise<number> {
  const found = await readActs(token, database, options.known)
  if (options.json === true) console.log(JSON.stringify(found))
  else {
    for (const { number, at, act, ref, version, kcv, by, witness } of found.acts) {
      console.log(
        `${number ?? '-'}  ${at}  ${act.padEnd(8)}  ${labelOf(ref, version)}  kcv ${kcv}  ${by}, ${witness}`,
      )
    }
    if (found.last !== undefined) console.log(`last ${found.last}`)
    console.log(`RESULT ${found.fault ?? 'ok'}`)
  }
  return found.fault === undefined ? 0 : 1
}

async function adopt(keeper: Keeper, options: Shared): Promise<number> {
  console.log(`${await adoptKeys(keeper, options)} keys taken into the inventory`)
  return 0
}

async function generate(
  keeper: Keeper,
  options: Shared & { readonly algorithm: Algorithm; readonly kbpk?: string },
): Promise<number> {
  const { key, block: sealed } = await generateKey(keeper, options)
  told(key)
  if (sealed !== undefined) console.log(sealed)
  return 0
}

async function block(
  keeper: Keeper,
  options: Shared & { readonly kbpk: string; readonly kcv?: string },
): Promise<number> {
  for await (const line of createInterface({ input: process.stdin })) {
    told(await importBlock(keeper, { ...options, block: line.trim() }))
    return 0
  }
  return 2
}

/** Each operator types a component and sees its check value; the last line is the whole key's. */
async function components(
  keeper: Keeper,
  options: Shared & { readonly algorithm: Algorithm; readonly components: string },
): Promise<number> {
  if (!isAlgorithm(options.algorithm)) return 2
  let isHidden = false
  const shown = new Writable({
    write: (piece: Buffer, _, done) => void (isHidden ? done() : process.stderr.write(piece, () => done())),
  })
  // On a terminal it is we who show what is typed, or do not: the terminal itself would show, and keep, every component.
  const terminal = process.stdin.isTTY
  const reader = createInterface({ input: process.stdin, output: shown, terminal, historySize: 0 })
  const lines = reader[Symbol.asyncIterator]()
  const ask = async (question: string, hidden = false): Promise<string> => {
    process.stderr.write(question)
    isHidden = hidden
    const line = (await lines.next()).value?.trim() ?? ''
    if (hidden && terminal) process.stderr.write('\n')
    isHidden = false
    return line
  }
  const parts: Component[] = []
  for (let number = 1; number <= Number(options.components); number++) {
    process.stderr.write('\u001b[3J\u001b[2J\u001b[H') // The screen, and what left it, is the next operator's.
    const value = Buffer.from(await ask(`component ${number} (not shown): `, true), 'hex')
    const kcv = await ask(`its check value: `)
    if (value.length === keyBytes[options.algorithm]) {
      process.stderr.write(`computed ${kcvOf(options.algorithm, value)}\n`)
    }
    parts.push({ value, kcv })
  }
  const kcv = await ask('check value of the whole key: ')
  reader.close()
  told(await importComponents(keeper, { ...options, components: parts, kcv }))
  return 0
}

async function rotate(keeper: Keeper, options: Shared & { readonly grace: number }): Promise<number> {
  const version = await rotateKey(keeper, { ...options, graceSeconds: options.grace })
  console.log(`${labelOf(options.ref, version)} is active`)
  return 0
}

async function retire(
  keeper: Keeper,
  options: Shared & { readonly keyVersion: number; readonly destroy?: true },
): Promise<number> {
  const { keyVersion: version } = options
  await retireKey(keeper, { ...options, version, destroy: options.destroy === true })
  console.log(`${labelOf(options.ref, version)} is ${options.destroy === true ? 'destroyed' : 'retired'}`)
  return 0
}

function told(key: KeyName): void {
  console.log(`${labelOf(key.ref, key.version)}  ${key.usage} ${key.mode}  ${key.algorithm}  kcv ${key.kcv}`)
}
