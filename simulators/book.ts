import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { SimulatorError } from './fault.ts'

/**
 * What one simulator believes happened: one JSON object a line, only ever appended, on disk before anybody acts on
 * it. It is compared with the switch's books afterwards, so it must survive whatever the switch and this process do.
 */
export interface Book {
  /** Resolves when the line is on disk. After one failure the book is closed for good: every call rejects. */
  record(line: object): Promise<void>
  /** Resolves when every line recorded so far is on disk. */
  settled(): Promise<void>
  /** Writes what waits, then closes the file. */
  close(): Promise<void>
}

export interface BookOptions {
  /** How long lines gather before a flush. 0 flushes at once; what comes during a flush waits for the next. */
  readonly gatherMs?: number
}

interface Waiting {
  readonly text: string
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export async function openBook(path: string, { gatherMs = 0 }: BookOptions = {}): Promise<Book> {
  const file = await open(path, 'a+', 0o600)
  await cutTornLine(file)
  return new GroupBook(file, gatherMs)
}

/** The lines of a book, oldest first. A torn last line was never promised to anyone and is left out. */
export async function* readBook(path: string): AsyncGenerator<Readonly<Record<string, unknown>>> {
  let rest = ''
  for await (const piece of createReadStream(path, 'utf8') as AsyncIterable<string>) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield parsed(line)
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>
  } catch {
    throw new SimulatorError({ kind: 'book', why: 'a line in the middle is not JSON' })
  }
}

class GroupBook implements Book {
  readonly #file: FileHandle
  readonly #gatherMs: number
  #waiting: Waiting[] = []
  #flushing: Promise<void> | undefined
  #failed: Error | undefined

  constructor(file: FileHandle, gatherMs: number) {
    this.#file = file
    this.#gatherMs = gatherMs
  }

  record(line: object): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text: `${JSON.stringify(line)}\n`, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  settled(): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    if (this.#flushing === undefined) return Promise.resolve()
    return new Promise((resolve, reject) => this.#waiting.push({ text: '', resolve, reject }))
  }

  async close(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing
    this.#failed ??= new SimulatorError({ kind: 'book', why: 'closed' })
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    if (this.#gatherMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#gatherMs))
    const batch = this.#waiting
    this.#waiting = []
    try {
      await this.#file.appendFile(batch.map(({ text }) => text).join(''))
      await this.#file.datasync()
      for (const { resolve } of batch) resolve()
    } catch (error) {
      // Part of a line may be in the file now. Nothing more may be written behind it.
      this.#failed = new SimulatorError({
        kind: 'book',
        why: (error as NodeJS.ErrnoException).code ?? 'write',
      })
      for (const { reject } of [...batch, ...this.#waiting]) reject(this.#failed)
      this.#waiting = []
    }
    this.#flushing = this.#waiting.length > 0 ? this.#flush() : undefined
  }
}

/** A crash may leave the start of a line at the end of the file; the next line must not be glued to it. */
async function cutTornLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  const step = 4096
  for (let end = size; end > 0; end -= step) {
    const start = Math.max(0, end - step)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(0x0a)
    if (newline >= 0 || start === 0) {
      const whole = start + newline + 1
      if (whole < size) await file.truncate(whole)
      return
    }
  }
}
