import { access } from 'node:fs/promises'
import { readBook } from '../book.ts'
import { cardOfMask } from '../cards.ts'
import { acknowledgedCodes, type RequestLine, type ReversalLine, type TerminalLine } from './book-lines.ts'
import { marksOf, type Purchase } from './messages.ts'
import type { Numbering } from './numbering.ts'

/** A purchase that an earlier life of the estate did not bring to an end: it must be reversed. */
export interface Unresolved {
  readonly purchase: Purchase
  /** The reversal already under way, to be repeated as it was. */
  readonly reversal: ReversalLine | undefined
}

interface Open {
  readonly request: RequestLine
  reversal?: ReversalLine
}

/** What an earlier life left open, oldest first; notes every number it used in `numbering`. */
export async function recover(path: string, numbering: Numbering): Promise<readonly Unresolved[]> {
  if (!(await exists(path))) return []
  const reader = new Reader(numbering)
  for await (const line of readBook(path)) reader.follow(line as unknown as TerminalLine)
  return [...reader.open.values()].flatMap((entry) => unresolved(entry))
}

/** A cancellation follows its approval at once, so only so many answered purchases need to be remembered. */
const answeredMax = 20_000

class Reader {
  readonly open = new Map<string, Open>()
  readonly #answered = new Map<string, Open>()
  readonly #numbering: Numbering

  constructor(numbering: Numbering) {
    this.#numbering = numbering
  }

  follow(line: TerminalLine): void {
    switch (line.event) {
      case 'request':
        this.#numbering.used({ terminalId: line.terminal, rrn: line.rrn, stan: line.stan })
        this.open.set(line.rrn, { request: line })
        break
      case 'answer':
        this.#answer(line.rrn)
        break
      case 'reversal':
        // A later attempt has the trace number of the first: others have been given out since.
        if (line.attempt === 1) this.#numbering.used({ terminalId: line.terminal, stan: line.stan })
        this.#reverse(line)
        break
      case 'reversalAnswer':
        if (acknowledgedCodes.includes(line.responseCode)) this.open.delete(line.rrn)
        break
      case 'completion':
        this.#numbering.used({ terminalId: line.terminal, stan: line.stan })
        break
      case 'unsent':
        this.open.delete(line.rrn)
        break
      case 'repeat':
      case 'noAnswer':
      case 'lateAnswer':
      case 'badSeal':
      case 'conflict':
      case 'conflictAnswer':
      case 'completionAnswer':
        break
    }
  }

  #answer(rrn: string): void {
    const entry = this.open.get(rrn)
    if (entry === undefined || entry.reversal !== undefined) return
    this.open.delete(rrn)
    this.#answered.set(rrn, entry)
    const oldest = this.#answered.size > answeredMax ? this.#answered.keys().next().value : undefined
    if (oldest !== undefined) this.#answered.delete(oldest)
  }

  /** A reversal of a purchase that has not been booked leaves nothing open: no such purchase has left. */
  #reverse(line: ReversalLine): void {
    const entry = this.open.get(line.rrn) ?? this.#answered.get(line.rrn)
    if (entry === undefined) return
    this.#answered.delete(line.rrn)
    this.open.set(line.rrn, { ...entry, reversal: line })
  }
}

function unresolved({ request, reversal }: Open): Unresolved[] {
  const card = cardOfMask(request.card)
  if (card === undefined) return []
  const purchase: Purchase = {
    terminalId: request.terminal,
    merchantId: request.merchant,
    rrn: request.rrn,
    stan: request.stan,
    ...marksOf(request.kind),
    madeAt: request.madeAt,
    amountMinor: BigInt(request.amountMinor),
    currency: request.currency,
    pan: card.pan,
    expiry: card.expiry,
    entry: request.entry,
  }
  return [{ purchase, reversal }]
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
