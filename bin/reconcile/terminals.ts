import { existsSync } from 'node:fs'
import { readBook } from '../../simulators/book.ts'
import { acknowledgedCodes, type TerminalLine } from '../../simulators/terminals/book-lines.ts'

/** What one terminal knows of one purchase, whatever the switch believes. */
export interface Told {
  /** Wall clock ms of the request. */
  readonly at: number
  /** What an approval costs the cardholder: less than nothing where it pays, and as a completion left it. */
  amountMinor: bigint
  /** What a completion asked for, until it is answered. */
  completionMinor: bigint | undefined
  /** Every answer to the purchase and its repeats. */
  readonly answers: Set<string>
  /** The purchase's key with another amount was approved: it must never be. */
  conflictApproved: boolean
  reversal: 'none' | 'asked' | 'acknowledged'
  /** Nobody may judge it yet: no answer, and no reversal asked. */
  open: boolean
}

/** The terminals' book by purchase: RRN and terminal. */
export async function readTerminals(path: string): Promise<Map<string, Told>> {
  const book = new Map<string, Told>()
  // No terminals were ever started: they were told nothing.
  if (!existsSync(path)) return book
  for await (const raw of readBook(path)) {
    const line = raw as unknown as TerminalLine
    const key = purchaseKey(line)
    if (line.event === 'request') {
      book.set(key, {
        at: line.at,
        amountMinor: line.kind === 'refund' ? -BigInt(line.amountMinor) : BigInt(line.amountMinor),
        completionMinor: undefined,
        answers: new Set(),
        conflictApproved: false,
        reversal: 'none',
        open: true,
      })
      continue
    }
    const told = book.get(key)
    if (told === undefined) continue
    switch (line.event) {
      case 'unsent':
        book.delete(key)
        break
      case 'answer':
      case 'lateAnswer':
        told.answers.add(line.responseCode)
        told.open = false
        break
      case 'reversal':
        if (told.reversal === 'none') told.reversal = 'asked'
        told.open = false
        break
      case 'reversalAnswer':
        if (acknowledgedCodes.includes(line.responseCode)) told.reversal = 'acknowledged'
        break
      case 'completion':
        told.completionMinor = BigInt(line.amountMinor)
        break
      case 'completionAnswer':
        if (line.responseCode === '00' && told.completionMinor !== undefined)
          told.amountMinor = told.completionMinor
        told.completionMinor = undefined
        break
      case 'conflictAnswer':
        if (line.responseCode === '00') told.conflictApproved = true
        break
      case 'repeat':
      case 'noAnswer':
      case 'badSeal':
      case 'conflict':
        break
    }
  }
  return book
}

/** What the books name a purchase by: DE37 and DE41. */
export function purchaseKey(line: { readonly rrn: string; readonly terminal: string }): string {
  return `${line.rrn}|${line.terminal.trim()}`
}
