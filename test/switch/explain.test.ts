import { afterAll, beforeAll, expect, test } from 'vitest'
import { tellFamily } from '../../bin/commands/explain.ts'
import { storyOf } from '../../bin/explain/story.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { type Asked, type PurchaseOrder, responseCodeOf } from '../../simulators/terminals/terminal.ts'
import { openSwitchWorld, type SwitchWorld } from './world.ts'

let world: SwitchWorld

beforeAll(async () => {
  world = await openSwitchWorld()
}, 120_000)

afterAll(() => world.close())

const knet = cardNamed('knet')

/** What `mafraq explain` prints, one transaction after the other. */
async function explain({ purchase }: Pick<Asked, 'purchase'>): Promise<string[]> {
  const family = await tellFamily(world.pool, purchase.rrn)
  const stories = family.map((life) => storyOf(life, family))
  for (const story of stories) {
    expect(story).toContain('888888******')
    expect(story).not.toContain(purchase.pan)
  }
  if (process.env['SHOW_STORIES'] !== undefined) console.log(stories.join('\n'))
  return stories
}

/** Each sentence stands in the story, in this order. */
function tells(story: string | undefined, ...sentences: string[]): void {
  let from = 0
  for (const sentence of sentences) {
    const at = story?.indexOf(sentence, from) ?? -1
    expect(at, `${sentence}\nis not told there by\n${story}`).toBeGreaterThanOrEqual(0)
    from = at + sentence.length
  }
}

test('every kind of request that is approved is told from the asking to the books', async () => {
  const terminal = await world.terminal()
  const orders: readonly [PurchaseOrder, string][] = [
    [{ card: knet, amountMinor: 10_000n }, 'KWD 10.000  purchase'],
    [{ card: knet, amountMinor: 5_000n, kind: 'withdrawal' }, 'KWD 5.000  withdrawal'],
    [{ card: knet, amountMinor: 4_000n, kind: 'refund', pin: null }, 'KWD 4.000  refund'],
    [{ card: knet, amountMinor: 3_000n, kind: 'deposit', pin: null }, 'KWD 3.000  deposit'],
    [{ card: knet, amountMinor: 2_000n, kind: 'authorization' }, 'KWD 2.000  authorization'],
    [
      { card: knet, amountMinor: 9_000n, kind: 'cashback', fields: { 54: '0040414D000000004000' } },
      'KWD 9.000  cashback',
    ],
    [
      { card: knet, amountMinor: 2_500n, kind: 'transfer', fields: { 102: 'FROM-1', 103: 'TO-1' } },
      'KWD 2.500  transfer',
    ],
  ]
  for (const [order, what] of orders) {
    const asked = await terminal.purchase(order)
    const [story] = await explain(asked)
    tells(story, what, 'APPROVED  answer 00 authorization ', 'that is: approved')
    tells(
      story,
      'business date 20',
      'acq1 asks. That is on record before anything leaves, with the leg to knet',
    )
    tells(story, 'knet approves with 00', 'out 0', 'in  0', 'books:  ')
  }
  for (const kind of ['balance', 'verification'] as const) {
    const asked = await terminal.purchase({ card: knet, amountMinor: 0n, kind })
    tells((await explain(asked))[0], `KWD 0.000  ${kind}`, 'that is: approved', 'knet approves with')
  }
}, 60_000)

test('an authorization is told with what raised it and what completions took of it, and its undoing', async () => {
  const terminal = await world.terminal()
  const asked = await terminal.purchase({ card: knet, amountMinor: 20_000n, kind: 'preauthorization' })
  await terminal.raise(asked, { card: knet, amountMinor: 5_000n })
  await terminal.complete(asked, { amountMinor: 4_000n, fields: { 71: '0001', 72: '0002' } }).reply
  await terminal.complete(asked, { amountMinor: 6_000n, fields: { 71: '0002', 72: '0002' } }).reply
  await terminal.reverse(asked).reply
  await until(asked, ({ reversal }) => reversal === 'acknowledged')
  const [first, raise] = await explain(asked)
  tells(
    first,
    'preauthorization',
    'REVERSED',
    'completed with KWD 10.000',
    'raised by an incremental of KWD 5.000  approved',
    '(completion 1, others follow). So much is taken of what was set aside, the rest stays set aside',
    '(completion 2, the last). So much is taken of what was set aside, what is left is let go',
    'acq1 reverses it. Undone in the books, and knet is to undo it',
    'knet acknowledges the undoing with 00',
    'owed to knet: advice of KWD 4.000 (completion: the source told what became of the authorization)  acknowledged',
    'owed to knet: reversal (sourceReversal: the source wants it undone)  acknowledged',
    'authorized: what the network has authorized and nobody has taken',
  )
  tells(raise, 'incremental', 'raises the preauthorization of KWD 20.000', 'increment')
}, 60_000)

test('a payment is told with its refunds, and those with the payment; what is too much is told as refused', async () => {
  const terminal = await world.terminal()
  const paid = await terminal.purchase({ card: knet, amountMinor: 10_000n })
  const back = await terminal.refund(paid, { card: knet, amountMinor: 6_000n, pin: null })
  const tooMuch = await terminal.refund(paid, { card: knet, amountMinor: 4_001n, pin: null })
  const stories = await explain(back)
  expect(stories).toHaveLength(3)
  tells(
    stories[0],
    'refunded by a refund of KWD 6.000  approved',
    'a refund claims its part of what was paid',
  )
  tells(stories[1], 'gives back of the purchase of KWD 10.000')
  const [refused] = await explain(tooMuch).then((all) => all.slice(-1))
  tells(
    refused,
    'REFUSED  answer 13',
    'that is: refused by the switch',
    'refused with 13: it is for more than was taken, less what was given back already. Nothing is sent',
  )
}, 60_000)

test('what went wrong is told with its cause and with what came of it', async () => {
  const terminal = await world.terminal()
  const declined = await terminal.purchase({ card: knet, amountMinor: 3_000n, pin: '0000' })
  tells((await explain(declined))[0], 'DECLINED  answer 55', 'knet declines with 55')
  const stranger = await terminal.purchase({ card: cardNamed('discover'), amountMinor: 3_000n })
  const [alone] = await tellFamily(world.pool, stranger.purchase.rrn)
  tells(
    storyOf(alone!, []),
    'that is: refused by the switch; no destination was asked, or none could be',
    'acq1 asks and is refused with 15: no destination takes that card. Nothing is sent',
  )
  const wrong = await terminal.purchase({ card: knet, amountMinor: 3_913n })
  await until(wrong, ({ reversal }) => reversal === 'acknowledged')
  tells(
    (await explain(wrong))[0],
    'UNKNOWN  answer 96',
    'that is: declined, because nobody knows what its destination did; undone there',
    'the approval was for another amount or currency',
    'knet acknowledges the undoing with 00',
    'owed to knet: reversal (wrongAmount: another amount or currency was approved)',
  )
  const refusing = await terminal.purchase({ card: knet, amountMinor: 3_923n })
  await terminal.reverse(refusing).reply
  await until(refusing, ({ reversal }) => reversal === 'parked')
  tells((await explain(refusing))[0], 'knet refuses the undoing with 12. It is parked for people to decide')
  const part = await terminal.purchase({ card: knet, amountMinor: 8_000n })
  await terminal.reverse(part, { actualMinor: 6_000n }).reply
  await until(part, ({ reversal }) => reversal === 'acknowledged')
  tells((await explain(part))[0], 'partly reversed to KWD 6.000', 'acq1 keeps a part and reverses the rest')
  // Debited, and the line cut in the place of an answer.
  const cut = await terminal.purchase({ card: knet, amountMinor: 2_907n })
  await until(cut, ({ reversal }) => reversal === 'acknowledged')
  tells(
    (await explain(cut))[0],
    'may have arrived',
    'the line was lost',
    'What knet did is not known or not wanted',
    'knet acknowledges the undoing with 00',
    'the line was lost with the request on it',
  )
}, 90_000)

test('a reversal that came before its request is found by its number, and so is what became of the request', async () => {
  const terminal = await world.terminal()
  const stray = terminal.begin({ card: knet, amountMinor: 3_000n, seal: 'wrong' })
  await stray.reply
  await terminal.reverse(stray).reply
  const [tombstone] = await tellFamily(world.pool, stray.purchase.rrn)
  tells(
    storyOf(tombstone!, []),
    `RRN ${stray.purchase.rrn}  terminal ${stray.purchase.terminalId}  no request`,
    'TOMBSTONE',
    'that is: a reversal came for a request that had not come',
    'acq1 reverses a request that has not come',
    'in  0420',
  )
  expect(responseCodeOf(await terminal.repeat(stray))).toBe('12')
  const [overtaken] = await tellFamily(world.pool, stray.purchase.rrn)
  tells(
    storyOf(overtaken!, []),
    'TOMBSTONE  answer 12',
    'comes after its own reversal and is declined; nothing is sent',
  )
}, 60_000)

async function until(
  { purchase }: Pick<Asked, 'purchase'>,
  wished: (life: { readonly reversal: string }) => boolean,
): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const lives = await world.lives(purchase.rrn)
    if (lives.some(wished)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('it did not come to that')
}
