import { expect, test } from 'vitest'
import { sentenceOf } from '../../bin/explain/sentences.ts'
import { runHistory } from './history.ts'

test('whatever happens to a transaction in two hundred histories, there is a sentence that tells it', async () => {
  const untold = new Set<string>()
  const told = new Map<string, string>()
  for (let seed = 1; seed <= 200; seed++) {
    for (const { cause, detail, kind } of (await runHistory({ seed })).events) {
      // The simulation's own events of the database's sweeps have no detail.
      const state = String(detail['state'] ?? (kind === 'expired' ? 'expired' : 'approved'))
      const sentence = sentenceOf(
        { kind, state, cause, detail },
        { source: 'acq', destination: 'net-1', responseCode: '91' },
      )
      if (sentence === undefined) untold.add(`${kind} ${cause} -> ${state}`)
      else told.set(`${kind} ${cause} ${state}`, sentence)
    }
  }
  expect([...untold]).toEqual([])
  // Many different things happen, and they are told differently.
  expect(told.size).toBeGreaterThan(40)
  expect(new Set(told.values()).size).toBeGreaterThan(40)
}, 120_000)
