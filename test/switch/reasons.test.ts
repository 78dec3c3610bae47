import { expect, test } from 'vitest'
import type { DatabasePool } from '../../kernel/database.ts'
import { ReasonRefused } from '../../kernel/reasons.ts'
import { askRuleReload, beginByOperator, wantKeyExchange } from '../../switch/switch.ts'

/** Whatever is asked of it fails the test. */
const pool = {
  query: () => {
    throw new TypeError('the record was reached')
  },
} as unknown as DatabasePool

const texts = ['of 8888880000000001', 'the card 8888 8800 0000 0001 again', '8888-8800-0000-0001']

test.each(texts)('what could be a card number is on no record as a reason (%#)', async (why) => {
  const of = { destination: 'knet', who: 'alice', why }
  for (const asking of [askRuleReload, beginByOperator, wantKeyExchange]) {
    const refused = await asking(pool, of).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(ReasonRefused)
    expect((refused as Error).message).not.toMatch(/8888/)
  }
})

test('a reason that names a ticket and a day is one', async () => {
  const of = { destination: 'knet', who: 'alice', why: 'ticket 48213 of 2026-11-22' }
  for (const asking of [askRuleReload, beginByOperator, wantKeyExchange])
    await expect(asking(pool, of)).rejects.toThrow('the record was reached')
})
