import type { Sensitivity } from './dialect.ts'
import type { FieldValue } from './message.ts'

/**
 * What may be shown of a sensitive value. A card number keeps its first six and last four digits (PCI DSS 3.4.1);
 * what was declared a card number and doesn't look like one is hidden like everything else.
 */
export function mask(sensitivity: Sensitivity, value: FieldValue): string {
  if (sensitivity === 'pan' && typeof value === 'string' && /^\d{13,19}$/.test(value)) {
    return `${value.slice(0, 6)}${'*'.repeat(value.length - 10)}${value.slice(-4)}`
  }
  return hidden(sensitivity)
}

export function hidden(sensitivity: Sensitivity): string {
  return `[${sensitivity}]`
}
