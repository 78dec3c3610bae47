import type { SimulatedDatabase } from './journal.ts'
import { balanceOf, type SimulatedNetwork } from './network.ts'
import type { SimulatedTerminals, Told } from './terminals.ts'

/** What must hold when the faults have stopped and everything has come to rest. One sentence for each violation. */
export function check(books: {
  readonly terminals: SimulatedTerminals
  readonly network: SimulatedNetwork
  readonly database: SimulatedDatabase
}): string[] {
  const { terminals, network, database } = books
  const violations: string[] = []
  const wrong = (rule: string, what: string): void => void violations.push(`${rule} ${what}`)

  if (database.books.imbalance !== 0n) wrong('N5', 'the books do not sum to zero')
  for (const told of terminals.book) checkPurchase(told, books, wrong)
  for (const { transaction } of database.transactions.values()) {
    if (transaction.state === 'intent' || transaction.state === 'reversing') {
      wrong('N6', `${transaction.sourceKey} is still ${transaction.state}`)
    }
    const events = database.events.filter(({ transactionId }) => transactionId === transaction.id)
    if (
      events.some(({ sequence }, index) => sequence !== index + 1) ||
      events.length !== transaction.version
    ) {
      wrong('N8', `${transaction.sourceKey} has a gap in its events`)
    }
  }
  for (const obligation of database.obligations.values()) {
    if (obligation.state === 'due')
      wrong('N4', `${obligation.key} is still due after ${obligation.attempts} attempts`)
  }
  for (const rrn of network.reversedInquiries) wrong('N4', `${rrn} asked for a balance and was reversed`)
  for (const [rrn, count] of network.originalsOf) {
    if (count > 1) wrong('N2', `the issuer saw ${count} originals for ${rrn}`)
  }
  return violations
}

function checkPurchase(
  told: Told,
  { network, database }: { readonly network: SimulatedNetwork; readonly database: SimulatedDatabase },
  wrong: (rule: string, what: string) => void,
): void {
  const stored = [...database.transactions.values()].find(
    ({ transaction }) => transaction.sourceKey === told.sourceKey,
  )
  const ledger = stored === undefined ? 0n : database.books.net(stored.transaction.id)
  const issuer = network.net(told.rrn)
  const approved = told.answers.some(({ responseCode }) => responseCode === '00')
  if (issuer !== ledger) wrong('N1', `${told.rrn}: the issuer holds ${issuer}, the ledger ${ledger}`)
  if (new Set(told.answers.map((answer) => Object.values(answer).join(' '))).size > 1) {
    wrong('N3', `${told.rrn}: the terminal heard two different answers`)
  }
  if (told.mismatchApproved) wrong('N3', `${told.rrn}: other data under the same key was approved`)
  if (told.parts.some(({ acknowledged }) => !acknowledged))
    wrong('N4', `${told.rrn}: a partial reversal was never acknowledged`)
  if (told.reversalAsked) {
    if (!told.reversalAcknowledged) wrong('N4', `${told.rrn}: the terminal's reversal was never acknowledged`)
    else if (ledger !== 0n) wrong('N3', `${told.rrn}: reversed, but the ledger holds ${ledger}`)
    return
  }
  const balance = told.kind === 'balance' ? balanceOf(told.rrn) : undefined
  for (const answer of told.answers) {
    if (answer.responseCode === '00' && answer.additionalAmounts !== balance)
      wrong('N3', `${told.rrn}: told a balance of ${answer.additionalAmounts}`)
  }
  if (approved && ledger !== costOf(told))
    wrong('N3', `${told.rrn}: approved, but the ledger holds ${ledger}`)
  if (!approved && told.answers.length > 0 && ledger !== 0n) {
    wrong('N3', `${told.rrn}: declined, but the ledger holds ${ledger}`)
  }
}

/** What is left of it for the cardholder after the last partial reversal. */
function costOf({ costMinor, parts }: Told): bigint {
  const left = parts.at(-1)?.actualMinor
  if (left === undefined) return costMinor
  return costMinor < 0n ? -left : left
}
