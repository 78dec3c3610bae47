import { isParts } from './field/nested.ts'
import type { FieldValue } from './message.ts'
import { safeName } from './safe-name.ts'
import type { Writer } from './table.ts'

/** Parts of one run of digits as that run. */
export function joinedParts(writer: Writer, row: number, value: FieldValue, path: string): string {
  if (!isParts(value)) return writer.fail('VALUE_WRONG_TYPE', path)
  const { names, sizes, amounts, fills } = writer.table.parts[row]!
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) writer.fail('FIELD_NOT_IN_SPEC', `${path}.${safeName(name)}`)
  }
  let out = ''
  for (let index = 0; index < names.length; index++) {
    const inner = `${path}.${names[index]!}`
    const size = sizes[index]!
    const part = value[names[index]!] ?? (fills[index]! ? '' : writer.fail('VALUE_MISSING', inner))
    if (typeof part !== 'bigint' && typeof part !== 'string') return writer.fail('VALUE_WRONG_TYPE', inner)
    if (amounts[index]! !== (typeof part === 'bigint')) return writer.fail('VALUE_WRONG_TYPE', inner)
    const digits = String(part)
    if (digits.length > size) writer.fail('VALUE_TOO_LONG', inner, size, digits.length)
    if (digits.length < size && !amounts[index]! && !fills[index]!) {
      writer.fail('VALUE_TOO_SHORT', inner, size, digits.length)
    }
    out += digits.padStart(size, '0')
  }
  return out
}
