import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLedger } from '../../ledger/ledger.ts'
import type { AccountSpec, Command, Unit } from '../../ledger/ledger.ts'

export const salesAccounts: readonly AccountSpec[] = [
  { path: 'till', currency: 'KWD', normalSide: 'debit', limit: 'none' },
  { path: 'shop', currency: 'KWD', normalSide: 'credit', limit: 'none' },
  { path: 'empty', currency: 'KWD', normalSide: 'credit', limit: 'noOverdraft' },
]

const effectiveAt = 1_790_000_000_000

/**
 * A sale of one fils; the same name is the same unit. By the number at the end of its name every fifth is a hold and
 * its capture, and every seventh is refused: it would be paid out of an empty account.
 */
export function saleUnit(name: string): Unit {
  const number = Number(/\d+$/.exec(name)?.[0] ?? 0)
  const leg = { amountMinor: 1n, currency: 'KWD' }
  const legs = [
    { account: number % 7 === 0 ? 'empty' : 'till', side: 'debit', ...leg },
    { account: 'shop', side: 'credit', ...leg },
  ] as const
  const post: Command = { kind: 'post', id: name, effectiveAt, legs }
  const held: Command[] = [
    { kind: 'authorize', id: name, effectiveAt, expiresAt: effectiveAt + 1, legs },
    { kind: 'capture', id: `${name}:capture`, holdId: name, amountMinor: 1n, final: true, effectiveAt },
  ]
  return { key: name, rows: [], commands: number % 5 === 0 ? held : [post] }
}

/** A process that sells until it is killed, and notes what it means to do and what it was told. */
async function sell(databaseUrl: string, journal: string, life: string): Promise<never> {
  const log = { warn: () => undefined, error: () => undefined }
  const ledger = await openLedger({ databaseUrl, rowKinds: [], log })
  let sales = 0
  const seller = async (): Promise<never> => {
    for (;;) {
      const name = `${life}-${sales++}`
      appendFileSync(journal, `${name} intent\n`)
      const outcome = await ledger.commit(saleUnit(name))
      const answer = outcome.kind === 'refused' ? outcome.reason : outcome.kind
      appendFileSync(journal, `${name} ${answer}\n`)
      await sleep(5)
    }
  }
  return Promise.race(Array.from({ length: 20 }, seller))
}

const [databaseUrl, journal, life] = process.argv.slice(2)
if (import.meta.main && life !== undefined) await sell(databaseUrl!, journal!, life)
