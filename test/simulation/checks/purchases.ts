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
  const expired = new Set(
    database.events.flatMap((one) => (one.kind === 'expired' ? [one.transactionId] : [])),
  )
  for (const told of terminals.book) {
    checkAnswers(told, wrong)
    if (isRaise(told)) continue
    const family = [told, ...told.children.filter(isRaise)]
    const stored = family.flatMap(({ sourceKey }) => byKey.get(sourceKey) ?? [])
    const ledger = sum(stored.map(({ id }) => database.books.net(id)))
    const isParked = stored.some(({ id }) => parked.has(id))
    const issuer = sum(scene.networks.flatMap((network) => family.map(({ rrn }) => network.issuer.net(rrn))))
    // Nobody took it in time: the issuer keeps its own time, and is not told. A reversal that the issuer will not have is for
    // people to settle: until then the two differ.
    const isExpired = stored.some(({ id }) => expired.has(id))
    if (issuer !== ledger && !isParked && !isExpired)
      wrong('N1', `${told.rrn}: the issuer holds ${issuer}, the ledger ${ledger}`)
    checkCost(told, { ledger, isExpired }, wrong)
    checkRefunds(told, { byKey, scene, ledger }, wrong)
  }
}

/** A raise is of the same money as the authorization that it raises. */
function isRaise({ kind }: Told): boolean {
  return kind.kind === 'incremental'
}

function checkAnswers(told: Told, wrong: Wrong): void {
  const { rrn } = told
  if (new Set(told.answers.map((answer) => Object.values(answer).join(' '))).size > 1) {
    wrong('N3', `${rrn}: the terminal heard two different answers`)
  }
  if (told.mismatchApproved) wrong('N3', `${rrn}: other data under the same key was approved`)
  if (told.parts.some(({ answer }) => answer === undefined))
    wrong('N4', `${rrn}: a partial reversal was never acknowledged`)
  if (told.completions.some(({ answer }) => answer === undefined))
    wrong('N4', `${rrn}: its completion was never acknowledged`)
  if (told.reversalAsked && !told.reversalAcknowledged)
    wrong('N4', `${rrn}: the terminal's reversal was never acknowledged`)
  const additionalAmounts = told.kind.additionalAmounts?.(rrn)
  for (const answer of told.reversalAsked ? [] : told.answers) {
    if (approvals.includes(answer.responseCode) && answer.additionalAmounts !== additionalAmounts)
      wrong('N3', `${rrn}: told a balance of ${answer.additionalAmounts}`)
  }
}

/** The books hold what the cardholder must have paid by what the terminal was told. */
function checkCost(
  told: Told,
  { ledger, isExpired }: { readonly ledger: bigint; readonly isExpired: boolean },
  wrong: Wrong,
): void {
  const { rrn } = told
  if (told.reversalAsked && !told.reversalRefused) {
    if (told.reversalAcknowledged && ledger !== 0n)
      wrong('N3', `${rrn}: reversed, but the ledger holds ${ledger}`)
    return
  }
  const approval = approvalOf(told)
  if (approval === undefined) {
    if (told.answers.length > 0 && ledger !== 0n)
      wrong('N3', `${rrn}: declined, but the ledger holds ${ledger}`)
    return
  }
  const cost = costOf(told, isExpired)
  if (ledger !== cost) wrong('N3', `${rrn}: approved, but the ledger holds ${ledger}, not ${cost}`)
}

/** Σ refunds ≤ what was taken. */
function checkRefunds(
  told: Told,
  {
    byKey,
    ledger,
    scene,
  }: { readonly byKey: ReadonlyMap<string, Transaction>; readonly ledger: bigint; readonly scene: Scene },
  wrong: Wrong,
): void {
  const refunds = told.children.filter((child) => !isRaise(child))
  const back = sum(refunds.map(({ sourceKey }) => scene.database.books.net(byKey.get(sourceKey)?.id ?? '')))
  if (refunds.length > 0 && ledger + back < 0n)
    wrong('N2', `${told.rrn}: of ${ledger} more was given back: ${-back}`)
}

function approvalOf(told: Told): Told['answers'][number] | undefined {
  return told.answers.find(({ responseCode }) => approvals.includes(responseCode))
}

/** What the cardholder must have paid for an approval, or been paid: what was taken of it, and what is still set aside. */
function costOf(told: Told, isExpired: boolean): bigint {
  const taken = told.completions.filter(({ answer }) => answer === '00')
  const takenMinor = sum(taken.map(({ amountMinor }) => amountMinor))
  if (isExpired || taken.some(({ isPart }) => !isPart)) return takenMinor
  const heldMinor = sum([told, ...told.children.filter(isRaise)].map(leftOf))
  return told.kind.taken * (heldMinor > takenMinor ? heldMinor : takenMinor)
}

/** What the last partial reversal left of what was approved. */
function leftOf(told: Told): bigint {
  const approval = approvalOf(told)
  if (approval === undefined || (told.reversalAsked && !told.reversalRefused)) return 0n
  const left = told.parts.filter(({ answer }) => answer === '00').map(({ actualMinor }) => actualMinor)
  const approvedMinor = approval.amountMinor ?? told.amountMinor
  return left.reduce((least, one) => (one < least ? one : least), approvedMinor)
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, one) => total + one, 0n)
}
