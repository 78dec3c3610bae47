import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fingerprintOf } from '../../ledger/canonical.ts'
import { verifyLedger } from '../../ledger/ledger.ts'
import type { Command, Ledger, Leg, Unit, UnitOutcome } from '../../ledger/ledger.ts'
import { Model } from './model.ts'
import { modelAccounts, opening, units } from './units.ts'
import { openWorld } from './world.ts'
import type { World } from './world.ts'

const runs = Number(process.env['LEDGER_DATABASE_RUNS'] ?? 25)

let world: World
let run = 0

beforeAll(async () => {
  world = await openWorld()
})

afterAll(() => world.close())

/** Books of their own within the books: every name gets a prefix. */
async function town(ledger: Ledger): Promise<{ readonly of: (unit: Unit) => Unit; readonly prefix: string }> {
  run++
  const prefix = `${run}/`
  await ledger.openAccounts(modelAccounts.map((spec) => ({ ...spec, path: pathOf(prefix, spec.path) })))
  const legsOf = (legs: readonly Leg[]): Leg[] =>
    legs.map((leg) => ({ ...leg, account: pathOf(prefix, leg.account) }))
  const commandOf = (command: Command): Command => {
    const renamed: Record<string, unknown> = { ...command, id: prefix + command.id }
    if ('holdId' in command) renamed['holdId'] = prefix + command.holdId
    if ('reverses' in command) renamed['reverses'] = prefix + command.reverses
    if ('account' in command) renamed['account'] = pathOf(prefix, command.account)
    // What would close all books would close those of other runs.
    if ('scope' in command) renamed['scope'] = prefix + (command.scope === '*' ? 'all' : command.scope)
    if ('legs' in command) renamed['legs'] = legsOf(command.legs)
    if ('conditions' in command) {
      renamed['conditions'] = command.conditions.map((each) => ({
        ...each,
        account: pathOf(prefix, each.account),
      }))
    }
    return renamed as unknown as Command
  }
  const of = (unit: Unit): Unit => ({
    ...unit,
    key: prefix + unit.key,
    commands: unit.commands.map(commandOf),
  })
  return { of, prefix }
}

/** An account of a network is that of a network of this run. */
function pathOf(prefix: string, path: string): string {
  const [kind, ...rest] = path.split(':')
  const ofNetwork = kind === 'net' || kind === 'settlement'
  return ofNetwork ? `${kind}:${prefix}${rest.join(':')}` : prefix + path
}

function openModel(prefix: string): Model {
  const none = { closed: false, dr: 0n, cr: 0n, drHeld: 0n, crHeld: 0n, entries: 0n }
  return new Model(
    Object.fromEntries(
      modelAccounts.map(({ path, currency, normalSide, limit }) => [
        pathOf(prefix, path),
        { currency, debitNormal: normalSide === 'debit', limited: limit === 'noOverdraft', ...none },
      ]),
    ),
  )
}

async function stateOf(prefix: string): Promise<unknown> {
  const { rows } = await world.admin.query(
    `SELECT a.path, b.debits AS dr, b.credits AS cr, b.debits_pending AS "drHeld", b.credits_pending AS "crHeld",
            b.version AS entries, b.closed
       FROM ledger.balance b JOIN ledger.account a ON a.id = b.account_id
      WHERE a.path = ANY ($1::text[]) ORDER BY a.path`,
    [modelAccounts.map(({ path }) => pathOf(prefix, path))],
  )
  return rows
}

function stateOfModel({ state }: Model): unknown {
  return Object.entries(state.accounts)
    .map(([path, { dr, cr, drHeld, crHeld, entries, closed }]) => ({
      path,
      dr,
      cr,
      drHeld,
      crHeld,
      entries,
      closed,
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

test('one at a time or in batches of any size, the writer answers and its books stand as the model says', async () => {
  const writers = new Map<number, Ledger>()
  for (const batchMax of [1, 2, 7, 256]) writers.set(batchMax, await world.open({ batchMax }))
  await fc.assert(
    fc.asyncProperty(units, fc.constantFrom(1, 2, 7, 256), async (asked, batchMax) => {
      const ledger = writers.get(batchMax)!
      const { of, prefix } = await town(ledger)
      const model = openModel(prefix)
      const wanted = [opening, ...asked].map(of)
      // The queue keeps the order in which units are handed over, and batches cut it where they happen to.
      const outcomes = await Promise.all(wanted.map((unit) => ledger.commit(unit)))
      expect(outcomes).toEqual(wanted.map((unit) => model.commit(unit)))
      expect(await stateOf(prefix)).toEqual(stateOfModel(model))
    }),
    { numRuns: runs, endOnFailure: true },
  )
})

test('two writers at once leave what one after the other would have, in the order of the chain', async () => {
  const writers = [world.ledger, await world.open({ batchMax: 3 })]
  await fc.assert(
    fc.asyncProperty(units, fc.infiniteStream(fc.boolean()), async (asked, coin) => {
      const { of, prefix } = await town(world.ledger)
      const wanted = asked.map(of)
      const first = of(opening)
      await world.ledger.commit(first)
      const outcomes = await Promise.all(
        wanted.map((unit) => writers[Number(coin.next().value)]!.commit(unit)),
      )
      const { rows } = await world.admin.query<{ key: string; fingerprint: string; refusal: string | null }>(
        `SELECT key, encode(body_hash, 'hex') AS fingerprint, refusal FROM ledger.unit
          WHERE starts_with(key, $1) ORDER BY block_seq, ordinal`,
        [prefix],
      )
      const model = openModel(prefix)
      for (const { key, fingerprint, refusal } of rows) {
        const unit = [first, ...wanted].find(
          (each) => each.key === key && fingerprintOf(each) === fingerprint,
        )!
        const expected: UnitOutcome =
          refusal === null ? { kind: 'committed' } : { kind: 'refused', reason: refusal }
        expect(model.commit(unit)).toEqual(expected)
      }
      // Whoever asked got the answer that is in the record, or was told that the key stands for something else.
      expect(outcomes).toEqual(wanted.map((unit) => model.commit(unit)))
      expect(await stateOf(prefix)).toEqual(stateOfModel(model))
    }),
    { numRuns: runs, endOnFailure: true },
  )
})

test('and the books verify after all of it', async () => {
  expect((await verifyLedger(world.url)).bad).toBeUndefined()
})
