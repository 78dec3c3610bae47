import type { Sensitivity } from './dialect.ts'

export type Json = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const sensitivities: readonly string[] = [
  'pan',
  'track',
  'secret',
  'emv',
  'private',
] satisfies Sensitivity[]
export const charsetNames = ['ascii', 'ebcdic037', 'ebcdic500', 'ebcdic1047']
export const pads = ['left-0', 'left-F', 'right-0', 'right-F']

/** What is wrong with a file, collected: whoever wrote it wants all of it at once. Reading goes on with a stand-in. */
export class Mistakes {
  readonly all: string[] = []

  wrong(path: string, what: string): undefined {
    this.all.push(`${path} ${what}`)
    return undefined
  }

  known(json: Json, path: string, names: readonly string[]): void {
    for (const name of Object.keys(json)) {
      if (!names.includes(name)) this.wrong(`${path}.${name}`, 'is not known')
    }
  }

  oneOf(value: unknown, path: string, allowed: readonly string[]): string {
    if (typeof value === 'string' && allowed.includes(value)) return value
    this.wrong(path, `is not one of ${allowed.join(', ')}`)
    return allowed[0]!
  }

  number(value: unknown, path: string): number {
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 1e6) return value
    this.wrong(path, 'is not a number above 0')
    return 1
  }
}
