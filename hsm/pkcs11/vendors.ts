/**
 * What differs between makers of PKCS#11 tokens, as a file for each in `vendors/`: how to know one, and the numbers of
 * mechanisms that the standard has no name for. A number that was only read in a header is marked as untested.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Mechanisms that only some vendors have. */
export type VendorMechanism = 'retail-mac'

export interface Vendor {
  readonly name: string
  /** Words in the token's manufacturer or model, in lower case, any of which is this vendor's. */
  readonly match: readonly string[]
  /** The version it was run with; null: never run by us. */
  readonly tested: string | null
  /** Whether keys are open to whoever holds the machine. */
  readonly insecure: boolean
  readonly mechanisms: Readonly<Partial<Record<VendorMechanism, number>>>
}

const vendorFolder = join(import.meta.dirname, 'vendors')
const vendorMechanisms: readonly string[] = ['retail-mac'] satisfies VendorMechanism[]

/** The vendor whose token calls itself so; undefined for one we know nothing of. */
export function vendorOf(token: {
  readonly manufacturer: string
  readonly model: string
}): Vendor | undefined {
  const text = `${token.manufacturer} ${token.model}`.toLowerCase()
  return readVendors().find(({ match }) => match.some((word) => text.includes(word)))
}

/** Throws an `Error` that names the file and what is wrong with it. */
export function readVendors(folder: string = vendorFolder): Vendor[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => readVendor(file, JSON.parse(readFileSync(join(folder, file), 'utf8'))))
}

function readVendor(file: string, parsed: unknown): Vendor {
  const bad = (what: string): Error => new Error(`vendors/${file}: ${what}`)
  if (typeof parsed !== 'object' || parsed === null) throw bad('not an object')
  const { name, match, tested, insecure, mechanisms, source } = parsed as Record<string, unknown>
  if (typeof name !== 'string' || name === '') throw bad('no name')
  if (!Array.isArray(match) || match.length === 0 || !match.every(isWord)) throw bad('no words to know it by')
  if (tested !== null && typeof tested !== 'string') throw bad('tested is a version or null')
  if (typeof insecure !== 'boolean') throw bad('insecure is true or false')
  if (typeof source !== 'string' || source === '') throw bad('no source of its numbers')
  if (typeof mechanisms !== 'object' || mechanisms === null) throw bad('no mechanisms')
  const numbers = Object.entries(mechanisms).map(([mechanism, number]: [string, unknown]) => {
    if (!vendorMechanisms.includes(mechanism)) throw bad(`${mechanism} is no mechanism of ours`)
    // CKM_VENDOR_DEFINED and above: a number below would be another mechanism of the standard.
    if (typeof number !== 'string' || !/^0x[89A-F][0-9A-F]{7}$/.test(number)) {
      throw bad(`${mechanism} has no vendor-defined number`)
    }
    return [mechanism, Number(number)] as const
  })
  return { name, match: match as string[], tested, insecure, mechanisms: Object.fromEntries(numbers) }
}

function isWord(word: unknown): boolean {
  return typeof word === 'string' && /^[a-z0-9 ]{3,}$/.test(word)
}
