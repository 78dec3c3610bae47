import { byteOf, charsets } from './charset.ts'
import { filling, making, packing, type Writer } from './table.ts'

/** A writer that knows how long the value of a row may be. */
interface SizedWriter extends Writer {
  /** Fails where a value of so many units is too short or too long. */
  size(row: number, units: number, path: string): void
}

/** Writes text or digits, filled where the row says so, and returns its size in units. The careful way. */
export function writeText(writer: SizedWriter, row: number, given: string, path: string): number {
  const { table } = writer
  const text = filled(given, table.fill[row]!, table.min[row]!)
  const units = text.length
  writer.size(row, units, path)
  if (table.packing[row] === packing.nibbles) writeNibbles(writer, row, text, path)
  else writeCharacters(writer, row, text, path)
  return units
}

function filled(text: string, fill: number, size: number): string {
  if (fill === filling.none || text.length >= size) return text
  if (fill === filling.rightSpace) return text.padEnd(size, ' ')
  return text.padStart(size, fill === filling.leftSpace ? ' ' : '0')
}

function writeCharacters(writer: SizedWriter, row: number, text: string, path: string): void {
  writer.need(text.length, path)
  const { buffer, table } = writer
  const check = table.check[row]!
  const bytes = byteOf[charsets[table.charset[row]!]!]
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const byte = bytes[code]
    if (byte === undefined || table.allowed[check + byte] === 0) return writer.fail('BAD_CHARACTER', path)
    buffer[writer.at++] = byte
  }
}

function writeNibbles(writer: SizedWriter, row: number, text: string, path: string): void {
  const { buffer, table } = writer
  writer.need((text.length + 1) >> 1, path)
  const check = table.check[row]!
  const isTrack = table.making[row] === making.track
  const pad = table.padNibble[row]!
  let high = (text.length & 1) === 1 && table.padSide[row] === 1 ? pad : -1
  for (let index = 0; index < text.length; index++) {
    const nibble = nibbleOf(text.charCodeAt(index), isTrack)
    if (nibble < 0 || table.allowed[check + nibble] === 0) return writer.fail('BAD_DIGIT', path)
    if (high < 0) high = nibble
    else {
      buffer[writer.at++] = (high << 4) | nibble
      high = -1
    }
  }
  if (high >= 0) buffer[writer.at++] = (high << 4) | pad
}

/** Of a digit, or -1. The separator of a track is = and nothing else. */
function nibbleOf(code: number, isTrack: boolean): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  if (isTrack) return code === 0x3d ? 0xd : -1
  return code >= 0x41 && code <= 0x46 ? code - 0x37 : -1
}
