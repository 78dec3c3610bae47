import {
  type BookDifference,
  type BookTotal,
  type Difference,
  type MatchReport,
  movesMoney,
  type OwnBooks,
  type readStatement,
  type Unmatched,
} from '../../switch/switch.ts'
import { amountText, render, type Table } from '../commands/ledger-table.ts'

/** What a match found, as it is told; without a statement there is nothing to say of the network. */
export interface MatchTold {
  readonly destination: string
  readonly date: string
  /** Nothing more comes to it. */
  readonly isFrozen: boolean
  readonly journal: readonly BookTotal[]
  readonly books: OwnBooks
  readonly statement?: ReturnType<typeof readStatement>
  readonly network?: readonly BookTotal[]
  readonly report?: MatchReport
}

/** Whether all four say the same of the date, item by item where money moves. */
export function toldAgrees({ books, journal, network, report }: MatchTold): boolean {
  return (
    isSame(journal, books.ledger) &&
    books.sourcesDiffer.length === 0 &&
    (network === undefined || isSame(journal, network)) &&
    (report === undefined || !report.differing.some(movesMoney))
  )
}

export function asText(told: MatchTold): string {
  const { books, date, destination, isFrozen, journal, network, report, statement } = told
  const currencies = [
    ...new Set([journal, books.ledger, network ?? []].flat().map(({ currency }) => currency)),
  ]
  const totals: Table = {
    columns: ['what the network owes', 'journal', 'ledger', 'network'],
    rows: currencies
      .sort()
      .map((currency) => [
        currency,
        amountOf(journal, currency),
        amountOf(books.ledger, currency),
        network === undefined ? 'no statement' : amountOf(network, currency),
      ]),
  }
  const sources: Table = {
    columns: ['source', 'transactions', 'currency', 'left by what it was told', 'of other dates too'],
    rows: books.sources.map(({ source, transactions, currency, minor, otherDates }) => [
      ...[source, transactions, currency, amountText(minor, currency), otherDates],
    ]),
  }
  const seal = statement?.sealed === true ? ', digest right' : ', no digest'
  const sum = statement?.totalled === true ? 'totals right' : 'no totals'
  const head =
    statement === undefined
      ? `${destination} ${date}: without a statement of the network`
      : `${destination} ${date}: a statement of ${statement.items.length} items (${sum}${seal})`
  const open = isFrozen ? '' : 'the date is not frozen yet: more may come to it\n'
  return [
    `${head}\n${open}`,
    render(totals, 'table'),
    books.sources.length === 0 ? '' : render(sources, 'table'),
    ...(report === undefined ? [] : reportText(report)),
    bookText('the ledger', books.ledgerDiffers),
    bookText('what its source was told', books.sourcesDiffer),
    `RESULT ${toldAgrees(told) ? 'ok' : 'differs'}\n`,
  ]
    .filter((part) => part !== '')
    .join('\n')
}

function reportText({ cameAndWent, counts, differing }: MatchReport): string[] {
  const states: Table = {
    columns: ['state', 'currency', 'items', 'ours', 'theirs'],
    rows: counts.map(({ state, currency, items, oursMinor, theirsMinor }) => [
      ...[stateWords[state], currency, items],
      ...[amountText(oursMinor, currency), amountText(theirsMinor, currency)],
    ]),
  }
  const gone =
    cameAndWent === 0 ? [] : [`of the matched, ${cameAndWent} one side alone did and undid on that date\n`]
  return [render(states, 'table'), ...gone, ...differing.map(differenceText)]
}

/** The states of C3 in our words. */
const stateWords = {
  matched: 'matched',
  oursOnly: 'ours only',
  theirsOnly: 'theirs only',
  amountDiffers: 'amount differs',
  dateDiffers: 'date differs',
  duplicated: 'duplicated',
  outOfBalance: 'out of balance',
  notCompared: 'not compared',
} as const

function differenceText(one: Difference): string {
  const hint = movesMoney(one) ? '' : '  (no money hangs on it)'
  return `${stateWords[one.state].toUpperCase().padEnd(14)}  RRN ${one.rrn}  terminal ${one.terminal}  ${nameOf(one)}${hint}
  ${saidText(one)}  mafraq explain ${one.rrn}\n`
}

function saidText({ ours, state, theirs }: Pick<Difference, 'ours' | 'theirs'> & { state: string }): string {
  const we = ours === undefined ? undefined : `we say ${moneyText(ours)}`
  const they = theirs === undefined ? undefined : `they say ${moneyText(theirs)}`
  if (state === 'duplicated') return `${we ?? they}, once more than ${we === undefined ? 'we' : 'they'} do`
  return `${we ?? 'we have nothing'}, ${they ?? 'they have nothing'}`
}

function moneyText({ currency, date, minor }: NonNullable<Difference['ours']>): string {
  return `${currency} ${amountText(minor, currency)} on ${date}`
}

function nameOf({ isReversal, type }: { isReversal: boolean | null; type: string | null }): string {
  return `${type ?? 'totals'}${isReversal === true ? ' reversal' : ''}`
}

function bookText(other: string, differences: readonly BookDifference[]): string {
  return differences
    .map(
      ({ rrn, id, currency, journalMinor, otherMinor }) =>
        `BOOKS DIFFER    RRN ${rrn}  by the journal ${currency} ${amountText(journalMinor, currency)}, by ${other} ${amountText(otherMinor, currency)}  mafraq explain ${rrn === '' ? id : rrn}\n`,
    )
    .join('')
}

/** What differs, one row an item. */
export function asCsv({ report }: MatchTold): string {
  const columns = ['state', 'type', 'isReversal', 'rrn', 'terminal', 'oursCurrency', 'oursMinor', 'oursDate']
  const rows = (report?.differing ?? []).map(({ state, type, isReversal, rrn, terminal, ours, theirs }) => [
    ...[state, type, String(isReversal), rrn, terminal],
    ...[ours, theirs].flatMap((said) => [said?.currency ?? '', said?.minor ?? '', said?.date ?? '']),
  ])
  return render({ columns: [...columns, 'theirsCurrency', 'theirsMinor', 'theirsDate'], rows }, 'csv')
}

/** The queue, the oldest first. */
export function queueText(items: readonly Unmatched[], nowMs: number): string {
  if (items.length === 0) return 'nothing is open: all that was matched is the same on both sides\n'
  return items.map((item) => itemText(item, nowMs)).join('')
}

function itemText(item: Unmatched, nowMs: number): string {
  const { currency, date, destination, firstSeen, id, rrn, state, status, who, why } = item
  const hours = Math.floor((nowMs - firstSeen.getTime()) / 3_600_000)
  const word = status === 'open' ? '' : `\n  ${status} by ${who}, "${why}"`
  const about =
    rrn === null
      ? `totals in ${currency ?? ''}  mafraq day items ${destination} ${date} --csv has ours`
      : `RRN ${rrn}  ${nameOf(item)}  ${saidText(item)}  mafraq explain ${rrn}`
  return `${id.padStart(5)}  ${destination} ${date}  ${stateWords[state]}, ${hours} h old\n  ${about}${word}\n`
}

function amountOf(totals: readonly BookTotal[], currency: string): string {
  return amountText(totals.find((one) => one.currency === currency)?.minor ?? 0n, currency)
}

function isSame(one: readonly BookTotal[], other: readonly BookTotal[]): boolean {
  const of = (totals: readonly BookTotal[], currency: string): bigint =>
    totals.find((total) => total.currency === currency)?.minor ?? 0n
  return [...one, ...other].every(({ currency }) => of(one, currency) === of(other, currency))
}
