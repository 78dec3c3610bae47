import { Command, InvalidArgumentError } from 'commander'
import { DatabaseError, openClient } from '../../kernel/database.ts'
import { verifyLedger } from '../../ledger/ledger.ts'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'
import { findCardData } from '../environment/secrecy.ts'
import { compareBooks, type Differences } from '../reconcile/compare.ts'
import { netOf, readNetwork } from '../reconcile/network.ts'
import { readSwitchBooks, type SwitchBooks } from '../reconcile/switch-books.ts'
import { readTerminals } from '../reconcile/terminals.ts'

export interface ReconcileOptions {
  readonly stateFolder: string
  readonly json?: boolean
  /** Everything has come to rest, so nothing is pending: what is not settled is wrong. */
  readonly final?: boolean
  /** How long to wait for things to come to rest before judging. */
  readonly settleMs?: number
  /** Leaves out the search for card data, which reads every file: for drills that compare the books often. */
  readonly booksOnly?: boolean
}

export interface Reconciliation {
  readonly ok: boolean
  readonly lines: readonly string[]
}

/** While traffic runs, what began within this time may still be on its way. */
const youngMs = 60_000
const shownMax = 3

/** `mafraq reconcile`: the books of the terminals, the issuers and the ledger, purchase by purchase. */
export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description('compare what terminals were told, issuers hold and the ledger posted')
    .option('--state <folder>', 'the state folder of the running system')
    .option('--final', 'traffic has stopped: whatever is not settled is wrong')
    .option('--settle <seconds>', 'wait this long for things to come to rest', seconds, 0)
    .option('--json', 'one JSON object')
    .action(async (options: { state?: string; final?: boolean; settle: number; json?: boolean }) => {
      const { ok, lines } = await runReconcile({
        stateFolder: stateFolderOf(options.state),
        final: options.final === true,
        settleMs: options.settle * 1_000,
        json: options.json === true,
      })
      for (const line of lines) process.stdout.write(`${line}\n`)
      if (!ok) process.exitCode = 1
    })
}

function seconds(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('A whole number of seconds is needed.')
  return Number(text)
}

/** Throws when something could not be looked at: that is not the same as being wrong. */
export async function runReconcile(options: ReconcileOptions): Promise<Reconciliation> {
  const until = performance.now() + (options.settleMs ?? 0)
  for (;;) {
    const looked = await look(options)
    const restless = looked.differences.reversalOwed.length + looked.differences.stuck.length
    if (restless === 0 || performance.now() >= until) return report(await withScan(looked, options), options)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

interface Looked {
  readonly terminals: number
  readonly issuers: number
  readonly ledger: number
  readonly books: SwitchBooks
  readonly differences: Differences
}

async function look({ stateFolder, final }: ReconcileOptions): Promise<Looked> {
  const endpoints = readEndpoints(stateFolder)
  const youngAfter = final === true ? Number.POSITIVE_INFINITY : Date.now() - youngMs
  // In this order: an answer in the terminals' book was committed before, and a posting was at the issuer before.
  const terminals = await readTerminals(endpoints.terminals.book)
  const books = await snapshot(endpoints.database.readerUrl)
  const network = new Map(
    (await Promise.all(Object.values(endpoints.networks).map(({ book }) => readNetwork(book)))).flatMap(
      (book) => [...book],
    ),
  )
  return {
    terminals: terminals.size,
    issuers: [...network.values()].filter((held) => netOf(held) !== 0n).length,
    ledger: [...books.purchases.values()].flat().filter(({ netMinor }) => netMinor !== 0n).length,
    books,
    differences: compareBooks({ terminals, network, purchases: books.purchases }, youngAfter),
  }
}

async function snapshot(databaseUrl: string): Promise<SwitchBooks> {
  const client = await openClient({ databaseUrl, applicationName: 'mafraq-reconcile' })
  try {
    return await readSwitchBooks(client)
  } finally {
    await client.end()
  }
}

interface Scanned extends Looked {
  readonly canaryHits: readonly string[]
  readonly tampered: string | undefined
}

async function withScan(looked: Looked, { stateFolder, booksOnly }: ReconcileOptions): Promise<Scanned> {
  const { database } = readEndpoints(stateFolder)
  const { hits } = booksOnly === true ? { hits: [] } : await findCardData(stateFolder)
  let tampered: string | undefined
  try {
    const { bad } = await verifyLedger(database.readerUrl)
    if (bad !== undefined) tampered = `${bad.table} ${bad.row} ${bad.kind}`
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    throw new Error(`the ledger could not be verified: ${error.message}`)
  }
  return {
    ...looked,
    canaryHits: hits.map(({ encoding, file, kind, name }) => `${kind} of ${name}, ${encoding}, in ${file}`),
    tampered,
  }
}

function report(found: Scanned, options: ReconcileOptions): Reconciliation {
  const { books, differences } = found
  const counters = {
    lost: differences.lost.length,
    double: differences.double.length,
    'answer-mismatch': differences.answerMismatch.length,
    'reversal-owed': differences.reversalOwed.length,
    parked: books.parked,
    unbalanced: books.unbalanced + (found.tampered === undefined ? 0 : 1),
    stuck: differences.stuck.length,
    'canary-hits': found.canaryHits.length,
    'audit-gaps': books.auditGaps,
  }
  const failed = Object.entries(counters).filter(([, count]) => count > 0)
  const ok = failed.length === 0
  const result = ok ? 'ok' : failed.map(([name, count]) => `${name} ${count}`).join(', ')
  const { terminals, issuers, ledger } = found
  const pending = differences.pending.length
  if (options.json === true) {
    return {
      ok,
      lines: [JSON.stringify({ books: { terminals, issuers, ledger }, pending, ...counters, result })],
    }
  }
  const count = (many: number): string => many.toLocaleString('en')
  return {
    ok,
    lines: [
      `books: terminals ${count(terminals)}  issuers ${count(issuers)}  ledger ${count(ledger)}` +
        (pending === 0 ? '' : `  pending ${count(pending)}`),
      Object.entries(counters)
        .map(([name, many]) => `${name} ${count(many)}`)
        .join('  '),
      ...examples(found),
      `RESULT ${result}`,
    ],
  }
}

/** The first few of each kind, to start looking from: `mafraq explain` takes the RRN. */
function examples({ differences, canaryHits, tampered }: Scanned): string[] {
  const { pending: _pending, ...wrong } = differences
  const purchases = Object.entries(wrong).flatMap(([name, keys]) =>
    keys.slice(0, shownMax).map((key: string) => `  ${name}: RRN ${key.replace('|', ' terminal ')}`),
  )
  const places = canaryHits.slice(0, shownMax).map((place) => `  card data: ${place}`)
  return [...purchases, ...places, ...(tampered === undefined ? [] : [`  ledger: ${tampered}`])]
}
