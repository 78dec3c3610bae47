import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RowKind, SqlValue, Unit, UnitOutcome } from '../../ledger/ledger.ts'
import { countOf, openWorld, ownedBy, transfer, unit } from './world.ts'
import type { World } from './world.ts'

const schema = `
  CREATE SCHEMA scratch;
  CREATE TABLE scratch.job (id text PRIMARY KEY, state text NOT NULL, note bytea);
  CREATE TABLE scratch.step (job text NOT NULL REFERENCES scratch.job, seq bigint NOT NULL, PRIMARY KEY (job, seq));
  GRANT USAGE ON SCHEMA scratch TO ledger_writer;
  GRANT SELECT, INSERT, UPDATE ON scratch.job, scratch.step TO ledger_writer`

const open: RowKind = {
  name: 'job.open',
  columns: [
    ['id', 'text'],
    ['note', 'bytea'],
  ],
  write: { into: 'scratch.job', values: `id, 'open', note` },
  claims: ['id'],
}

const end: RowKind = {
  name: 'job.end',
  columns: [
    ['id', 'text'],
    ['state', 'text'],
  ],
  guard: `WITH locked AS (SELECT j.id, j.state FROM input JOIN scratch.job j USING (id) ORDER BY j.id FOR UPDATE OF j)
    SELECT input.ordinal, CASE WHEN locked.id IS NULL THEN 'noSuchJob' ELSE 'jobHasEnded' END AS reason
      FROM input LEFT JOIN locked USING (id) WHERE locked.state IS DISTINCT FROM 'open'`,
  write: `UPDATE scratch.job j SET state = input.state FROM input WHERE j.id = input.id AND j.state = 'open'`,
  claims: ['id'],
}

const step: RowKind = {
  name: 'step',
  columns: [
    ['job', 'text'],
    ['seq', 'bigint'],
  ],
  write: 'INSERT INTO scratch.step SELECT job, seq FROM input',
}

/** A kind whose statement writes fewer rows than it is given. */
const forgetful: RowKind = {
  ...step,
  name: 'forgetful',
  write: 'INSERT INTO scratch.step SELECT job, seq FROM input WHERE false',
}

let world: World

beforeAll(async () => {
  world = await openWorld({ schema, rowKinds: [open, end, step, forgetful] })
})

afterAll(() => world.close())

let keys = 0

function rows(...given: [kind: string, ...values: SqlValue[]][]): Unit {
  keys++
  return { key: `rows-${keys}`, commands: [], rows: given.map(([kind, ...values]) => ({ kind, values })) }
}

async function stateOf(id: string): Promise<string | undefined> {
  const { rows } = await world.admin.query<{ state: string }>('SELECT state FROM scratch.job WHERE id = $1', [
    id,
  ])
  return rows[0]?.state
}

const committed: UnitOutcome = { kind: 'committed' }
const refused = (reason: string): UnitOutcome => ({ kind: 'refused', reason })

test('rows of another room are written with the postings, and kinds in the order of their registration', async () => {
  const both = {
    ...rows(['step', 'a', 1n], ['job.open', 'a', Buffer.from([0, 255])]),
    commands: [transfer('bank', 'merchant:1', 5n)],
  }
  expect(await world.ledger.commit(both)).toEqual(committed)
  expect(await stateOf('a')).toBe('open')
  const { rows: notes } = await world.admin.query<{ note: Buffer }>(
    `SELECT note FROM scratch.job WHERE id = 'a'`,
  )
  expect([...notes[0]!.note]).toEqual([0, 255])
})

test('a row that its guard refuses takes the postings of its unit with it', async () => {
  const before = await ownedBy(world, 'merchant:1')
  const late = {
    ...rows(['job.end', 'never-opened', 'done']),
    commands: [transfer('bank', 'merchant:1', 5n)],
  }
  expect(await world.ledger.commit(late)).toEqual(refused('noSuchJob'))
  expect(await ownedBy(world, 'merchant:1')).toBe(before)
})

test('what a guard refused is asked again when the unit comes again', async () => {
  const early = rows(['job.end', 'b', 'done'])
  expect(await world.ledger.commit(early)).toEqual(refused('noSuchJob'))
  expect(await world.ledger.commit(rows(['job.open', 'b', null]))).toEqual(committed)
  expect(await world.ledger.commit(early)).toEqual(committed)
})

test('a unit in the record is answered from it, whatever its guard would say by now', async () => {
  await world.ledger.commit(rows(['job.open', 'c', null]))
  const done = rows(['job.end', 'c', 'done'])
  expect(await world.ledger.commit(done)).toEqual(committed)
  expect(await world.ledger.commit(done)).toEqual(committed)
  expect(await world.ledger.commit(rows(['job.end', 'c', 'done']))).toEqual(refused('jobHasEnded'))
})

test('of many units that end the same job at once the first one does, and the others are told', async () => {
  await world.ledger.commit(rows(['job.open', 'd', null]))
  const ends = Array.from({ length: 8 }, (_, index) => rows(['job.end', 'd', `by-${index}`]))
  const outcomes = await Promise.all(ends.map((each) => world.ledger.commit(each)))
  expect(outcomes).toEqual([committed, ...Array.from({ length: 7 }, () => refused('jobHasEnded'))])
  expect(await stateOf('d')).toBe('by-0')
})

test('opening a job and ending it, sent at once, happen in the order they were sent', async () => {
  const outcomes = await Promise.all([
    world.ledger.commit(rows(['job.open', 'e', null])),
    world.ledger.commit(rows(['job.end', 'e', 'done'])),
  ])
  expect(outcomes).toEqual([committed, committed])
})

test('one unit that the database refuses does not refuse the others of its batch', async () => {
  await world.ledger.commit(rows(['job.open', 'f', null]))
  const good = Array.from({ length: 40 }, (_, seq) => rows(['step', 'f', BigInt(seq)]))
  const orphan = rows(['step', 'no-such-job', 1n])
  const units = [...good.slice(0, 17), orphan, ...good.slice(17)]
  const outcomes = await Promise.all(units.map((each) => world.ledger.commit(each)))
  expect(outcomes.filter(({ kind }) => kind === 'committed')).toHaveLength(40)
  expect(outcomes[17]).toEqual(refused('rejected'))
  expect(await countOf(world, `scratch.step WHERE job = 'f'`)).toBe(40)
})

test('a kind that writes fewer rows than it is given has written nothing', async () => {
  const before = await countOf(world, 'ledger.unit')
  const lost = { ...rows(['forgetful', 'a', 99n]), commands: [transfer('bank', 'merchant:1', 5n)] }
  expect(await world.ledger.commit(lost)).toEqual(refused('rejected'))
  expect(await countOf(world, 'ledger.unit')).toBe(before)
})

test('values that SQL cannot hold refuse their own unit only', async () => {
  await world.ledger.commit(rows(['job.open', 'g', null]))
  const outcomes = await Promise.all([
    world.ledger.commit(rows(['step', 'g', 1n])),
    world.ledger.commit(rows(['step', 'g', 'two'])),
    world.ledger.commit(rows(['step', 'g\0', 3n])),
    world.ledger.commit(rows(['step', 'g', 2n ** 64n])),
    world.ledger.commit(rows(['step', 'g', 5n])),
  ])
  expect(outcomes).toEqual([
    committed,
    refused('rejected'),
    refused('rejected'),
    refused('rejected'),
    committed,
  ])
})

test('rows of no kind, or of a wrong width, are refused at once', async () => {
  expect(await world.ledger.commit(rows(['nothing', 1n]))).toEqual(refused('malformed'))
  expect(await world.ledger.commit(rows(['step', 'a']))).toEqual(refused('malformed'))
})

test('urgent units go first', async () => {
  const ledger = await world.open({ batchMax: 1 })
  const done: string[] = []
  const commit = async (name: string, urgent: boolean): Promise<void> => {
    await ledger.commit({ ...unit(transfer('bank', 'merchant:1', 1n)), urgent })
    done.push(name)
  }
  await Promise.all([
    commit('first', false),
    commit('second', false),
    commit('third', false),
    commit('reversal', true),
  ])
  expect(done.indexOf('reversal')).toBeLessThan(done.indexOf('third'))
})

test('the record of a unit holds what it was made of: other rows under its key are refused', async () => {
  const first = rows(['job.open', 'h', null])
  expect(await world.ledger.commit(first)).toEqual(committed)
  expect(await world.ledger.commit({ ...rows(['job.open', 'i', null]), key: first.key })).toEqual(
    refused('keyReused'),
  )
})
