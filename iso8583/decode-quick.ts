import { readBitmaps } from './bitmap.ts'
import { clearFault, cursor, isFaulty } from './cursor.ts'
import { DecodedMessage } from './decoded.ts'
import type { Irregularity } from './message.ts'
import { placeOf } from './place.ts'
import { numbersPerStep, planOf, step } from './plan.ts'
import { readRow } from './read.ts'
import { areAllowed, arePacked, areWithin, bench, benchBytes, benchView } from './scan.ts'
import { fact, factsPerRow, lengthKind, shape, type Table } from './table.ts'

const regular: readonly Irregularity[] = Object.freeze([])

/**
 * Reads a message that is right in every byte, which most are, along the plan of its bitmap. Neighbours of one alphabet
 * are checked as one run, four bytes at once: with elements of a few bytes each, it is the many short loops that cost.
 * undefined: something is wrong or unusual, and the careful way will say what.
 */
export function decodeQuickly(table: Table, bytes: Buffer): DecodedMessage | undefined {
  if (bytes.length > benchBytes) return undefined
  bench.set(bytes)
  const message = scan(table, bytes, bytes.length)
  // Nothing of a card stays behind on a bench that lives on.
  bench.fill(0, 0, bytes.length)
  return message
}

function scan(table: Table, bytes: Buffer, end: number): DecodedMessage | undefined {
  const { facts } = table
  const mtiKind = facts[0]
  const mtiEnd = mtiKind === shape.packed ? 2 : 4
  if ((mtiKind !== shape.packed && mtiKind !== shape.range) || mtiEnd > end) return undefined
  if (!isRight(table, 0, mtiEnd, 0)) return undefined
  clearFault()
  let at = readBitmaps(table, bytes, mtiEnd, end)
  const empties = cursor.units
  if (at < 0 || empties !== 0) return undefined

  const plan = planOf(table)
  if (plan === undefined) return undefined
  const { steps } = plan

  const places = new Array<number>(plan.places.length)
  let slot = 0
  for (let nth = 0; nth < steps.length; nth += numbersPerStep) {
    const kind = steps[nth]!
    const de = steps[nth + step.de]!
    const row = de * factsPerRow
    if (kind === shape.other) {
      at = readRow(table, de, bytes, at, end)
      const { start, units } = cursor
      if (isFaulty() || (units === 0 && facts[row + fact.lengthKind] !== lengthKind.fixed)) return undefined
      places[slot++] = placeOf(start, units)
    } else if (kind >= shape.prefixed) {
      const start = at + facts[row + fact.lengthBytes]!
      if (start > end) return undefined
      const isAscii = facts[row + fact.lengthKind] === lengthKind.ascii
      const units = isAscii ? asciiNumber(at, start) : packedNumber(at, start)
      if (units <= 0 || units < facts[row + fact.min]! || units > facts[row + fact.max]!) return undefined
      at = start + (kind === shape.prefixed ? units : (units + 1) >> 1)
      if (at > end || !isRight(table, start, at, row)) return undefined
      if (kind === shape.packedPrefixed && (units & 1) === 1 && bench[start]! > 9) return undefined
      places[slot++] = placeOf(start, units)
    } else {
      const start = at
      at += steps[nth + step.size]!
      if (at > end || (steps[nth + step.odd] === 1 && bench[start]! > 9)) return undefined
      if (kind !== shape.bytes && !isRight(table, start, at, row)) return undefined
      const place = placeOf(start, 0)
      for (const last = slot + steps[nth + step.count]!; slot < last; slot++)
        places[slot] = place + plan.places[slot]!
    }
  }
  if (at !== end) return undefined
  return new DecodedMessage(table, bytes, plan, places, 0, regular)
}

/** Whether all bytes between `start` and `end` are such as the row may have whose facts begin at `row`. */
function isRight({ allowed, facts }: Table, start: number, end: number, row: number): boolean {
  const kind = facts[row]
  if (kind === shape.packed || kind === shape.packedPrefixed) return arePacked(benchView, start, end)
  const under = facts[row + fact.under]!
  if (under !== 0)
    return areWithin(benchView, start, end, facts[row + fact.flip]!, facts[row + fact.over]!, under)
  return areAllowed(allowed, facts[row + fact.check]!, bench, start, end)
}

/** The number that the ASCII digits on the bench say, or -1. */
function asciiNumber(start: number, end: number): number {
  let count = 0
  for (let index = start; index < end; index++) {
    const digit = bench[index]! - 0x30
    if (digit < 0 || digit > 9) return -1
    count = count * 10 + digit
  }
  return count
}

/** The same of packed digits. */
function packedNumber(start: number, end: number): number {
  let count = 0
  for (let index = start; index < end; index++) {
    const pair = bench[index]!
    if (pair >> 4 > 9 || (pair & 15) > 9) return -1
    count = count * 100 + (pair >> 4) * 10 + (pair & 15)
  }
  return count
}
