import { type DestinationRules, type StoredRules, usualStored } from '../connectors/connector.ts'
import { numberOf } from '../kernel/ids.ts'

/**
 * In which order a destination hears what it is owed (§4.8, S2). A card's entries are told in the order in which they
 * became owed, one after the other; cards are spread over lanes, and in a lane one message is under way. What waits to
 * be tried again lets other cards pass, unless the destination wants everything in strict order. What is parked holds
 * back only what its own transaction owes after it. A barrier goes when all before it is done, and all behind it waits
 * for it.
 */
export function storedRulesOf({ stored }: DestinationRules): StoredRules {
  const rules = { ...usualStored, ...stored }
  return rules.order === 'strict' ? { ...rules, lanes: 1 } : rules
}

/** Below 2^31, the same for every entry of a card. Two cards that share one wait for each other, which is harmless. */
export function laneKeyOf(cardToken: string | undefined, transactionId: string): number {
  return numberOf(cardToken ?? transactionId)
}
