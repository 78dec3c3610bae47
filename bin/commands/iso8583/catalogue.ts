import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import {
  bundledDialects,
  type Codec,
  compile,
  type Dialect,
  dialectFromJson,
  IsoCodecError,
} from '../../../iso8583/iso8583.ts'

/** Where a command finds a dialect: by name among the bundled ones and the networks', else as a JSON file. */
export class Catalogue {
  readonly #known: ReadonlyMap<string, Dialect>

  constructor(extra: Readonly<Record<string, Dialect>>) {
    this.#known = new Map(Object.entries({ ...bundledDialects, ...extra }))
  }

  get dialects(): readonly Dialect[] {
    return [...this.#known.values()]
  }

  find(name: string): Dialect | undefined {
    return this.#known.get(name)
  }

  /** For `--dialect NAME|FILE`. What is wrong with it is told as a wrong call. */
  codec = (nameOrFile: string): Codec => {
    const known = this.#known.get(nameOrFile)
    try {
      return compile(known ?? this.load(nameOrFile))
    } catch (error) {
      if (error instanceof IsoCodecError) throw new InvalidArgumentError(error.message)
      if (known === undefined && isMissing(error)) {
        throw new InvalidArgumentError(
          `neither a dialect (${[...this.#known.keys()].join(', ')}) nor a file.`,
        )
      }
      throw error
    }
  }

  load(path: string): Dialect {
    const text = readFileSync(resolve(path), 'utf8')
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      throw new IsoCodecError({
        code: 'BAD_DIALECT',
        path: '',
        dialect: basename(path),
        mistakes: ['file is not JSON'],
      })
    }
    return dialectFromJson(json, (name) => this.find(name))
  }
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENAMETOOLONG')
  )
}
