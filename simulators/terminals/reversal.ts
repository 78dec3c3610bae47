import { setTimeout as sleep } from 'node:timers/promises'
import { acknowledgedCodes, type ReversalLine } from './book-lines.ts'
import type { Channel } from './channel.ts'
import { type Purchase, repeatOf, reversalRequest } from './messages.ts'
import type { Surroundings } from './surroundings.ts'

export interface ReversalOwed {
  readonly purchase: Purchase
  readonly channel: Channel
  readonly mti: '0400' | '0420'
  /** The reversal of an earlier life: the same message goes on as a repeat. */
  readonly begun?: ReversalLine
}

/**
 * Reverses a purchase: the first message as it is, every later one as its repeat with the same trace number, until
 * an answer ends it. Line losses and restarts don't.
 */
export async function reverseUntilAcknowledged(owed: ReversalOwed, around: Surroundings): Promise<void> {
  const { rrn } = owed.purchase
  around.tally.reversalsOpen++
  around.lateAcknowledgements.expect(rrn)
  try {
    await deliver(owed, around)
  } finally {
    around.tally.reversalsOpen--
    around.lateAcknowledgements.forget(rrn)
  }
}

async function deliver({ purchase, channel, mti, begun }: ReversalOwed, around: Surroundings): Promise<void> {
  const { book, tally, reversalEveryMs } = around
  const named = { terminal: purchase.terminalId, rrn: purchase.rrn }
  const stan = begun?.stan ?? around.numbering.nextStan(purchase.terminalId)
  const identity = { mti: begun?.mti ?? mti, stan, madeAt: begun?.madeAt ?? Date.now() }
  const message = reversalRequest({ purchase, ...identity })
  for (let attempt = (begun?.attempt ?? 0) + 1; !around.ended(); attempt++) {
    await channel.whenUp()
    if (around.ended()) return
    if (await acknowledged(around.lateAcknowledgements.of(purchase.rrn), named, around)) return
    await book.record({ at: Date.now(), event: 'reversal', ...named, attempt, ...identity })
    tally.reversalAttempts++
    const sending = attempt === 1 ? message : repeatOf(message)
    const reply = await channel.ask(sending, { timeoutMs: reversalEveryMs })
    const answered = reply.kind === 'answer' && reply.seal === 'good' ? reply.message.fields[39] : undefined
    if (await acknowledged(answered, named, around)) return
    if (reply.kind !== 'noAnswer' || reply.why !== 'timeout') await sleep(reversalEveryMs)
  }
}

/** Books an answer, if there is one; whether it ends the reversal. */
async function acknowledged(
  responseCode: string | undefined,
  named: { readonly terminal: string; readonly rrn: string },
  { book, tally }: Surroundings,
): Promise<boolean> {
  if (responseCode === undefined) return false
  await book.record({ at: Date.now(), event: 'reversalAnswer', ...named, responseCode })
  const ends = acknowledgedCodes.includes(responseCode)
  if (ends) tally.reversed++
  else tally.reversalsRefused++
  return ends
}
