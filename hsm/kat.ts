/**
 * Known answers, run through a driver: each vector's keys are put on the token as stored keys are, with the
 * rights of their usage, and the command that callers use computes the answer.
 */
import { Kit, functions } from './kat-functions.ts'
import type { Inputs } from './kat-functions.ts'
import { TokenError } from './token.ts'
import type { Token } from './token.ts'

export interface Vector {
  readonly id: string
  readonly function: string
  readonly inputs: Inputs
  readonly expected: Readonly<Record<string, string>>
}

export interface KatResult {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly failures: readonly { readonly id: string; readonly why: string }[]
  readonly skips: readonly { readonly id: string; readonly why: string }[]
}

/** Runs all vectors. Throws `TypeError` when `file` is not a list of vectors. */
export function runVectors(token: Token, file: unknown): KatResult {
  const failures: { id: string; why: string }[] = []
  const skips: { id: string; why: string }[] = []
  const vectors = vectorsOf(file)
  for (const vector of vectors) {
    const outcome = runVector(token, vector)
    if (outcome.kind === 'failed') failures.push({ id: vector.id, why: outcome.why })
    if (outcome.kind === 'skipped') skips.push({ id: vector.id, why: outcome.why })
  }
  return {
    passed: vectors.length - failures.length - skips.length,
    failed: failures.length,
    skipped: skips.length,
    failures,
    skips,
  }
}

function vectorsOf(file: unknown): Vector[] {
  const list: unknown = typeof file === 'object' && file !== null && 'vectors' in file ? file.vectors : file
  if (!Array.isArray(list) || !list.every(isVector)) throw new TypeError('not a list of vectors')
  return list
}

function isVector(item: unknown): item is Vector {
  if (typeof item !== 'object' || item === null) return false
  const { id, function: name, inputs, expected } = item as Record<string, unknown>
  return (
    typeof id === 'string' &&
    typeof name === 'string' &&
    typeof inputs === 'object' &&
    typeof expected === 'object'
  )
}

type Outcome = { readonly kind: 'passed' } | { readonly kind: 'failed' | 'skipped'; readonly why: string }

function runVector(token: Token, { function: name, inputs, expected }: Vector): Outcome {
  const run = Object.hasOwn(functions, name) ? functions[name] : undefined
  if (run === undefined) return { kind: 'failed', why: `no function ${name}` }
  const kit = new Kit(token)
  try {
    const actual = run(kit, inputs, expected)
    const wrong = Object.keys(expected).filter((field) => actual[field] !== expected[field])
    return wrong.length === 0
      ? { kind: 'passed' }
      : { kind: 'failed', why: `${wrong.join(', ')} differs from the known answer` }
  } catch (error) {
    if (error instanceof TokenError && error.code === keySizeRange) {
      return { kind: 'skipped', why: 'the token refuses a key of this length' }
    }
    return { kind: 'failed', why: error instanceof Error ? error.message : 'threw' }
  } finally {
    kit.forgetAll()
  }
}

const keySizeRange = 0x62
