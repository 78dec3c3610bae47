import type { Random } from '../../../kernel/random.ts'
import { authorization } from './authorization.ts'
import { balance } from './balance.ts'
import { cashback } from './cashback.ts'
import { completion } from './completion.ts'
import { deposit } from './deposit.ts'
import type { SimulatedKind } from './kind.ts'
import { preauthorization } from './preauthorization.ts'
import { purchase } from './purchase.ts'
import { refund } from './refund.ts'
import { transfer } from './transfer.ts'
import { verification } from './verification.ts'
import { withdrawal } from './withdrawal.ts'

/** Everything terminals ask for. A new kind is a file beside this one and a name here. */
const simulatedKinds: readonly SimulatedKind[] = [
  purchase,
  cashback,
  withdrawal,
  refund,
  deposit,
  transfer,
  balance,
  verification,
  authorization,
  preauthorization,
  completion,
]

const tickets = simulatedKinds.flatMap((kind) => Array<SimulatedKind>(kind.weight).fill(kind))

export function drawKind(random: Random): SimulatedKind {
  return tickets[random.below(tickets.length)]!
}

/** As a network is told it: the type of the message, DE3, DE25 and whether DE4 is nothing. */
export function kindOfRequest(told: {
  readonly mti: string
  readonly processingCode: string
  readonly conditionCode: string
  readonly amountMinor: bigint
}): SimulatedKind {
  const asksOnly = told.amountMinor === 0n
  const kind = simulatedKinds.find(
    ({ mti, processingCode, conditionCode = '00', taken }) =>
      mti === told.mti &&
      processingCode === told.processingCode &&
      (taken === 0n) === asksOnly &&
      conditionCode === told.conditionCode,
  )
  if (kind === undefined) throw new Error(`no terminal asks for ${told.processingCode} in a ${told.mti}`)
  return kind
}
