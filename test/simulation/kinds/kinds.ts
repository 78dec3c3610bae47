import type { Random } from '../../../kernel/random.ts'
import { balance } from './balance.ts'
import type { SimulatedKind } from './kind.ts'
import { purchase } from './purchase.ts'
import { refund } from './refund.ts'
import { withdrawal } from './withdrawal.ts'

/** Everything terminals ask for. A new kind is a file beside this one and a name here. */
const simulatedKinds: readonly SimulatedKind[] = [purchase, withdrawal, refund, balance]

const byProcessingCode = new Map(simulatedKinds.map((kind) => [kind.processingCode, kind]))
const tickets = simulatedKinds.flatMap((kind) => Array<SimulatedKind>(kind.weight).fill(kind))

export function drawKind(random: Random): SimulatedKind {
  return tickets[random.below(tickets.length)]!
}

/** By DE3, which a network is told as the terminal wrote it. */
export function kindOfProcessingCode(processingCode: string): SimulatedKind {
  const kind = byProcessingCode.get(processingCode)
  if (kind === undefined) throw new Error(`no terminal asks for ${processingCode}`)
  return kind
}
