/** Whose fault it is decides the answer: `refused` is about what was asked, the others about the HSM. */
export type HsmFault =
  /** One answer for every fault of a PIN block, so that nobody can learn a PIN from the differences. */
  | { readonly kind: 'pinBlock' }
  | { readonly kind: 'refused'; readonly why: RefusedWhy }
  /** The queue was full: nothing was asked of the token. */
  | { readonly kind: 'shed' }
  | { readonly kind: 'deadline' }
  | { readonly kind: 'unavailable' }

export const refusedWhys = [
  'unknownKey',
  'wrongUsage',
  'badRequest',
  'unknownToken',
  // Of keys that come from a peer: another check value, a weak value, one that was in use before, a driver that keeps none.
  'kcvDiffers',
  'weakKey',
  'oldKey',
  'unsupported',
] as const
type RefusedWhy = (typeof refusedWhys)[number]

export class HsmError extends Error {
  readonly fault: HsmFault

  constructor(fault: HsmFault) {
    super('why' in fault ? `hsm: ${fault.kind} (${fault.why})` : `hsm: ${fault.kind}`)
    this.name = 'HsmError'
    this.fault = fault
  }
}
