import { expect, test } from 'vitest'
import { type Journal, JournalUnavailable } from '../../switch/journal.ts'
import { Sweeper, type SweeperPorts } from '../../switch/sweeper.ts'
import type { Transaction } from '../../switch/transaction/transaction.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** A sweeper that finds one transaction whose time is over, and what it takes up. */
function world(change: Partial<SweeperPorts>) {
  const stranded = { id: 'one', sourceKey: 'key' } as Transaction
  const taken: string[] = []
  const told: string[] = []
  const sweeper = new Sweeper({
    clock: new ManualClock(),
    node: 'node-1',
    journal: { stranded: () => Promise.resolve([stranded]) } as unknown as Journal,
    shell: {
      recover: ({ id }) => {
        taken.push(id)
        return Promise.resolve()
      },
      unproven: () => Promise.resolve(),
      isLive: () => false,
    },
    deliveries: {
      sweep: () => undefined,
      tellOverdue: () => {
        told.push('overdue')
        return Promise.resolve()
      },
    },
    days: { sweep: () => Promise.resolve() },
    rules: { follow: () => Promise.resolve() },
    ...change,
  })
  return { sweeper, taken, told }
}

const fails = (): Promise<void> => Promise.reject(new JournalUnavailable())

test.each([
  ['a date can not be frozen', { days: { sweep: fails } }],
  ['a change of rules can not be recorded', { rules: { follow: fails } }],
])('what nobody brings to its end is taken up although %s', async (_why, change) => {
  const { sweeper, taken, told } = world(change)
  await sweeper.sweep()
  expect([taken, told]).toEqual([['one'], ['overdue']])
})

test('a fault of our own in one part of the sweep is not passed over', async () => {
  const { sweeper } = world({ days: { sweep: () => Promise.reject(new TypeError('ours')) } })
  await expect(sweeper.sweep()).rejects.toThrow(TypeError)
})
