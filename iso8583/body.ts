import type { MessageBody } from './message.ts'
import { safeName } from './safe-name.ts'
import { elementsMax, type Table, type Writer } from './table.ts'

/**
 * The elements that a body has a value for, ascending. A key that is no declared element's number is refused: it is a
 * misspelt element, which would else be missing in silence.
 */
export function elementsOf(table: Table, writer: Writer, fields: MessageBody['fields']): readonly number[] {
  const elements: number[] = []
  for (const [key, value] of Object.entries(fields)) {
    // What a caller has no value for is absent.
    if ((value as unknown) === undefined) continue
    const de = Number(key)
    if (!isDeclared(table, de) || String(de) !== key)
      return writer.fail('FIELD_NOT_IN_SPEC', /^\d{1,6}$/.test(key) ? key : `fields.${safeName(key)}`)
    elements.push(de)
  }
  return elements
}

function isDeclared({ declared }: Table, de: number): boolean {
  const isElement = Number.isInteger(de) && de >= 1 && de <= elementsMax
  return isElement && (declared[(de - 1) >> 5]! & (0x80000000 >>> ((de - 1) & 31))) !== 0
}
