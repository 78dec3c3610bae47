import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { failurePointsPage } from './failure-points.ts'

test('the table of failure points says which tests prove which (else: npm run docs:failure-points)', () => {
  const written = readFileSync(new URL('../../docs/failure-points.md', import.meta.url), 'utf8')
  expect(written).toBe(failurePointsPage())
})

test('the table has a row for each of the fifty-five', () => {
  const numbers = failurePointsPage().match(/^\| F\d\d \|/gm) ?? []
  expect(numbers).toHaveLength(55)
})
