import { words } from './bitmap.ts'
import { placeOf } from './place.ts'
import { elementsMax, fact, factsPerRow, type Layout, type Plan, shape, type Table } from './table.ts'

/** Where in `steps`, from the beginning of a step on, each number is. */
export const step = {
  /** See `shape`. */
  shape: 0,
  /** The element, or the first of them. */
  de: 1,
  /** How many elements. */
  count: 2,
  /** Of all of them, in bytes; 0 where only the message can say. */
  size: 3,
  /** 1: the first nibble is padding. */
  odd: 4,
} as const

export const numbersPerStep = 5

/** More bitmaps than any link has; one in the place of another is worked out again. */
const plansMax = 64

export const noPlans = (): Table['plans'] => new Array<undefined>(plansMax).fill(undefined)

/** The plan of the bitmap in `words`; undefined: it names an element that is not declared. */
export function planOf(table: Table): Plan | undefined {
  let sum = 0
  for (let word = 0; word < 6; word++) sum = Math.imul(sum ^ words[word]!, 0x01000193) ^ (sum >>> 15)
  const at = (sum ^ (sum >>> 8)) & (plansMax - 1)
  const known = table.plans[at]
  if (known !== undefined && isOf(known)) return known
  const plan = planned(table)
  if (plan !== undefined) table.plans[at] = plan
  return plan
}

function isOf(plan: Plan): boolean {
  for (let word = 0; word < 6; word++) if (plan.words[word] !== words[word]) return false
  return true
}

/** Its `elements` are handed out by every message of the bitmap, and so nobody may change them. */
export function layoutOf(elements: readonly number[]): Layout {
  const slots = new Array<number>(elementsMax + 1).fill(-1)
  elements.forEach((de, slot) => (slots[de] = slot))
  return {
    elements: Object.freeze(elements),
    slots,
    blank: Object.fromEntries(elements.map((de) => [de, ''])),
  }
}

function planned({ facts, declared }: Table): Plan | undefined {
  const steps: number[] = []
  const places: number[] = []
  const elements: number[] = []
  let run = 0
  let last = 0
  for (let de = 1; de <= elementsMax; de++) {
    const bit = 0x80000000 >>> ((de - 1) & 31)
    const word = (de - 1) >> 5
    if ((words[word]! & bit) === 0) continue
    if ((declared[word]! & bit) === 0) return undefined
    const row = de * factsPerRow
    const kind = facts[row]!
    const units = facts[row + fact.min]!
    const isFixed = kind !== shape.other && kind < shape.prefixed
    const size = isFixed ? (kind === shape.packed ? (units + 1) >> 1 : units) : 0
    const odd = kind === shape.packed ? units & 1 : 0
    if (run === 0 || facts[row + fact.run] !== run || odd === 1) {
      last = steps.length
      steps.push(kind, de, 0, 0, odd)
    }
    run = facts[row + fact.run]!
    elements.push(de)
    places.push(isFixed ? placeOf(steps[last + step.size]!, units) : 0)
    steps[last + step.count]! += 1
    steps[last + step.size]! += size
  }
  return { words: Array.from(words), steps, places, ...layoutOf(elements) }
}
