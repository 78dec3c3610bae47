/** How a fault travels in an answer of the HSM process. */
import { refusedWhys } from './fault.ts'
import type { HsmFault } from './fault.ts'
import type { Fields } from './wire.ts'

export function fieldsOf(fault: HsmFault): Fields {
  return { fault: fault.kind, ...('why' in fault ? { why: fault.why } : {}) }
}

/** Undefined for an answer that is none of a fault. One that we don't know is `unavailable`. */
export function faultOf(fields: Fields): HsmFault | undefined {
  const kind = fields['fault']
  if (kind === undefined) return undefined
  if (kind === 'pinBlock' || kind === 'shed') return { kind }
  if (kind === 'refused') {
    return { kind, why: refusedWhys.find((why) => why === fields['why']) ?? 'badRequest' }
  }
  return { kind: 'unavailable' }
}
