import { type Hsm, HsmError } from '../hsm/hsm.ts'
import type { Arrived } from './arrivals.ts'
import type { StoredCard } from './transaction/transaction.ts'

/** The card as it may be stored; `untokenised` when its number will be needed and could not be put into the vault. */
export interface CardOnFile {
  readonly card: StoredCard
  readonly untokenised: boolean
}

export interface AdmissionPorts {
  readonly hsm: Pick<Hsm, 'verifyMac' | 'verifyThenTokenise'>
}

export interface Seal {
  readonly key: string
  readonly data: Uint8Array
  readonly mac: Uint8Array
}

/**
 * Whether the source sealed what arrived, and for a request the card as it may be stored. `unsealed` changes nothing
 * and is answered so; `unknown` when the HSM can't say: then nothing may be believed or said.
 */
export type Admission = 'unsealed' | 'unknown' | { readonly kind: 'sealed'; readonly file?: CardOnFile }

export async function admit(arrival: Arrived, seal: Seal, { hsm }: AdmissionPorts): Promise<Admission> {
  try {
    if (arrival.kind !== 'request' && arrival.kind !== 'completion')
      return (await hsm.verifyMac(seal)) ? { kind: 'sealed' } : 'unsealed'
    const { cardMask: mask, rules, secrets } = arrival
    const { pan, expiry } = secrets.reveal()
    // A card that goes nowhere is no business of the vault's.
    if (!rules.routes.serves(pan)) {
      const sealed = await hsm.verifyMac(seal)
      return sealed ? { kind: 'sealed', file: { card: { mask }, untokenised: false } } : 'unsealed'
    }
    const answer = await hsm.verifyThenTokenise({ ...seal, pan, ...(expiry === undefined ? {} : { expiry }) })
    if (!answer.verified) return 'unsealed'
    const { token } = answer
    if (token === undefined) return { kind: 'sealed', file: { card: { mask }, untokenised: true } }
    return { kind: 'sealed', file: { card: { mask, token }, untokenised: false } }
  } catch (error) {
    if (!(error instanceof HsmError)) throw error
    return 'unknown'
  }
}
