import { existsSync, readFileSync } from 'node:fs'
import { DatabaseError } from '../../kernel/database.ts'
import {
  AnchorError,
  checkAnchors,
  closeBusinessDate,
  closePeriod,
  openLedger,
  rebuildDifferences,
  verifyLedger,
} from '../../ledger/ledger.ts'
import type { Ledger, Reader, UnitOutcome, Verification } from '../../ledger/ledger.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import { databaseUrlOf, reading } from './ledger-books.ts'
import { whyNotToClose } from './ledger-open-dates.ts'
import type { Where } from './ledger-books.ts'
import { render } from './ledger-table.ts'

export interface Verifying extends Where {
  readonly json?: boolean
  readonly anchors?: string
  readonly anchorKey?: ReadonlyMap<string, string>
}

export interface Closing extends Where {
  readonly json?: boolean
  readonly by: string
  readonly why: string
}

const broken = 1
const couldNotCheck = 3

/** A check prints its RESULT last, and exits with 0, 1, or 3 when it could not look. */
export async function checking(json: boolean, check: () => Promise<Checked>): Promise<void> {
  let checked: Checked
  try {
    checked = await check()
  } catch (error) {
    if (!(error instanceof DatabaseError || error instanceof AnchorError)) throw error
    checked = { result: `could not check: ${error.message}`, facts: {}, text: '' }
    process.exitCode = couldNotCheck
  }
  if (checked.result !== 'ok') process.exitCode ??= broken
  const { result, facts, text } = checked
  process.stdout.write(json ? `${toJson({ result, ...facts })}\n` : `${text}RESULT ${result}\n`)
}

interface Checked {
  readonly result: string
  readonly facts: object
  readonly text: string
}

export async function verify(where: Verifying): Promise<Checked> {
  const startedAt = performance.now()
  const found = await verifyLedger(databaseUrlOf(where))
  const seconds = (performance.now() - startedAt) / 1_000
  const { blocks, units, postings, entries, accounts, head } = found
  const counts = Object.entries({ blocks, units, postings, entries, accounts })
  const text = [
    counts.map(([name, count]) => `${name} ${count.toLocaleString('en')}`).join('  '),
    `head ${head}`,
    `seconds ${seconds.toFixed(1)}`,
    '',
  ].join('\n')
  const anchors = anchorsOf(where)
  if (found.bad !== undefined || anchors === undefined) {
    const unsigned =
      anchors === undefined ? 'anchors none: what the owner of the database changed is not seen\n' : ''
    return { result: resultOf(found), facts: found, text: text + unsigned }
  }
  const anchored = await reading(where, (reader) => checkAnchors({ reader, ...anchors }))
  const after = blocks - anchored.lastSeq
  const signatures =
    anchored.bad === undefined ? `signatures ok (${[...anchors.keys.keys()].join(', ')})` : ''
  return {
    result:
      anchored.bad === undefined
        ? 'ok'
        : `TAMPERED block ${anchored.bad.seq} ${anchored.bad.kind}: ${anchored.bad.what}`,
    facts: { ...found, anchored },
    text: `${text}anchors ${anchored.anchors}  ${signatures}  blocks after the last ${after}\n`,
  }
}

/** Those that are named, else those of the running system. */
function anchorsOf(where: Verifying): { file: string; keys: ReadonlyMap<string, string> } | undefined {
  const { anchors, anchorKey: keys = new Map<string, string>() } = where
  if (anchors !== undefined) return { file: anchors, keys }
  if (where.databaseUrl !== undefined) return undefined
  const running = readEndpoints(stateFolderOf(where.state)).anchors
  if (running === undefined || !existsSync(running.file)) return undefined
  return {
    file: running.file,
    keys: new Map([[running.key, readFileSync(running.publicKeyFile, 'utf8')], ...keys]),
  }
}

function resultOf({ bad }: Verification): string {
  if (bad === undefined) return 'ok'
  const place = bad.block === undefined ? '' : ` block ${bad.block}`
  return `TAMPERED${place} ${bad.table} ${bad.kind}: ${bad.row} ${bad.what}`
}

export async function rebuild(where: Where): Promise<Checked> {
  const differences = await reading(where, rebuildDifferences)
  const found = await verifyLedger(databaseUrlOf(where))
  const columns = ['account', 'column', 'stored', 'computed']
  const rows = differences.map(({ account, column, stored, computed }) => [account, column, stored, computed])
  const result = differences.length > 0 ? `${differences.length} balances differ` : resultOf(found)
  const text =
    rows.length === 0 ? `balances ${found.accounts} recomputed\n` : render({ columns, rows }, 'table')
  return { result, facts: { differences }, text }
}

/** Through a writer of its own, which takes turns with that of the switch. */
async function writing<T>(where: Where, write: (ledger: Ledger, reader: Reader) => Promise<T>): Promise<T> {
  const databaseUrl = where.databaseUrl ?? readEndpoints(stateFolderOf(where.state)).database.writerUrl
  const log = { warn: () => undefined, error: () => undefined }
  const ledger = await openLedger({ databaseUrl, rowKinds: [], log })
  try {
    return await reading({ databaseUrl }, (reader) => write(ledger, reader))
  } finally {
    await ledger.close()
  }
}

export async function closeBooks(where: Closing, through: string): Promise<Checked> {
  const why = await whyNotToClose(databaseUrlOf(where), { scope: '*', through })
  if (why !== undefined) return refused(why)
  const outcome = await writing(where, (ledger, reader) =>
    closePeriod(ledger, reader, { scope: '*', through, effectiveAt: Date.now(), decided: decidedBy(where) }),
  )
  const answer = outcome.kind === 'refused' ? outcome.reason : outcome.kind
  const result = answer === 'committed' ? 'ok' : `the books are not closed up to ${through}: ${answer}`
  return { result, facts: { period: answer }, text: '' }
}

function decidedBy({ by, why }: Closing): { readonly by: string; readonly why: string } {
  return { by, why }
}

function refused(why: string): Checked {
  return { result: `refused: ${why}`, facts: {}, text: '' }
}

export async function closeDate(where: Closing, network: string, date: string): Promise<Checked> {
  const why = await whyNotToClose(databaseUrlOf(where), { scope: network, through: date })
  if (why !== undefined) return refused(why)
  return writing(where, async (ledger, reader) => {
    const now = { effectiveAt: Date.now(), decided: decidedBy(where) }
    const closed = await closeBusinessDate(ledger, reader, { network, date, ...now })
    const answerOf = (outcome: UnitOutcome): string =>
      outcome.kind === 'refused' ? outcome.reason : outcome.kind
    const accounts = closed.accounts.map(({ account, outcome }) => ({ account, answer: answerOf(outcome) }))
    const period = answerOf(closed.period)
    const open = accounts.filter(({ answer }) => answer !== 'committed')
    return {
      result:
        open.length > 0
          ? `${open.length} accounts stay open`
          : period === 'committed'
            ? 'ok'
            : `${network} is not closed up to ${date}: ${period}`,
      facts: { accounts, period },
      text: [
        ...accounts.map(({ account, answer }) => `${account} ${answer}`),
        `${network} up to ${date} ${period}`,
        '',
      ].join('\n'),
    }
  })
}

function toJson(facts: object): string {
  return JSON.stringify(facts, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))
}
