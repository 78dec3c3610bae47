import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import type { DatabasePool } from '../../kernel/database.ts'
import {
  askRuleReload,
  diffRules,
  mistakeText,
  readRules,
  ruleAnswers,
  type RuleChangeOnRecord,
  type RuleDifference,
  ruleHistory,
  rulesByNode,
  type RuleTexts,
  ruleTextsOf,
  versionText,
} from '../../switch/switch.ts'
import { stateFolderOf } from '../environment/endpoints.ts'
import { withJournal } from './journal.ts'
import { countOf } from './ledger-arguments.ts'
import { byWhomAndWhy } from './people.ts'
import { Refused } from './refused.ts'
import { knownToRules, readRuleTexts, ruledConfiguration, writeRuleTexts } from '../environment/rules.ts'

interface Where {
  readonly state?: string
  readonly json?: boolean
}

interface Asked extends Where {
  readonly by: string
  readonly why: string
}

type Sound = Extract<ReturnType<typeof readRules>, { kind: 'sound' }>

/** A node reads its rules within a second or two of being asked. */
const answeredWithinMs = 15_000

/** `mafraq rules`: routes, limits, timers, codes and stand-in as files; what is in force, and since when by whose word. */
export function rulesCommand(): Command {
  const command = new Command('rules').description(
    'the files of rules: check, compare, put in force, put back',
  )
  placed(command.command('check'))
    .description('whether a folder of rules is sound: every mistake with its file, line and path')
    .argument('[folder]', "the running switch's own unless told")
    .action(async (folder: string | undefined, where: Where) => {
      const read = await readFolder(folder, where)
      if (read.kind === 'refused') return refuse(where, read.mistakes.map(mistakeText))
      const { hash, rules } = read
      const counts = {
        hash,
        routes: read.written['routes.yaml'].routes.length,
        standInRanges: rules.standIn.length,
        sources: rules.sources.size,
        destinations: rules.destinations.size,
      }
      const { routes, standInRanges, sources, destinations } = counts
      say(where, { result: 'ok', ...counts }, [
        `sound: ${hash.slice(0, 8)}  routes ${routes}  sources ${sources}  destinations ${destinations}  stand-in ranges ${standInRanges}`,
        'RESULT ok',
      ])
    })
  placed(command.command('show'))
    .description('which rules each node goes by, since when, and by whose word')
    .action((where: Where) =>
      withJournal({ state: where.state, role: 'readerUrl', as: 'rules' }, async (pool) => {
        const changes = await rulesByNode(pool)
        say(where, changes, changes.map(lineOf))
      }),
    )
  placed(command.command('history'))
    .description('every change of the rules and every attempt at one, the newest first')
    .option('--limit <count>', 'at most so many', countOf, 50)
    .action((where: Where & { readonly limit: number }) =>
      withJournal({ state: where.state, role: 'readerUrl', as: 'rules' }, async (pool) => {
        const changes = await ruleHistory(pool, where.limit)
        say(
          where,
          changes,
          changes.flatMap((change) => [lineOf(change), ...change.mistakes.map((each) => `    ${each}`)]),
        )
      }),
    )
  placed(command.command('diff'))
    .description('what a folder says otherwise than the rules in force, or than an earlier set')
    .argument('[folder]', "the running switch's own unless told")
    .option('--from <number>', 'the number of a set, in the place of the one in force')
    .action((folder: string | undefined, where: Where & { readonly from?: string }) =>
      withJournal({ state: where.state, role: 'readerUrl', as: 'rules' }, async (pool) => {
        const number = where.from ?? String((await rulesByNode(pool))[0]?.number ?? '')
        const before = await setOf(pool, number, where)
        const after = await readFolder(folder, where)
        if (after.kind === 'refused') return refuse(where, after.mistakes.map(mistakeText))
        const differences = diffRules(before.written, after.written)
        say(where, { from: number, differences }, [
          ...differences.map(differenceText),
          differences.length === 0
            ? `no difference from number ${number}`
            : `${differences.length} differences from number ${number}`,
        ])
      }),
    )
  asked(command.command('reload'))
    .description('have every node read its rules again: all of them come into force, or none')
    .action((options: Asked) =>
      withJournal({ state: options.state, role: 'writerUrl', as: 'rules' }, (pool) => reload(pool, options)),
    )
  asked(command.command('rollback'))
    .description('put an earlier set back: its files into the folder, and then in force')
    .argument('<number>', 'which set; `mafraq rules history` has them')
    .action((number: string, options: Asked) =>
      withJournal({ state: options.state, role: 'writerUrl', as: 'rules' }, async (pool) => {
        const texts = await textsOf(pool, number)
        const known = await knownToRules(ruledConfiguration(stateFolderOf(options.state)))
        const read = readRules(texts, known)
        if (read.kind === 'refused') return refuse(options, read.mistakes.map(mistakeText))
        writeRuleTexts(folderOf(undefined, options), texts)
        await reload(pool, { ...options, why: `back to number ${number}: ${options.why}` })
      }),
    )
  return command
}

/** Asks, and waits until the nodes that are up have answered. */
async function reload(pool: DatabasePool, options: Asked): Promise<void> {
  const nodes = new Set((await rulesByNode(pool)).map(({ node }) => node))
  const request = await askRuleReload(pool, { who: options.by, why: options.why })
  let answers: RuleChangeOnRecord[] = []
  for (let waited = 0; waited < answeredWithinMs && answers.length < nodes.size; waited += 200) {
    await sleep(200)
    answers = await ruleAnswers(pool, request)
  }
  const silent = [...nodes].filter((node) => !answers.some((answer) => answer.node === node))
  const refused = answers.some(({ outcome }) => outcome === 'refused')
  const result = answers.length === 0 ? 'nobody answered' : refused ? 'refused' : 'ok'
  say(options, { result, answers, silent }, [
    ...answers.flatMap((answer) => [lineOf(answer), ...answer.mistakes.map((each) => `    ${each}`)]),
    ...silent.map((node) => `${node}  did not answer: it is not running, or can't ask the database`),
    `RESULT ${result}`,
  ])
  process.exitCode = result === 'ok' ? 0 : refused ? 1 : 3
}

function placed(command: Command): Command {
  return command
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON object')
}

function asked(command: Command): Command {
  return byWhomAndWhy(placed(command))
}

function folderOf(folder: string | undefined, { state }: Where): string {
  return folder === undefined ? ruledConfiguration(stateFolderOf(state)).rules : resolve(folder)
}

async function readFolder(folder: string | undefined, where: Where): ReturnType<typeof readFolderOf> {
  return readFolderOf(readRuleTexts(folderOf(folder, where)), where)
}

/** Against the sources and destinations of the system that runs, or ran, in the state folder. */
async function readFolderOf(texts: RuleTexts, { state }: Where): Promise<ReturnType<typeof readRules>> {
  return readRules(texts, await knownToRules(ruledConfiguration(stateFolderOf(state))))
}

async function textsOf(pool: DatabasePool, number: string): Promise<RuleTexts> {
  const texts = /^\d{1,9}$/.test(number) ? await ruleTextsOf(pool, Number(number)) : undefined
  if (texts === undefined)
    throw new Refused(`no set of rules has the number ${number}: mafraq rules history lists them`)
  return texts
}

async function setOf(pool: DatabasePool, number: string, where: Where): Promise<Sound> {
  const read = await readFolderOf(await textsOf(pool, number), where)
  if (read.kind === 'sound') return read
  throw new Refused(`number ${number} is not sound for the sources and destinations there are now`)
}

function say({ json }: Where, value: unknown, lines: readonly string[]): void {
  process.stdout.write(
    json === true ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(''),
  )
}

function refuse(where: Where, mistakes: readonly string[]): void {
  say(where, { result: 'refused', mistakes }, [...mistakes, 'RESULT refused'])
  process.exitCode = 1
}

function lineOf({ at, node, cause, who, why, outcome, number, hash }: RuleChangeOnRecord): string {
  const version = number === null || hash === null ? 'none' : versionText({ number, hash })
  return `${at.toISOString()}  ${node.padEnd(8)} ${version.padEnd(12)} ${outcome.padEnd(9)} by ${cause} (${who}): ${why}`
}

function differenceText({ where, before, after }: RuleDifference): string {
  if (before === undefined) return `+ ${where}: ${after ?? ''}`
  return after === undefined ? `- ${where}: ${before}` : `~ ${where}: ${before} -> ${after}`
}
