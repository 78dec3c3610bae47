import { expect, test } from 'vitest'
import { newAccount } from '../../ledger/books.ts'
import { type Head, KnownBooks, type KnownHead } from '../../ledger/known.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { transfer, unit } from './world.ts'

const head = (seq: bigint, recordedAt = 0): KnownHead => {
  return { seq, hash: new Uint8Array(32), lastAccount: 2n, recordedAt, lastPosting: seq }
}
const account = (id: bigint, path: string) =>
  newAccount({ id, path, currency: 'KWD', normalSide: 'credit', limit: 'none' })
const both = { accounts: [account(1n, 'bank'), account(2n, 'merchant:1')], periods: new Map() }
const payment = [unit(transfer('bank', 'merchant:1', 5n))]

function at(seq: bigint): { readonly known: KnownBooks; readonly clock: ManualClock } {
  const clock = new ManualClock()
  const known = new KnownBooks(clock)
  known.asked()
  known.told(1_000_000n)
  known.moved(head(seq - 1n), head(seq), both)
  return { known, clock }
}

test('what was written last is known, and nothing about an account that was never seen', () => {
  const { known } = at(7n)
  expect(known.loadedFor(payment)).toMatchObject({ head: { seq: 7n }, books: { lastPosting: 7n } })
  expect(known.loadedFor([unit(transfer('bank', 'merchant:2', 5n))])).toBeUndefined()
})

test('what needs a posting or a hold of the past is always asked for', () => {
  const reverse = unit({ kind: 'reverse', id: 'r', reverses: 'p', effectiveAt: 1 })
  expect(at(7n).known.loadedFor([reverse])).toBeUndefined()
})

test('when somebody else has written, nothing is believed until the head was found in its place a few times', () => {
  const { known } = at(7n)
  const found = (from: Head): void => known.moved(from, head(from.seq + 1n), both)
  found(head(9n))
  const believed: boolean[] = []
  for (let seq = 10n; seq < 16n; seq++) {
    believed.push(known.loadedFor(payment) !== undefined)
    found(head(seq))
  }
  expect(believed).toEqual([false, false, false, false, true, true])
})

test('a block is never recorded before the one before it, and otherwise by the clock of the server', () => {
  const { known, clock } = at(7n)
  clock.advance(250)
  expect(known.recordedAfter(known.loadedFor(payment)!.head)).toBe(1_000_250)
  known.moved(head(7n), head(8n, 2_000_000), both)
  expect(known.recordedAfter(known.loadedFor(payment)!.head)).toBe(2_000_000)
})

test('an answer that took long does not put the clock of the server ahead, and a clock that was set is followed', () => {
  const { known, clock } = at(7n)
  known.asked()
  clock.advance(400)
  known.told(1_000_390n)
  expect(known.recordedAfter(known.loadedFor(payment)!.head)).toBe(1_000_400)
  known.asked()
  known.told(5_000_000n)
  expect(known.recordedAfter(known.loadedFor(payment)!.head)).toBe(5_000_000)
})
