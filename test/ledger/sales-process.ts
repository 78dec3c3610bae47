import { appendFileSync } from 'node:fs'
import { openLedger } from '../../ledger/ledger.ts'
import type { Unit } from '../../ledger/ledger.ts'

/** A sale of one fils; the same name is the same unit. */
export function saleUnit(name: string): Unit {
  const leg = { amountMinor: 1n, currency: 'KWD' }
  return {
    key: name,
    rows: [],
    commands: [
      {
        kind: 'post',
        id: name,
        effectiveAt: 1_790_000_000_000,
        legs: [
          { account: 'till', side: 'debit', ...leg },
          { account: 'shop', side: 'credit', ...leg },
        ],
      },
    ],
  }
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
      const { kind } = await ledger.commit(saleUnit(name))
      if (kind === 'committed') appendFileSync(journal, `${name} done\n`)
    }
  }
  return Promise.race(Array.from({ length: 20 }, seller))
}

const [databaseUrl, journal, life] = process.argv.slice(2)
if (import.meta.main && life !== undefined) await sell(databaseUrl!, journal!, life)
