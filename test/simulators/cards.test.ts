import { expect, test } from 'vitest'
import { cardsCommand } from '../../bin/commands/cards.ts'
import {
  amountOutcomes,
  cardNamed,
  cardOfMask,
  loadCards,
  maskedPan,
  outcomeOfAmount,
  testCards,
} from '../../simulators/cards.ts'

const documented = [
  '8888880000000001',
  ...['4242424242424242', '4000056655665556', '4012888888881881', '4166676667666746', '4111111111111111'],
  ...['4444333322221111', '4646464646464644', '4977949494949497', '4988438843884305', '5555555555554444'],
  ...['5105105105105100', '2223520443560010', '5136333333333335', '5200828282828210', '6011111111111117'],
  ...['5454545454545454', '5555341244441115', '5577000055770004', '5585558555855583'],
]

test('a published number ends in its Luhn digit', () => {
  for (const pan of documented.slice(1)) {
    const sum = Array.from(pan, Number)
      .reverse()
      .reduce((total, digit, index) => {
        const twice = digit * (index % 2 === 0 ? 1 : 2)
        return total + (twice > 9 ? twice - 9 : twice)
      }, 0)
    expect(sum % 10, `ends in ${pan.slice(-4)}`).toBe(0)
  }
})

test('every card is a published test number or stands under the prefix of the public KNET test card', () => {
  for (const { pan } of testCards) expect(pan.startsWith('888888') || documented.includes(pan)).toBe(true)
})

test('a mask names one card of the table', () => {
  expect(new Set(testCards.map(({ pan }) => maskedPan(pan))).size).toBe(testCards.length)
  for (const card of testCards) expect(cardOfMask(maskedPan(card.pan))).toBe(card)
  expect(cardOfMask('888888******9999')).toBeUndefined()
})

test('a mask keeps six and four digits, and nothing of what is too short for that', () => {
  expect(maskedPan('8888880000000001')).toBe('888888******0001')
  expect(maskedPan('888888000001')).toBe('************')
})

test('cards are well formed, each name once', () => {
  expect(new Set(testCards.map(({ name }) => name)).size).toBe(testCards.length)
  for (const { pan, pin, expiry } of testCards) {
    expect(pan).toMatch(/^[0-9]{16}$/)
    expect(pin).toMatch(/^[0-9]{4}$/)
    expect(expiry).toMatch(/^[0-9]{2}(0[1-9]|1[0-2])$/)
  }
  expect(() => cardNamed('nobody')).toThrow('nobody')
})

test('an amount finds its outcome by its fils, and an ordinary price finds none', () => {
  expect(outcomeOfAmount(12_951n)?.decision).toBe('51')
  expect(outcomeOfAmount(951n)?.decision).toBe('51')
  expect(outcomeOfAmount(1_901n)?.answer).toBe('never')
  expect(outcomeOfAmount(12_500n)).toBeUndefined()
  expect(outcomeOfAmount(51n)).toBeUndefined()
})

test('each ending is in the table once, and none is an amount that the estate draws', () => {
  expect(new Set(amountOutcomes.map(({ endsWith }) => endsWith)).size).toBe(amountOutcomes.length)
  for (const { endsWith } of amountOutcomes) expect(endsWith).toMatch(/^9[0-9][1-9]$/)
})

test('the command prints the whole table', async () => {
  const printed = await output(['--json'])
  const { cards, amounts } = JSON.parse(printed) as { cards: unknown[]; amounts: unknown[] }
  expect([cards.length, amounts.length]).toEqual([testCards.length, amountOutcomes.length])
  const text = await output([])
  expect(text).toContain('8888880000000001  1234')
  expect(text).toContain(`${loadCards.length} cards for load`)
})

async function output(args: string[]): Promise<string> {
  let printed = ''
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = (text: string | Uint8Array): boolean => {
    printed += String(text)
    return true
  }
  try {
    await cardsCommand().parseAsync(['node', 'cards', ...args])
  } finally {
    process.stdout.write = write
  }
  return printed
}
