import { readBook } from '../../simulators/book.ts'
import type { NetworkLine } from '../../simulators/network/book-lines.ts'
import { purchaseKey } from './terminals.ts'

/** What the issuers behind a network hold of a purchase. */
export interface Held {
  /** Wall clock ms of the last line about it. */
  at: number
  /**
   * Amounts taken and not released, by the original they belong to: more than one is a purchase taken twice. What was
   * given to the cardholder is below zero.
   */
  readonly debits: Map<string, bigint>
  readonly originals: Set<string>
}

/** The network's book by purchase: RRN and terminal. */
export async function readNetwork(path: string): Promise<Map<string, Held>> {
  const book = new Map<string, Held>()
  for await (const raw of readBook(path)) {
    const line = raw as unknown as NetworkLine
    const key = purchaseKey(line)
    const held = book.get(key) ?? { at: 0, debits: new Map<string, bigint>(), originals: new Set<string>() }
    book.set(key, held)
    held.at = line.at
    switch (line.event) {
      case 'debit':
      case 'hold':
        held.originals.add(original(line.stan, line.transmittedAt))
        held.debits.set(original(line.stan, line.transmittedAt), BigInt(line.amountMinor))
        break
      case 'raise':
        stand(held, line)
        break
      case 'credit':
        held.originals.add(original(line.stan, line.transmittedAt))
        held.debits.set(original(line.stan, line.transmittedAt), -BigInt(line.amountMinor))
        break
      case 'inquiry':
      // Between accounts of one cardholder: nothing is owed to anybody.
      case 'transfer':
      case 'verification':
      case 'decline':
        held.originals.add(original(line.stan, line.transmittedAt))
        break
      case 'reversal':
        reverse(held, line)
        break
      case 'completion':
        complete(held, line)
        break
      case 'reversalRefused':
        break
    }
  }
  return book
}

/** In the place of what was set aside, or, where nothing was, on its own. */
function complete(held: Held, line: NetworkLine & { readonly event: 'completion' }): void {
  const { amountMinor, applied, originalStan, originalTransmittedAt } = line
  if (applied === 'forced') held.debits.set(original(line.stan, line.transmittedAt), BigInt(amountMinor))
  if (stand(held, line)) return
  if (applied !== 'taken' || originalStan === undefined || originalTransmittedAt === undefined) return
  held.debits.set(original(originalStan, originalTransmittedAt), BigInt(amountMinor))
}

/** Of an authorization that is raised, or taken in parts, the network says what it stands at. */
function stand(
  held: Held,
  line: NetworkLine & { readonly event: 'raise' | 'completion' | 'reversal' },
): boolean {
  const { rootStan, rootTransmittedAt, standsAtMinor } = line
  if (rootStan === undefined || rootTransmittedAt === undefined || standsAtMinor === undefined) return false
  held.debits.set(original(rootStan, rootTransmittedAt), BigInt(standsAtMinor))
  return true
}

function reverse(held: Held, line: NetworkLine & { readonly event: 'reversal' }): void {
  const key = original(line.originalStan, line.originalTransmittedAt)
  if (stand(held, line)) return
  if (line.applied === 'released') held.debits.delete(key)
  if (line.applied !== 'reduced') return
  const remaining = BigInt(line.actualMinor ?? '0')
  held.debits.set(key, (held.debits.get(key) ?? 0n) < 0n ? -remaining : remaining)
}

export function netOf(held: Held | undefined): bigint {
  let sum = 0n
  for (const amount of held?.debits.values() ?? []) sum += amount
  return sum
}

function original(stan: string, transmittedAt: string): string {
  return `${transmittedAt}|${stan}`
}
