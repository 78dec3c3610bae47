import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cardNamed, type TestCard } from '../../simulators/cards.ts'
import { responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { approveOperation, askOperation, type Life } from '../../switch/switch.ts'
import { openPool } from '../../kernel/database.ts'
import { openSwitchWorld, reconciled, type SwitchWorld } from './world.ts'

const standIn = `
destinations:
  knet: { settles: reversalThenAdvice, onOutcomes: [unavailable] }
ranges:
  - bin: 888888
    kinds: [purchase]
    currency: KWD
    perTransactionMinorMax: 10000
    perCardMinorMax: 40000
    perCardCountMax: 4
    perEpisodeMinorMax: 15000
    perHourMinorMax: 1000000
`

let world: SwitchWorld

beforeAll(async () => {
  world = await openSwitchWorld({ rules: { 'stand-in.yaml': standIn } })
}, 120_000)

afterAll(async () => world.close(), 60_000)

const mafraq = new URL('../../bin/mafraq', import.meta.url).pathname

async function exposures(): Promise<string> {
  const args = ['exposures', '--state', world.system.stateFolder]
  return (await promisify(execFile)(mafraq, args, { timeout: 60_000 })).stdout
}

interface Bought {
  readonly code: string | undefined
  readonly authId: string | undefined
  readonly rrn: string
}

async function buy(card: TestCard, amountMinor: bigint, pin: string | null = null): Promise<Bought> {
  const terminal = await world.terminal()
  const { answer, purchase } = await terminal.purchase({ card, amountMinor, pin })
  return {
    code: responseCodeOf(answer),
    authId: answer.kind === 'answer' ? answer.message.fields[38] : undefined,
    rrn: purchase.rrn,
  }
}

/** What the network does with advices from now on. */
async function advices(deed: string | undefined): Promise<void> {
  const { host, port } = world.system.endpoints.networks['knet']!.control
  const rules = deed === undefined ? 'rules: []' : `rules:\n  - when: { mti: ['022*'] }\n    then: ${deed}\n`
  const answer = await fetch(`http://${host}:${port}/rules`, {
    method: 'POST',
    body: JSON.stringify({ rules }),
  })
  if (!answer.ok) throw new Error(`the network refuses: ${await answer.text()}`)
}

const isTold = ({ advice }: Life): boolean => advice === 'acknowledged'

describe('in the place of an issuer that can not be reached, by the rules that are in force', () => {
  test('P1, P4: a front end that says 91 is stood in for, under an authorization number of our own, and the issuer is told', async () => {
    await world.network({ refuse: '91' })
    const { authId, code, rrn } = await buy(cardNamed('load-1'), 7_000n)
    expect([code, authId?.[0]]).toEqual(['00', 'S'])
    const life = await world.lifeUntil(rrn, isTold)
    expect(life).toMatchObject({ state: 'approved', standIn: '888888 KWD', reversal: 'none' })
    expect(life.obligations).toMatchObject([{ kind: 'advice', state: 'acknowledged' }])
  }, 60_000)

  test('P5: what it may have is undone before it is told', async () => {
    await world.network({ reset: true, silent: true })
    const { code, rrn } = await buy(cardNamed('load-2'), 7_000n)
    expect(code).toBe('00')
    await world.network({ reset: true })
    const life = await world.lifeUntil(rrn, (each) => isTold(each) && each.reversal === 'acknowledged')
    expect(life.obligations).toMatchObject([{ kind: 'reversal' }, { kind: 'advice' }])
    const [undone, told] = life.obligations as readonly { readonly closed_at: Date }[]
    expect(undone!.closed_at.getTime()).toBeLessThan(told!.closed_at.getTime())
  }, 60_000)

  test('P2: nothing that has a PIN is approved: we could not say whether it is right', async () => {
    await world.network({ refuse: '91' })
    expect((await buy(cardNamed('load-3'), 7_000n, cardNamed('load-3').pin)).code).toBe('91')
  })

  test('P1: what the issuer declined stays declined', async () => {
    await world.network({ reset: true, refuse: '51' })
    expect((await buy(cardNamed('load-3'), 7_000n)).code).toBe('51')
  })

  test('F37: an advice that the issuer refuses is an exposure that people see, and settle with four eyes; the approval stands', async () => {
    await advices("{ refuse: '12' }")
    await world.network({ reset: true, refuse: '91' })
    const card = cardNamed('load-4')
    const { code, rrn } = await buy(card, 7_000n)
    expect(code).toBe('00')
    const life = await world.lifeUntil(rrn, ({ advice }) => advice === 'parked')
    expect(life.state).toBe('approved')
    expect(await exposures()).toMatch(new RegExp(`RRN ${rrn} .* KWD 7\\.000  rule 888888 KWD  advice parked`))
    // What its issuer would not have counts against the card: so much in one episode, and no more.
    expect((await buy(card, 8_000n)).code).toBe('00')
    expect((await buy(card, 1_000n)).code).toBe('91')

    const { id } = life.obligations[0] as { readonly id: string }
    const pool = openPool({
      databaseUrl: world.system.endpoints.database.writerUrl,
      applicationName: 'test',
      connectionsMax: 1,
    })
    try {
      const why = 'settled with the issuer by hand'
      const { operation } = await askOperation(pool, { obligationId: id, act: 'close', who: 'alice', why })
      const agreed = await approveOperation(pool, { operation: operation!, who: 'bob', why })
      expect(agreed).toBe('done')
    } finally {
      await pool.end()
    }
    expect(await exposures()).not.toContain(rrn)
    expect((await buy(card, 5_000n)).code).toBe('00')
  }, 90_000)

  test('what was approved in its place and what it was told agree, whatever it would not have', async () => {
    await advices(undefined)
    await world.network({ reset: true })
    const { lines } = await reconciled(world)
    expect(lines.join('\n')).toMatch(/double 0 .*unbalanced 0 .*stuck 0/)
  }, 120_000)
})
