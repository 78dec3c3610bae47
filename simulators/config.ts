import { readFile } from 'node:fs/promises'
import { SimulatorError } from './fault.ts'

/** A configuration file, read element by element; every complaint names the place, never the value. */
export class Config {
  readonly #value: Readonly<Record<string, unknown>>
  readonly #path: string

  constructor(value: unknown, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      refuse(path || '(file)', 'an object')
    this.#value = value as Readonly<Record<string, unknown>>
    this.#path = path
  }

  static async read(file: string): Promise<Config> {
    const text = await readFile(file, 'utf8')
    try {
      return new Config(JSON.parse(text))
    } catch (error) {
      if (error instanceof SimulatorError) throw error
      return refuse('(file)', 'JSON')
    }
  }

  /** undefined where there is none. */
  section(name: string): Config | undefined {
    const value = this.#value[name]
    return value === undefined ? undefined : new Config(value, this.#at(name))
  }

  /** A list of objects; empty where there is none. */
  sections(name: string): readonly Config[] {
    const value = this.#value[name] ?? []
    if (!Array.isArray(value)) refuse(this.#at(name), 'a list')
    return (value as readonly unknown[]).map((each, index) => new Config(each, `${this.#at(name)}[${index}]`))
  }

  names(): readonly string[] {
    return Object.keys(this.#value)
  }

  needed(name: string): Config {
    return this.section(name) ?? refuse(this.#at(name), 'an object')
  }

  text(name: string, fallback?: string): string {
    const value = this.#value[name] ?? fallback
    return typeof value === 'string' && value !== '' ? value : refuse(this.#at(name), 'text')
  }

  /** A list of at least one. */
  texts(name: string): readonly string[] {
    const value = this.#value[name]
    const fits = Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string')
    return fits ? value : refuse(this.#at(name), 'a list of text')
  }

  /** Within `min` and `max`, both included. */
  number(
    name: string,
    range: { readonly min: number; readonly max: number; readonly fallback?: number },
  ): number {
    const value = this.#value[name] ?? range.fallback
    const fits = typeof value === 'number' && value >= range.min && value <= range.max
    return fits ? value : refuse(this.#at(name), `a number from ${range.min} to ${range.max}`)
  }

  optionalNumber(name: string, range: { readonly min: number; readonly max: number }): number | undefined {
    return this.#value[name] === undefined ? undefined : this.number(name, range)
  }

  /** `host` and `port`; host defaults to loopback, port 0 takes any. */
  address(): { readonly host: string; readonly port: number } {
    return { host: this.text('host', '127.0.0.1'), port: this.number('port', { min: 0, max: 65_535 }) }
  }

  /** false where there is none. */
  flag(name: string): boolean {
    const value = this.#value[name] ?? false
    return typeof value === 'boolean' ? value : refuse(this.#at(name), 'true or false')
  }

  unknown(name: string): never {
    return this.refuse(name, 'a known name')
  }

  /** For what only the reader of the value can judge. */
  refuse(name: string, wanted: string): never {
    return refuse(this.#at(name), wanted)
  }

  #at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }
}

function refuse(path: string, wanted: string): never {
  throw new SimulatorError({ kind: 'config', path, why: `${wanted} is needed` })
}
