import type { Wording } from '../wording.ts'

/**
 * What the answer said of itself in DE63 and DE15 comes back in later messages of the same transaction as one
 * identifier, in DE48 subelement 63. DE15 of a message of ours is the network's to say.
 */
export const traceIdentifier: Wording = {
  say({ mti, fields }) {
    const { 63: reference, 15: settlementDate, ...rest } = fields
    if (typeof reference !== 'string' || typeof settlementDate !== 'string') return { mti, fields }
    return { mti, fields: { ...rest, 48: { '63': `${reference}${settlementDate}` } } }
  },
}
