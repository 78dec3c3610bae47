import type { Transaction } from '../../../switch/transaction/transaction.ts'
import type { Scene } from '../scene.ts'
import type { Told } from '../terminals.ts'
import type { Check, Wrong } from './check.ts'

const approvals = ['00', '10', '85']

/** What each terminal was told, what the issuers hold and what the ledger posted are the same. */
export const threeBooksAgree: Check = (scene, wrong) => {
  const { database, terminals } = scene
  const byKey = new Map<string, Transaction>()
  for (const { transaction } of database.transactions.values()) byKey.set(transaction.sourceKey, transaction)
  const parked = new Set<string>()
  for (const { transactionId, state } of database.obligations.values())
    if (state === 'parked') parked.add(transactionId)
  for (const told of terminals.book) {
    const stored = byKey.get(told.sourceKey)
    const net = stored === undefined ? 0n : database.books.net(stored.id)
    const isParked = stored !== undefined && parked.has(stored.id)
    // Nobody took it in time: the issuer keeps its own time, and is not told.
    if (stored?.state === 'expired') {
      if (net !== 0n) wrong('N3', `${told.rrn}: expired, but the ledger holds ${net}`)
      if (told.completion?.answer === '00') wrong('N3', `${told.rrn}: completed, but expired`)
    } else checkPurchase(told, { net, isParked }, scene, wrong)
  }
}

function checkPurchase(
  told: Told,
  { net: ledger, isParked }: { readonly net: bigint; readonly isParked: boolean },
  { networks }: Scene,
  wrong: Wrong,
): void {
  const { rrn } = told
  const issuer = networks.reduce((sum, network) => sum + network.issuer.net(rrn), 0n)
  const approval = told.answers.find(({ responseCode }) => approvals.includes(responseCode))
  // A reversal that the issuer will not have is for people to settle: until then the two differ.
  if (issuer !== ledger && !isParked) wrong('N1', `${rrn}: the issuer holds ${issuer}, the ledger ${ledger}`)
  if (new Set(told.answers.map((answer) => Object.values(answer).join(' '))).size > 1) {
    wrong('N3', `${rrn}: the terminal heard two different answers`)
  }
  if (told.mismatchApproved) wrong('N3', `${rrn}: other data under the same key was approved`)
  if (told.parts.some(({ acknowledged }) => !acknowledged))
    wrong('N4', `${rrn}: a partial reversal was never acknowledged`)
  if (told.completion !== undefined && told.completion.answer === undefined)
    wrong('N4', `${rrn}: its completion was never acknowledged`)
  if (told.reversalAsked) {
    if (!told.reversalAcknowledged) wrong('N4', `${rrn}: the terminal's reversal was never acknowledged`)
    else if (ledger !== 0n) wrong('N3', `${rrn}: reversed, but the ledger holds ${ledger}`)
    return
  }
  const additionalAmounts = told.kind.additionalAmounts?.(rrn)
  for (const answer of told.answers) {
    if (approvals.includes(answer.responseCode) && answer.additionalAmounts !== additionalAmounts)
      wrong('N3', `${rrn}: told a balance of ${answer.additionalAmounts}`)
  }
  if (approval !== undefined && ledger !== costOf(told, approval.amountMinor))
    wrong('N3', `${rrn}: approved, but the ledger holds ${ledger}`)
  if (approval === undefined && told.answers.length > 0 && ledger !== 0n) {
    wrong('N3', `${rrn}: declined, but the ledger holds ${ledger}`)
  }
}

/** What the cardholder must have paid for an approval, or been paid: what the last partial reversal left of it. */
function costOf({ kind, amountMinor, completion, parts }: Told, approvedMinor = amountMinor): bigint {
  if (completion?.answer === '00') return completion.amountMinor
  return kind.taken * (parts.at(-1)?.actualMinor ?? approvedMinor)
}
