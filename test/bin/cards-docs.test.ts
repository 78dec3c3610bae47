import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cardsPage } from './cards-docs.ts'

test('the page of test cards shows the table that the command prints and the simulators act on (else: npm run docs:cards)', () => {
  const written = readFileSync(new URL('../../docs/cards.md', import.meta.url), 'utf8')
  expect(written).toBe(cardsPage())
})
