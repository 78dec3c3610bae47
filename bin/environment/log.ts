import { type DestinationStream, type Logger, pino } from 'pino'

/** Of lines that are alike, so many are written in a second; the rest are counted. */
const alikeMax = 10
const secondMs = 1_000
/** What tells lines of one text apart. Each of these has few values, whatever peers send. */
const telling = ['alarm', 'destination', 'duty', 'kind', 'source', 'what', 'why'] as const

/**
 * The log of a process: JSON lines on its standard error, each written before the call returns. Whoever can make it say
 * something can't make it say that without end: a queue's client without its server, or a stranger at a port.
 */
export function openLog(
  base: Readonly<Record<string, unknown>>,
  destination: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  const alike = new Alike((signature, unwritten) =>
    log.warn({ ...signature, unwritten }, 'lines like it were not written'),
  )
  const log = pino(
    {
      base,
      hooks: {
        logMethod(args, method, level) {
          if (level >= pino.levels.values['fatal']! || alike.allows(signatureOf(args, level)))
            method.apply(this, args)
        },
      },
    },
    destination,
  )
  return log
}

/** What a line is like: its level, its text, and what tells it apart. */
type Signature = Readonly<Record<string, unknown>>

function signatureOf(args: readonly unknown[], level: number): Signature {
  const [facts, text] = typeof args[0] === 'string' ? [{}, args[0]] : [args[0] as Signature, args[1]]
  const said = telling.flatMap((name) => (typeof facts[name] === 'string' ? [[name, facts[name]]] : []))
  return { of: text, at: pino.levels.labels[level], ...(Object.fromEntries(said) as Signature) }
}

/** Counts by the second. What was not written is told once the second is over. */
class Alike {
  readonly #tell: (signature: Signature, unwritten: number) => void
  readonly #counts = new Map<string, number>()
  #endsAtMs = 0

  constructor(tell: (signature: Signature, unwritten: number) => void) {
    this.#tell = tell
  }

  allows(signature: Signature): boolean {
    if (performance.now() >= this.#endsAtMs) this.#begin()
    const key = JSON.stringify(signature)
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count <= alikeMax) return true
    // If nothing more is ever said, this is what tells it.
    if (count === alikeMax + 1) setTimeout(() => this.#begin(), this.#endsAtMs - performance.now()).unref()
    return false
  }

  #begin(): void {
    const over = [...this.#counts].filter(([, count]) => count > alikeMax)
    this.#counts.clear()
    this.#endsAtMs = performance.now() + secondMs
    for (const [key, count] of over) this.#tell(JSON.parse(key) as Signature, count - alikeMax)
  }
}
