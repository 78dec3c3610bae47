import { expect, test } from 'vitest'
import { seededRandom } from '../../kernel/random.ts'
import { amountOutcomes, loadCards } from '../../simulators/cards.ts'
import { merchantIdOf, Numbering, terminalIdOf } from '../../simulators/terminals/numbering.ts'
import {
  defaultMix,
  drawTerms,
  ScenarioDraw,
  type Scenario,
  scenarioNames,
  scenarios,
} from '../../simulators/terminals/scenarios.ts'

test('scenarios come up as often as their weights say, and the same from the same seed', () => {
  const draws = (seed: number): string[] => {
    const draw = new ScenarioDraw(defaultMix, seededRandom(seed))
    return Array.from({ length: 20_000 }, () => draw.next())
  }
  const drawn = draws(5)
  expect(draws(5)).toEqual(drawn)
  const total = Object.values(defaultMix).reduce((sum, weight) => sum + weight, 0)
  for (const name of scenarioNames) {
    const expected = (drawn.length * scenarios[name].weight) / total
    const count = drawn.filter((other) => other === name).length
    expect(Math.abs(count - expected), name).toBeLessThanOrEqual(5 * Math.sqrt(expected) + 1)
  }
})

test('an ordinary purchase never has an amount that makes the network misbehave', () => {
  const random = seededRandom(9)
  const endings = new Set(amountOutcomes.map(({ endsWith }) => endsWith))
  for (const name of scenarioNames) {
    const scenario: Scenario = scenarios[name]
    for (let time = 0; time < 200; time++) {
      const { amountMinor, card, pin } = drawTerms(scenario, random, [loadCards])
      const ending = (amountMinor % 1_000n).toString().padStart(3, '0')
      expect(amountMinor > 0n).toBe(scenario.kind !== 'balance')
      expect(scenario.endsWith === undefined ? endings.has(ending) : ending !== scenario.endsWith).toBe(false)
      expect(pin === card.pin).toBe(scenario.pin !== 'wrong')
      if (card.limitMinor !== undefined) expect(amountMinor).toBeGreaterThan(card.limitMinor)
    }
  }
})

test('numbers are never used twice, not even by a life that begins in the same instant', () => {
  const now = Date.UTC(2026, 11, 31, 23, 59, 59)
  const first = new Numbering(now)
  const used = Array.from({ length: 3 }, () => ({
    terminalId: 'T0000001',
    rrn: first.nextRrn(now),
    stan: first.nextStan('T0000001'),
  }))
  expect(used.map(({ rrn }) => rrn)).toEqual([...new Set(used.map(({ rrn }) => rrn))])
  expect(used[0]).toMatchObject({ rrn: expect.stringMatching(/^6365[0-9]{8}$/) as string, stan: '000001' })
  const second = new Numbering(now)
  for (const one of used) second.used(one)
  expect(used.map(({ rrn }) => rrn)).not.toContain(second.nextRrn(now))
  expect(second.nextStan('T0000001')).toBe('000004')
  expect(second.nextStan('T0000002')).toBe('000001')
})

test('a STAN goes from 999999 to 000001', () => {
  const numbering = new Numbering(0)
  numbering.used({ terminalId: 'T0000001', stan: '999999' })
  expect(numbering.nextStan('T0000001')).toBe('000001')
})

test('terminals and merchants have ids of the right length', () => {
  expect([terminalIdOf(0), terminalIdOf(19)]).toEqual(['T0000001', 'T0000020'])
  expect([merchantIdOf(0), merchantIdOf(19)]).toEqual(['000000000000001', '000000000000010'])
})
