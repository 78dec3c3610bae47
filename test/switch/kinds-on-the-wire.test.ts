import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import type { Reply } from '../../simulators/terminals/channel.ts'
import type { WireMessage } from '../../simulators/terminals/wire.ts'
import type { Life } from '../../switch/switch.ts'
import { openSwitchWorld, reconciled, reversalOfCompletion, type SwitchWorld } from './world.ts'

let world: SwitchWorld

beforeAll(async () => {
  world = await openSwitchWorld()
}, 120_000)

afterAll(() => world.close())

const knet = cardNamed('knet')

/** An element of the answer. */
function element(reply: Reply, de: number): string | undefined {
  return reply.kind === 'answer' ? reply.message.fields[de] : undefined
}

function code(reply: Reply): string | undefined {
  return reply.kind === 'answer' ? reply.message.fields[39] : reply.kind
}

describe('of every kind', () => {
  /** What the books say of a transaction: each account's first word, side and amount, set aside or moved. */
  async function entries(id: string): Promise<string[]> {
    const { rows } = await world.pool.query<{ entry: string }>(
      `SELECT split_part(a.path, ':', 1) || CASE WHEN e.layer = 1 THEN ' pending' ELSE '' END
           || CASE WHEN e.amount > 0 THEN ' debit ' ELSE ' credit ' END || abs(e.amount) AS entry
         FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id JOIN ledger.account a ON a.id = e.account_id
        WHERE p.reference LIKE $1 || ':%' ORDER BY p.id, e.seq`,
      [id],
    )
    return rows.map(({ entry }) => entry)
  }

  test('an authorization sets aside and posts nothing, and its reversal lets go', async () => {
    const terminal = await world.terminal()
    for (const kind of ['authorization', 'preauthorization'] as const) {
      const asked = await terminal.purchase({ card: knet, amountMinor: 15_000n, kind })
      expect(code(asked.answer)).toBe('00')
      expect(asked.answer).toMatchObject({ message: { mti: '0110' } })
      const { id, kind: known } = await world.life(asked.purchase.rrn)
      expect(known).toBe(kind)
      expect(await entries(id)).toEqual(['authorized pending debit 15000', 'merchant pending credit 15000'])
      const { rows } = await world.pool.query<{ days: number }>(
        `SELECT extract(epoch FROM h.expires_at - p.effective_at)::int / 86400 AS days FROM ledger.hold h
           JOIN ledger.posting p ON p.id = h.id WHERE p.reference = $1 || ':hold'`,
        [id],
      )
      expect(rows).toEqual([{ days: 7 }])
      expect(code(await terminal.reverse(asked).reply)).toBe('00')
      const life = await world.lifeUntil(asked.purchase.rrn, (one) => one.reversal === 'acknowledged')
      expect(life.state).toBe('reversed')
      expect((await entries(id)).slice(2)).toEqual([
        'authorized pending credit 15000',
        'merchant pending debit 15000',
      ])
    }
  })

  test('a completion takes what was set aside, and the issuer hears of it; undone, nothing is left anywhere', async () => {
    const terminal = await world.terminal()
    const order = { card: knet, amountMinor: 20_000n, kind: 'preauthorization' } as const
    const asked = await terminal.purchase(order)
    const authId = element(asked.answer, 38)!
    const completed = terminal.complete(asked, { amountMinor: 18_000n, authId })
    const answer = await completed.reply
    expect(answer).toMatchObject({ message: { mti: '0230', fields: { 39: '00' } } })
    const life = await world.lifeUntil(asked.purchase.rrn, (one) => one.advice === 'acknowledged')
    expect(life).toMatchObject({ state: 'completed', completedMinor: 18_000n, flag: null })
    expect(await entries(life.id)).toEqual([
      'authorized pending debit 20000',
      'merchant pending credit 20000',
      'authorized pending credit 20000',
      'authorized debit 18000',
      'merchant pending debit 20000',
      'merchant credit 18000',
      'net debit 18000',
      'authorized credit 18000',
    ])
    expect(
      code(await terminal.complete(asked, { amountMinor: 18_000n, again: completed.message }).reply),
    ).toBe('00')
    expect(code(await terminal.complete(asked, { amountMinor: 1n }).reply)).toBe('12')
    expect(code(await terminal.reverse(asked).reply)).toBe('00')
    const undone = await world.lifeUntil(asked.purchase.rrn, (one) => one.reversal === 'acknowledged')
    expect(undone.state).toBe('reversed')
  })

  test('a completion above what was set aside is within its trade, or flagged; one of nothing known is flagged', async () => {
    const terminal = await world.terminal()
    const restaurant = {
      card: knet,
      amountMinor: 10_000n,
      kind: 'preauthorization',
      fields: { 18: '5812' },
    } as const
    const dinner = await terminal.purchase(restaurant)
    expect(code(await terminal.complete(dinner, { amountMinor: 12_000n }).reply)).toBe('00')
    expect(await world.life(dinner.purchase.rrn)).toMatchObject({ state: 'completed', flag: null })
    const supper = await terminal.purchase(restaurant)
    expect(code(await terminal.complete(supper, { amountMinor: 12_001n }).reply)).toBe('00')
    expect(await world.life(supper.purchase.rrn)).toMatchObject({
      flag: 'overTolerance',
      completedMinor: 12_001n,
    })
    const ghost = terminal.begin({ card: knet, amountMinor: 5_000n, kind: 'preauthorization', seal: 'wrong' })
    await ghost.reply
    const forced = terminal.complete(ghost, { amountMinor: 5_000n })
    expect(code(await forced.reply)).toBe('00')
    expect(code(await terminal.complete(ghost, { amountMinor: 5_000n, again: forced.message }).reply)).toBe(
      '00',
    )
    const life = await world.lifeUntil(ghost.purchase.rrn, (one) => one.advice === 'acknowledged')
    expect(life).toMatchObject({ kind: 'completion', state: 'completed', flag: 'unknownAuthorization' })
    expect(await entries(life.id)).toEqual(['net debit 5000', 'merchant credit 5000'])
  })

  test('an authorization is raised, and one completion takes all of it; a raise can be undone alone', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 20_000n, kind: 'preauthorization' })
    const authId = element(asked.answer, 38)!
    const byAuthId = await terminal.raise(asked, { card: knet, amountMinor: 5_000n, authId })
    expect(byAuthId.answer).toMatchObject({ message: { mti: '0110', fields: { 39: '00' } } })
    const byOriginal = await terminal.raise(asked, { card: knet, amountMinor: 3_000n })
    expect(code(byOriginal.answer)).toBe('00')
    const [first, ...raises] = await world.lives(asked.purchase.rrn)
    expect(raises).toMatchObject([
      { kind: 'incremental', parentId: first!.id, state: 'approved' },
      { kind: 'incremental', parentId: first!.id, state: 'approved' },
    ])
    expect(await entries(raises[0]!.id)).toEqual([
      'authorized pending debit 5000',
      'merchant pending credit 5000',
    ])
    expect(code(await terminal.reverse(byOriginal).reply)).toBe('00')
    expect(await entries(raises[1]!.id)).toHaveLength(4)
    // 20.000 and 5.000 are set aside: no more than that is taken.
    expect(code(await terminal.complete(asked, { amountMinor: 25_000n }).reply)).toBe('00')
    expect((await world.lives(asked.purchase.rrn))[0]).toMatchObject({ state: 'completed', flag: null })
    expect(
      code(await terminal.raise(asked, { card: knet, amountMinor: 1_000n }).then((one) => one.answer)),
    ).toBe('12')
    expect(code(await terminal.reverse(byAuthId).reply)).toBe('21')
  })

  test('what is raised goes with the authorization when that is reversed; nothing raises what is not there', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 20_000n, kind: 'authorization' })
    expect(code((await terminal.raise(asked, { card: knet, amountMinor: 5_000n })).answer)).toBe('00')
    expect(code(await terminal.reverse(asked).reply)).toBe('00')
    expect(code((await terminal.raise(asked, { card: knet, amountMinor: 5_000n })).answer)).toBe('12')
    const unknown = { purchase: { ...asked.purchase, stan: '999999' } }
    expect(code((await terminal.raise(unknown, { card: knet, amountMinor: 5_000n })).answer)).toBe('25')
    const other = await terminal.raise(asked, { card: cardNamed('load-1'), amountMinor: 5_000n })
    expect(code(other.answer)).toBe('12')
  })

  test('several completions take a part each; the last lets go of what is left, and one reversal undoes them all', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 20_000n, kind: 'preauthorization' })
    const take = (amountMinor: bigint, number: string, last?: string): Promise<Reply> =>
      terminal.complete(asked, { amountMinor, fields: { 71: number, 72: last } }).reply
    expect(code(await take(5_000n, '0001'))).toBe('00')
    expect(await world.life(asked.purchase.rrn)).toMatchObject({ state: 'approved', completedMinor: 5_000n })
    expect(code(await take(4_000n, '0002', '0003'))).toBe('00')
    expect(code(await take(1_000n, '0003', '0003'))).toBe('00')
    expect(code(await take(1_000n, '0004', '0004'))).toBe('12')
    const told = (life: Life): string[] => life.obligations.map(({ state }) => String(state))
    const life = await world.lifeUntil(
      asked.purchase.rrn,
      (one) => told(one).join() === 'acknowledged,acknowledged,acknowledged',
    )
    expect(life).toMatchObject({ state: 'completed', completedMinor: 10_000n, flag: null })
    expect((await entries(life.id)).filter((entry) => entry.startsWith('net'))).toEqual([
      'net debit 5000',
      'net debit 4000',
      'net debit 1000',
    ])
    expect(code(await terminal.reverse(asked).reply)).toBe('00')
    expect((await entries(life.id)).slice(-2)).toEqual(['merchant debit 10000', 'net credit 10000'])
  })

  test('one completion of several is undone alone, before and after the last, and the last that stands with all of it', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 20_000n, kind: 'preauthorization' })
    const take = async (amountMinor: bigint, number: string, last?: string): Promise<WireMessage> => {
      const sent = terminal.complete(asked, { amountMinor, fields: { 71: number, 72: last } })
      expect(code(await sent.reply)).toBe('00')
      return sent.message
    }
    const undo = (completion: WireMessage, change: WireMessage['fields'] = {}): Promise<Reply> =>
      terminal.ask(reversalOfCompletion(completion, change))
    const first = await take(5_000n, '0001')
    const second = await take(4_000n, '0002')
    expect(code(await undo(first, { 4: '000000004000' }))).toBe('13')
    expect(code(await undo(first))).toBe('00')
    expect(code(await undo(first))).toBe('00')
    expect(code(await undo(first, { 11: '799999' }))).toBe('21')
    expect(await world.life(asked.purchase.rrn)).toMatchObject({ state: 'approved', completedMinor: 4_000n })
    const last = await take(16_000n, '0003', '0003')
    expect(await world.life(asked.purchase.rrn)).toMatchObject({
      state: 'completed',
      completedMinor: 20_000n,
    })
    expect(code(await undo(second))).toBe('00')
    expect(code(await undo(last))).toBe('00')
    const life = await world.lifeUntil(
      asked.purchase.rrn,
      ({ obligations, reversal }) =>
        reversal === 'acknowledged' &&
        obligations.length === 7 &&
        obligations.every(({ state }) => state === 'acknowledged'),
    )
    expect(life).toMatchObject({ state: 'reversed', completedMinor: 0n, reversal: 'acknowledged' })
    const kinds = life.obligations.map(
      ({ cause, response_code }) => `${String(cause)} ${String(response_code)}`,
    )
    expect(kinds.filter((one) => one.startsWith('completionReversal'))).toEqual(
      Array.from({ length: 3 }, () => 'completionReversal 00'),
    )
    expect((await entries(life.id)).filter((entry) => entry.startsWith('net'))).toEqual([
      'net debit 5000',
      'net debit 4000',
      'net credit 5000',
      'net debit 16000',
      'net credit 4000',
      'net credit 16000',
    ])
  })

  test('a completion whose reversal came first is not taken, and stays so', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 6_000n, kind: 'preauthorization' })
    const stray = terminal.reverse(asked, { again: undefined as never })
    await stray.reply
    const second = await terminal.purchase({ card: knet, amountMinor: 6_000n, kind: 'preauthorization' })
    const completion = terminal.complete(second, { amountMinor: 6_000n })
    expect(code(await completion.reply)).toBe('00')
    const { fields } = completion.message
    const ghost = { ...fields, 11: '611111' }
    const named = { ...stray.message.fields, 4: fields[4]!, 11: '611112', 37: fields[37]! }
    const reversal = { ...named, 90: `0220611111${fields[7]}`.padEnd(42, '0') }
    expect(code(await terminal.ask({ mti: '0420', fields: reversal }))).toBe('25')
    for (const tries of [1, 2])
      expect([tries, code(await terminal.ask({ mti: '0220', fields: ghost }))]).toEqual([tries, '12'])
  })

  test('no more goes back by refunds than was paid, however many ask at once; and what went back is not reversed', async () => {
    const terminal = await world.terminal()
    const paid = await terminal.purchase({ card: knet, amountMinor: 10_000n })
    const back = (amountMinor: bigint): Promise<string | undefined> =>
      terminal.refund(paid, { card: knet, amountMinor, pin: null }).then(({ answer }) => code(answer))
    expect((await Promise.all([back(4_000n), back(4_001n), back(4_002n)])).sort()).toEqual(['00', '00', '13'])
    expect(code(await terminal.reverse(paid).reply)).toBe('12')
    expect(await back(2_000n)).toBe('13')
    expect(await back(1_900n)).toBe('00')
    const { rows } = await world.pool.query<{ children: number; refunded: bigint }>(
      `SELECT refunded_minor AS refunded, (SELECT count(*)::int FROM switch.transaction c
          WHERE c.parent_id = t.id AND c.state = 'approved') AS children
         FROM switch.transaction t WHERE rrn = $1`,
      [paid.purchase.rrn],
    )
    expect(rows[0]!.children).toBe(3)
    expect(rows[0]!.refunded).toBeGreaterThanOrEqual(9_901n)
    expect(rows[0]!.refunded).toBeLessThanOrEqual(10_000n)
  })

  test('a refund that comes to nothing, or is reversed, gives its part up again', async () => {
    const terminal = await world.terminal()
    const paid = await terminal.purchase({ card: knet, amountMinor: 10_000n })
    const all = await terminal.refund(paid, { card: knet, amountMinor: 10_000n, pin: null })
    expect(code(all.answer)).toBe('00')
    expect(code(await terminal.reverse(all).reply)).toBe('00')
    const again = await terminal.refund(paid, { card: knet, amountMinor: 10_000n, pin: null })
    expect(code(again.answer)).toBe('00')
    expect(code(await terminal.reverse(paid).reply)).toBe('12')
    const declined = await terminal.purchase({ card: knet, amountMinor: 5_000n, pin: '0000' })
    expect(code(declined.answer)).toBe('55')
    expect(code((await terminal.refund(declined, { card: knet, amountMinor: 1n, pin: null })).answer)).toBe(
      '12',
    )
  })

  test('a completion of nothing known is undone by its source, and the issuer hears of both in order', async () => {
    const terminal = await world.terminal()
    const ghost = terminal.begin({ card: knet, amountMinor: 5_000n, kind: 'preauthorization', seal: 'wrong' })
    await ghost.reply
    const completed = terminal.complete(ghost, { amountMinor: 5_000n })
    expect(code(await completed.reply)).toBe('00')
    const { fields } = completed.message
    const undo = terminal.reverse(ghost, { again: undefined as never })
    await undo.reply
    const named = {
      ...undo.message.fields,
      11: '000001',
      90: `0220${fields[11]}${fields[7]}`.padEnd(42, '0'),
    }
    expect(code(await terminal.ask({ mti: '0420', fields: named }))).toBe('00')
    const life = await world.lifeUntil(ghost.purchase.rrn, (one) => one.reversal === 'acknowledged')
    expect(life).toMatchObject({ state: 'reversed', advice: 'acknowledged', flag: 'unknownAuthorization' })
    expect(await entries(life.id)).toEqual([
      'net debit 5000',
      'merchant credit 5000',
      'net credit 5000',
      'merchant debit 5000',
    ])
  })

  test('a part of what is set aside can be let go before the rest is taken', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 20_000n, kind: 'authorization' })
    expect(code(await terminal.reverse(asked, { actualMinor: 15_000n }).reply)).toBe('00')
    const { id } = await world.lifeUntil(asked.purchase.rrn, (one) => one.reversal === 'acknowledged')
    expect((await entries(id)).slice(2)).toEqual([
      'authorized pending credit 5000',
      'merchant pending debit 5000',
    ])
    expect(code(await terminal.complete(asked, { amountMinor: 15_000n }).reply)).toBe('00')
    expect(await world.life(asked.purchase.rrn)).toMatchObject({ state: 'completed', flag: null })
  })

  test('what nobody completes in time is let go, which is an event; a completion after that is flagged', async () => {
    const terminal = await world.terminal()
    const order = {
      card: knet,
      amountMinor: 3_000n,
      kind: 'preauthorization',
      fields: { 18: '7299' },
    } as const
    const asked = await terminal.purchase(order)
    const life = await world.lifeUntil(asked.purchase.rrn, ({ state }) => state === 'expired')
    expect(life.events.at(-1)).toMatchObject({ kind: 'expired', sequence: life.events.length })
    expect((await entries(life.id)).length).toBe(2)
    expect(code(await terminal.complete(asked, { amountMinor: 3_000n }).reply)).toBe('00')
    const later = await world.lifeUntil(asked.purchase.rrn, (one) => one.advice === 'acknowledged')
    expect(later).toMatchObject({ state: 'completed', flag: 'afterExpiry' })
  })

  test('what nobody takes of it in time is let go, and a part that comes after that is flagged, and the last', async () => {
    const terminal = await world.terminal()
    const fields = { 18: '7299' }
    const asked = await terminal.purchase({
      card: knet,
      amountMinor: 3_000n,
      kind: 'preauthorization',
      fields,
    })
    const take = (amountMinor: bigint, number: string): Promise<Reply> =>
      terminal.complete(asked, { amountMinor, fields: { 71: number } }).reply
    expect(code(await take(1_000n, '0001'))).toBe('00')
    const rest = await world.lifeUntil(asked.purchase.rrn, ({ state }) => state === 'completed')
    expect(rest.events.at(-1)).toMatchObject({ kind: 'expired' })
    expect(code(await take(2_500n, '0002'))).toBe('00')
    const life = await world.life(asked.purchase.rrn)
    expect(life).toMatchObject({ state: 'completed', flag: 'afterExpiry', completedMinor: 3_500n })
    expect((await entries(life.id)).filter((entry) => entry.startsWith('net'))).toEqual([
      'net debit 1000',
      'net debit 2500',
    ])
    expect(code(await take(100n, '0003'))).toBe('12')
  })

  test('a hotel has its money set aside for longer', async () => {
    const terminal = await world.terminal()
    const order = {
      card: knet,
      amountMinor: 15_100n,
      kind: 'preauthorization',
      fields: { 18: '7011' },
    } as const
    const { purchase } = await terminal.purchase(order)
    const { rows } = await world.pool.query<{ days: number }>(
      `SELECT extract(epoch FROM h.expires_at - p.effective_at)::int / 86400 AS days FROM ledger.hold h
         JOIN ledger.posting p ON p.id = h.id WHERE p.reference = $1 || ':hold'`,
      [(await world.life(purchase.rrn)).id],
    )
    expect(rows).toEqual([{ days: 30 }])
  })

  test('a part may be approved: the part is posted and told, with what was asked beside it', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 9_916n })
    expect(code(asked.answer)).toBe('10')
    expect(element(asked.answer, 4)).toBe('000000004958')
    expect(element(asked.answer, 54)).toBe('0057414D000000009916')
    const life = await world.lifeUntil(asked.purchase.rrn, ({ delivery }) => delivery === 'delivered')
    expect(life).toMatchObject({ state: 'approved', approvedMinor: 4_958n })
    expect(await entries(life.id)).toEqual(['net debit 4958', 'merchant credit 4958'])
    const again = await terminal.repeat(asked)
    expect([4, 39, 54].map((de) => element(again, de))).toEqual(
      [4, 39, 54].map((de) => element(asked.answer, de)),
    )
    expect(code(await terminal.reverse(asked, { actualMinor: 5_000n }).reply)).toBe('21')
    expect(code(await terminal.reverse(asked).reply)).toBe('00')
    await world.lifeUntil(asked.purchase.rrn, (one) => one.reversal === 'acknowledged')
  })

  test('a purchase with cash owes the merchant goods and cash apart', async () => {
    const terminal = await world.terminal()
    const order = {
      card: knet,
      amountMinor: 30_000n,
      kind: 'cashback',
      fields: { 54: '0040414D000000010000' },
    } as const
    const asked = await terminal.purchase(order)
    expect(code(asked.answer)).toBe('00')
    const { id } = await world.life(asked.purchase.rrn)
    expect(await entries(id)).toEqual(['net debit 30000', 'merchant credit 20000', 'cashback credit 10000'])
    expect(code(await terminal.reverse(asked, { actualMinor: 10_000n }).reply)).toBe('00')
    expect((await entries(id)).slice(3)).toEqual(['merchant debit 20000', 'net credit 20000'])
  })

  test('what is charged for cash is a line of its own, and goes back with it', async () => {
    const terminal = await world.terminal()
    const charged = {
      card: knet,
      amountMinor: 20_250n,
      kind: 'withdrawal',
      fields: { 28: 'D00000250' },
    } as const
    const asked = await terminal.purchase(charged)
    expect(code(asked.answer)).toBe('00')
    const life = await world.life(asked.purchase.rrn)
    expect(await entries(life.id)).toEqual(['net debit 20250', 'merchant credit 20000', 'fees credit 250'])
    // The machine gave out a half: what is charged stays.
    expect(code(await terminal.reverse(asked, { actualMinor: 10_250n }).reply)).toBe('00')
    expect((await entries(life.id)).slice(3).sort()).toEqual(['merchant debit 10000', 'net credit 10000'])
    expect(code(await terminal.reverse(asked).reply)).toBe('00')
    await world.lifeUntil(asked.purchase.rrn, ({ reversal }) => reversal === 'acknowledged')
    expect((await entries(life.id)).slice(5).sort()).toEqual([
      'fees debit 250',
      'merchant debit 10000',
      'net credit 10250',
    ])
    const given = await terminal.purchase({ ...charged, fields: { 28: 'C00000250' } })
    const tooMuch = await terminal.purchase({ ...charged, amountMinor: 250n })
    const free = await terminal.purchase({ ...charged, kind: 'refund', pin: null })
    expect([given, tooMuch, free].map(({ answer }) => code(answer))).toEqual(['13', '13', '12'])
  })

  test('a card that is good is 85, with nothing in the books and nothing to reverse', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 0n, kind: 'verification', pin: null })
    expect(code(asked.answer)).toBe('85')
    expect(code(await terminal.reverse(asked).reply)).toBe('21')
    const life = await world.life(asked.purchase.rrn)
    expect(life).toMatchObject({ kind: 'verification', state: 'approved', obligations: [] })
    expect(await entries(life.id)).toEqual([])
    const bad = await terminal.purchase({ card: cardNamed('expired'), amountMinor: 0n, kind: 'verification' })
    expect(code(bad.answer)).toBe('54')
  })

  test('money moves between two accounts of a cardholder in one posting', async () => {
    const terminal = await world.terminal()
    const fields = { 102: 'CURRENT-1', 103: 'WALLET-1' }
    const asked = await terminal.purchase({ card: knet, amountMinor: 7_000n, kind: 'transfer', fields })
    expect(code(asked.answer)).toBe('00')
    const { id } = await world.life(asked.purchase.rrn)
    const { rows } = await world.pool.query<{ path: string; amount: bigint }>(
      `SELECT a.path, e.amount FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id
         JOIN ledger.account a ON a.id = e.account_id WHERE p.reference = $1 || ':transfer' ORDER BY e.seq`,
      [id],
    )
    expect(rows).toEqual([
      { path: 'holder:knet:CURRENT-1:KWD', amount: 7_000n },
      { path: 'holder:knet:WALLET-1:KWD', amount: -7_000n },
    ])
  })

  test('money put on an account over the counter is the mirror of a purchase', async () => {
    const terminal = await world.terminal()
    const asked = await terminal.purchase({ card: knet, amountMinor: 8_000n, kind: 'deposit', pin: null })
    expect(code(asked.answer)).toBe('00')
    const { id } = await world.life(asked.purchase.rrn)
    expect(await entries(id)).toEqual(['merchant debit 8000', 'net credit 8000'])
  })
})

test('when all is over the issuers and the ledger hold the same, and no card data is anywhere', async () => {
  const { ok, lines } = await reconciled(world)
  expect(lines.at(-1)).toBe('RESULT ok')
  expect(ok).toBe(true)
}, 120_000)
