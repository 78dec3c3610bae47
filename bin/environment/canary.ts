import { createReadStream } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { openClient } from '../../kernel/database.ts'
import { Automaton } from './canary-automaton.ts'
import { byteForms, digitForms, isMonotonous, nibbleForm } from './canary-forms.ts'
import type { Canary, Encoding, Form } from './canary-forms.ts'

/** A place where a canary was found. It never carries the value. */
export interface Hit {
  /** A path relative to the folder searched, or `schema.table`. */
  readonly file: string
  readonly kind: Canary['kind']
  readonly name: string
  readonly encoding: Encoding
  /** Where it ends: bytes from the start of the file, or of the table's rows as text. */
  readonly endsAt: number
}

export interface Findings {
  readonly files: number
  readonly bytes: number
  readonly hits: readonly Hit[]
}

/** One leak repeats itself all over a log; so many of a file are enough to tell. */
const hitsOfFileMax = 20

const zeros = Buffer.alloc(4_096)
/** In symbols; a track of 37 characters, each as two digits of hexadecimal text, is the longest there is. */
const longestForm = 128

/** What a list of canaries looks like in every encoding. Made once, and used for any number of files. */
export class Canaries {
  readonly bytes: Automaton
  readonly nibbles: Automaton
  /** Without what a free space map may look like by chance. */
  readonly nibblesBesideMaps: Automaton
  readonly digits: Automaton

  constructor(canaries: readonly Canary[]) {
    this.bytes = new Automaton(canaries.flatMap(byteForms))
    this.nibbles = new Automaton(canaries.map(nibbleForm))
    this.nibblesBesideMaps = new Automaton(canaries.filter((one) => !isMonotonous(one)).map(nibbleForm))
    this.digits = new Automaton(canaries.flatMap(digitForms))
  }
}

/** Reads one stream of bytes, in pieces of any size. */
export class Scan {
  readonly hits: Hit[] = []
  readonly #canaries: Canaries
  readonly #nibbles: Automaton
  readonly #file: string
  readonly #hitsMax: number
  #bytesRead = 0
  #byteState = 0
  #nibbleState = 0
  #digitState = 0
  #separators = 0
  #before = 0

  constructor(canaries: Canaries, file: string, hitsMax = hitsOfFileMax) {
    this.#canaries = canaries
    // PostgreSQL writes whole pages of its maps to its log, too.
    this.#nibbles = /(^|\/)pg_wal\//.test(file) ? canaries.nibblesBesideMaps : canaries.nibbles
    this.#file = file
    this.#hitsMax = hitsMax
  }

  push(piece: Uint8Array): void {
    for (let at = 0; at < piece.length; at += zeros.length) {
      const block = piece.subarray(at, at + zeros.length)
      // Much of a database's files is empty. After so many zeros every search is where more of them would leave it.
      const seen = zeros.equals(block) ? block.subarray(0, longestForm) : block
      this.#search(seen)
      this.#bytesRead += block.length
    }
  }

  /**
   * Three searches in one loop, since they wait for memory and not for each other. The one for digits goes past
   * single separators; a number without any is the byte search's to find, and is not reported twice.
   */
  #search(piece: Uint8Array): void {
    const { bytes, digits } = this.#canaries
    const nibbles = this.#nibbles
    const { moves: byteMoves, columnOf: byteColumn } = bytes
    const { moves: nibbleMoves, columnOf: nibbleColumn } = nibbles
    const { moves: digitMoves, columnOf: digitColumn } = digits
    let byteState = this.#byteState
    let nibbleState = this.#nibbleState
    let digitState = this.#digitState
    let separators = this.#separators
    let before = this.#before
    for (let index = 0; index < piece.length; index++) {
      const byte = piece[index]!
      byteState = byteMoves[byteState + byteColumn[byte]!]!
      if (byteState < 0) this.#found(bytes.endingAt((byteState = ~byteState)), index)
      nibbleState = nibbleMoves[nibbleState + nibbleColumn[byte >> 4]!]!
      if (nibbleState < 0) this.#found(nibbles.endingAt((nibbleState = ~nibbleState)), index)
      nibbleState = nibbleMoves[nibbleState + nibbleColumn[byte & 15]!]!
      if (nibbleState < 0) this.#found(nibbles.endingAt((nibbleState = ~nibbleState)), index)
      if (byte >= 0x30 && byte <= 0x39) {
        digitState = digitMoves[digitState + digitColumn[byte & 15]!]!
        if (digitState < 0) {
          digitState = ~digitState
          if (separators > 0) this.#found(digits.endingAt(digitState), index)
        }
      } else if (digitState !== 0 && (byte === 0x20 || byte === 0x2d) && before !== byte) {
        separators++
      } else {
        digitState = separators = 0
      }
      before = byte
    }
    this.#byteState = byteState
    this.#nibbleState = nibbleState
    this.#digitState = digitState
    this.#separators = separators
    this.#before = before
  }

  #found(forms: readonly Form[], index: number): void {
    for (const { canary, encoding } of forms) {
      if (this.hits.length >= this.#hitsMax) return
      const endsAt = this.#bytesRead + index + 1
      this.hits.push({ file: this.#file, kind: canary.kind, name: canary.name, encoding, endsAt })
    }
  }
}

/** Searches every file below `folder`, through links: logs, books, configuration, the database's tables and log. */
export async function scanFolder(folder: string, canaries: Canaries): Promise<Findings> {
  const findings = { files: 0, bytes: 0, hits: [] as Hit[] }
  for await (const path of filesBelow(folder, new Set())) {
    const scan = new Scan(canaries, relative(folder, path))
    try {
      for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
        scan.push(piece)
        findings.bytes += piece.length
      }
    } catch (error) {
      // A running database removes files while we look; what is gone holds nothing.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    findings.files++
    findings.hits.push(...scan.hits)
  }
  return findings
}

async function* filesBelow(folder: string, seen: Set<string>): AsyncGenerator<string> {
  const real = await realpath(folder)
  if (seen.has(real)) return
  seen.add(real)
  for (const { name } of await readdir(folder, { withFileTypes: true })) {
    // PostgreSQL's maps of free space and of visible pages: a byte or two bits for each page, and nothing of any row.
    if (/^\d+_(fsm|vm)$/.test(name)) continue
    const path = join(folder, name)
    const what = await stat(path).catch(() => undefined)
    if (what?.isDirectory() === true) yield* filesBelow(path, seen)
    else if (what?.isFile() === true) yield path
  }
}

/**
 * Searches the rows of every table as text: what the database keeps compressed on disk is plain here. Wants a user
 * who may read everything.
 */
export async function scanDatabase(databaseUrl: string, canaries: Canaries): Promise<Findings> {
  const client = await openClient({ databaseUrl, applicationName: 'mafraq-canary' })
  const findings = { files: 0, bytes: 0, hits: [] as Hit[] }
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const { rows: tables } = await client.query<{ name: string; quoted: string }>(
      `SELECT schemaname || '.' || tablename AS name, format('%I.%I', schemaname, tablename) AS quoted
         FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
    )
    for (const { name, quoted } of tables) {
      const scan = new Scan(canaries, name)
      await client.query(`DECLARE rows NO SCROLL CURSOR FOR SELECT t::text AS row FROM ${quoted} t`)
      for (;;) {
        const { rows } = await client.query<{ row: string }>('FETCH 2000 FROM rows')
        if (rows.length === 0) break
        const piece = Buffer.from(`${rows.map(({ row }) => row).join('\n')}\n`)
        scan.push(piece)
        findings.bytes += piece.length
      }
      await client.query('CLOSE rows')
      findings.files++
      findings.hits.push(...scan.hits)
    }
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
  return findings
}
