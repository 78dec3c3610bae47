import { Command } from 'commander'
import { DatabaseError } from '../../kernel/database.ts'
import type { Verification } from '../../ledger/ledger.ts'
import { verifyLedger } from '../../ledger/ledger.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'

interface Where {
  readonly state?: string
  readonly databaseUrl?: string
  readonly json?: boolean
}

const broken = 1
const couldNotCheck = 3

/** `mafraq ledger`: what the books say, and whether they are still what was written. */
export function ledgerCommand(): Command {
  const command = new Command('ledger').description('the books: whether they hold')
  command
    .command('verify')
    .description('compute the whole of the books anew: hash chain, sums, histories, projections')
    .option('--state <folder>', 'the state folder of the running system')
    .option('--database-url <url>', 'the database, instead of that of the state folder')
    .option('--json', 'one JSON object')
    .action(verify)
  return command
}

async function verify(where: Where): Promise<void> {
  const startedAt = performance.now()
  let found: Verification
  try {
    found = await verifyLedger(databaseUrlOf(where))
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    const why = `could not check: ${error.message}`
    process.stdout.write(where.json === true ? `${JSON.stringify({ result: why })}\n` : `RESULT ${why}\n`)
    process.exitCode = couldNotCheck
    return
  }
  const seconds = (performance.now() - startedAt) / 1_000
  const result = resultOf(found)
  if (found.bad !== undefined) process.exitCode = broken
  process.stdout.write(where.json === true ? `${asJson(found, result)}\n` : asText(found, seconds, result))
}

function databaseUrlOf({ databaseUrl, state }: Where): string {
  return databaseUrl ?? readEndpoints(stateFolderOf(state)).database.readerUrl
}

function resultOf({ bad }: Verification): string {
  if (bad === undefined) return 'ok'
  const place = bad.block === undefined ? '' : ` block ${bad.block}`
  return `TAMPERED${place} ${bad.table} ${bad.kind}: ${bad.row} ${bad.what}`
}

function asText(found: Verification, seconds: number, result: string): string {
  const { blocks, units, postings, entries, accounts, head } = found
  const count = (many: bigint): string => many.toLocaleString('en')
  return [
    `blocks ${count(blocks)}  units ${count(units)}  postings ${count(postings)}  entries ${count(entries)}  accounts ${count(accounts)}`,
    `head ${head}`,
    `seconds ${seconds.toFixed(1)}`,
    `RESULT ${result}`,
    '',
  ].join('\n')
}

function asJson(found: Verification, result: string): string {
  const { bad, ...figures } = found
  const place = bad === undefined ? undefined : { ...bad, block: bad.block?.toString() }
  return JSON.stringify({ result, ...figures, bad: place }, (_, value: unknown) =>
    typeof value === 'bigint' ? Number(value) : value,
  )
}
