import { readBitmaps, words } from './bitmap.ts'
import { clearFault, cursor, isFaulty } from './cursor.ts'
import { decodeQuickly } from './decode-quick.ts'
import { DecodedMessage } from './decoded.ts'
import { IsoCodecError, type IsoCodecErrorCode } from './error.ts'
import type { Irregularity } from './message.ts'
import { placeOf } from './place.ts'
import { layoutOf } from './plan.ts'
import { readRow } from './read.ts'
import { lengthKind, type Table } from './table.ts'

const regular: readonly Irregularity[] = Object.freeze([])
const emptyBitmap: readonly Irregularity[] = Object.freeze([{ code: 'EMPTY_BITMAP', path: 'bitmap' }])

/**
 * Reads a message: the quick way where there is nothing to say about it, else the careful one.
 *
 * The careful way reads front to back, once: MTI, bitmaps, elements. What is wrong inside an element whose end is known
 * does not stop the reading, so that the references behind it can still be told to the sender; the first such
 * fault is the answer all the same.
 */
export function decode(table: Table, bytes: Buffer): DecodedMessage | IsoCodecError {
  return decodeQuickly(table, bytes) ?? decodeCarefully(table, bytes)
}

function decodeCarefully(table: Table, bytes: Buffer): DecodedMessage | IsoCodecError {
  const end = bytes.length
  clearFault()

  let at = readRow(table, 0, bytes, 0, end)
  if (isFaulty()) return failure(table, bytes, -1, 'mti')
  const mtiStart = cursor.start

  at = readBitmaps(table, bytes, at, end)
  if (at < 0) return failure(table, bytes, mtiStart, 'bitmap')
  let irregularities = cursor.units === 1 ? emptyBitmap : regular

  const found: Found = { elements: [], places: [] }
  let first: Fault | undefined

  for (let word = 0; word < 6; word++) {
    let left = words[word]!
    while (left !== 0) {
      const lead = Math.clz32(left)
      const bit = 0x80000000 >>> lead
      left &= ~bit
      const de = word * 32 + lead + 1

      if ((table.declared[word]! & bit) === 0) {
        first ??= faultOf('FIELD_NOT_IN_SPEC', at, String(de))
        return thrown(table, bytes, found, mtiStart, first)
      }
      const next = readRow(table, de, bytes, at, end)
      if (isFaulty()) {
        first ??= currentFault(String(de))
        clearFault()
        if (next < 0) return thrown(table, bytes, found, mtiStart, first)
      } else {
        found.elements.push(de)
        found.places.push(placeOf(cursor.start, cursor.units))
        if (cursor.units === 0 && table.lengthKind[de] !== lengthKind.fixed) {
          irregularities = [...irregularities, { code: 'EMPTY_FIELD', path: String(de) }]
        }
      }
      at = next
    }
  }

  if (at < end) {
    if (table.settings.trailing === 'allow') {
      irregularities = [...irregularities, { code: 'TRAILING_BYTES', path: '' }]
    } else first ??= { ...faultOf('TRAILING_BYTES', at, ''), need: 0, have: end - at }
  }
  if (first !== undefined) return thrown(table, bytes, found, mtiStart, first)
  return messageOf(table, bytes, found, mtiStart, irregularities)
}

/** The elements read so far and where they lie. */
interface Found {
  readonly elements: number[]
  readonly places: number[]
}

function messageOf(
  table: Table,
  bytes: Buffer,
  { elements, places }: Found,
  mtiStart: number,
  irregularities: readonly Irregularity[],
): DecodedMessage {
  return new DecodedMessage(table, bytes, layoutOf(elements), places, mtiStart, irregularities)
}

interface Fault {
  readonly code: IsoCodecErrorCode
  readonly path: string
  readonly offset: number
  readonly need?: number | undefined
  readonly have?: number | undefined
}

function currentFault(path: string): Fault {
  const { fault, offset, need, have } = cursor
  return {
    ...faultOf(fault as IsoCodecErrorCode, offset, path + cursor.path),
    ...(need >= 0 && { need }),
    ...(have >= 0 && { have }),
  }
}

function faultOf(code: IsoCodecErrorCode, offset: number, path: string): Fault {
  return { code, path, offset }
}

function failure(table: Table, bytes: Buffer, mtiStart: number, path: string): IsoCodecError {
  return thrown(table, bytes, { elements: [], places: [] }, mtiStart, currentFault(path))
}

function thrown(table: Table, bytes: Buffer, found: Found, mtiStart: number, fault: Fault): IsoCodecError {
  const partial = messageOf(table, bytes, found, mtiStart, regular)
  return new IsoCodecError({ ...fault, dialect: table.name, partial })
}
