import type { Message, MessageBody } from '../iso8583/iso8583.ts'
import type { SaidFees } from './said-fees.ts'

/**
 * How a message that the switch thinks of in the elements of ISO 8583:1987 is said to a network that says it in another
 * way. Pure. What is understood of the answer is in its own dialect's elements, which differ less.
 */
export interface Wording {
  /** `wallMs` is now: dates of 1987 have no year. */
  say(body: MessageBody, wallMs: number): MessageBody
  /** The fees that an answer says. Left out: in the elements of 1987. */
  readonly feesOf?: (message: Message) => SaidFees
}

/** As the switch thinks of it. */
export const singleMessage: Wording = { say: (body) => body }

/**
 * For a dual-message network: what a source asks once and for all is asked here as an authorization. Its reversal names
 * the authorization.
 */
export const dualMessage: Wording = {
  say({ mti, fields }) {
    const original = fields[90]
    const named =
      isGroup(original) && typeof original['mti'] === 'string'
        ? { ...fields, 90: { ...original, mti: asAuthorization(original['mti']) } }
        : fields
    return { mti: asAuthorization(mti), fields: named }
  },
}

function asAuthorization(mti: string): string {
  return mti.startsWith('020') ? `010${mti[3]!}` : mti
}

/** The parts of a nested element. */
export function isGroup(value: unknown): value is Readonly<Record<string, string | bigint>> {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
}
