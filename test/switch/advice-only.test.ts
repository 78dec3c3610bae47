import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cardNamed } from '../../simulators/cards.ts'
import { responseCodeOf } from '../../simulators/terminals/terminal.ts'
import type { Life } from '../../switch/switch.ts'
import { openSwitchWorld, reconciled, type SwitchWorld } from './world.ts'

const standIn = `
destinations:
  knet: { settles: adviceOnly, onOutcomes: [unavailable] }
ranges:
  - bin: 888888
    kinds: [purchase]
    currency: KWD
    perTransactionMinorMax: 10000
    perCardMinorMax: 40000
    perCardCountMax: 4
    perEpisodeMinorMax: 20000
    perHourMinorMax: 1000000
`

let world: SwitchWorld

beforeAll(async () => {
  world = await openSwitchWorld({ rules: { 'stand-in.yaml': standIn } })
}, 120_000)

afterAll(async () => world.close(), 60_000)

/** What the network does with purchases from now on. */
async function purchases(deed: string | undefined): Promise<void> {
  const { host, port } = world.system.endpoints.networks['knet']!.control
  const rules = deed === undefined ? 'rules: []' : `rules:\n  - when: { mti: ['0200'] }\n    then: ${deed}\n`
  const answer = await fetch(`http://${host}:${port}/rules`, {
    method: 'POST',
    body: JSON.stringify({ rules }),
  })
  if (!answer.ok) throw new Error(`the network refuses: ${await answer.text()}`)
}

/** The events that the network has in its own book of a purchase. */
function heldBy(rrn: string): string[] {
  const lines = readFileSync(world.system.endpoints.networks['knet']!.book, 'utf8').trim().split('\n')
  const events = lines.map((line) => JSON.parse(line) as { readonly event: string; readonly rrn?: string })
  return events.filter((line) => line.rrn === rrn).map(({ event }) => event)
}

async function buy(card: string): Promise<Life> {
  const terminal = await world.terminal()
  const { answer, purchase } = await terminal.purchase({
    card: cardNamed(card),
    amountMinor: 7_000n,
    pin: null,
  })
  expect(responseCodeOf(answer)).toBe('00')
  return world.lifeUntil(purchase.rrn, ({ advice }) => advice === 'acknowledged')
}

test('P5: a network that nets it itself hears of our approval alone, where its silence was that of a line', async () => {
  await purchases('{ request: lost }')
  const life = await buy('load-1')
  expect(life).toMatchObject({ state: 'approved', standIn: '888888 KWD', reversal: 'none' })
  expect(life.obligations).toMatchObject([{ kind: 'advice', cause: 'standIn', state: 'acknowledged' }])
  expect(heldBy(life.rrn)).toEqual(['completion'])
}, 60_000)

test('P5: and what its source undoes later is undone as the advice that it heard', async () => {
  const terminal = await world.terminal()
  const asked = await terminal.purchase({ card: cardNamed('load-2'), amountMinor: 7_000n, pin: null })
  expect(responseCodeOf(asked.answer)).toBe('00')
  expect(responseCodeOf(await terminal.reverse(asked).reply)).toBe('00')
  const { rrn } = asked.purchase
  const life = await world.lifeUntil(rrn, ({ reversal }) => reversal === 'acknowledged')
  expect(life.obligations.map(({ kind, cause }) => `${String(kind)} ${String(cause)}`)).toEqual([
    'advice standIn',
    'reversal sourceReversal',
  ])
  expect(heldBy(rrn)).toEqual(['completion', 'reversal'])
}, 60_000)

test('P5: the issuers, the ledger and the exposure agree when all is over', async () => {
  await purchases(undefined)
  const { lines, ok } = await reconciled(world)
  expect(ok, lines.join('\n')).toBe(true)
}, 120_000)

test('P5: what it has decided itself is not undone: that is for it to net', async () => {
  await purchases('{ copies: 0 }')
  const life = await buy('load-3')
  await purchases(undefined)
  expect(life.obligations).toMatchObject([{ kind: 'advice', state: 'acknowledged' }])
  expect(heldBy(life.rrn)).toEqual(['decline', 'completion'])
}, 60_000)
