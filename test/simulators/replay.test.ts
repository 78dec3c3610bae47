import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readTrace, replay } from '../../simulators/terminals/replay.ts'
import { Terminal } from '../../simulators/terminals/terminal.ts'
import { newFolder } from './folder.ts'
import { macKey, pinKey, type ScriptedSwitch, scriptedSwitch } from './scripted-switch.ts'

let behind: ScriptedSwitch
let book: string
beforeEach(async () => {
  behind = await scriptedSwitch()
  book = join(await newFolder(), 'terminals.jsonl')
})
afterEach(() => behind.close())

const at = 1_795_000_000_000
function request(rrn: string, more: object = {}): object {
  return {
    ...{ at, event: 'request', kind: 'purchase', terminal: 'T0000001', merchant: '000000000000001', rrn },
    ...{ stan: '000001', amountMinor: '4000', currency: '414', card: '888888******1000', entry: 'pan' },
    ...{ scenario: 'approve', madeAt: at, ...more },
  }
}
const answer = (rrn: string, responseCode: string): object => ({
  ...{ at: at + 10, event: 'answer', kind: 'purchase', terminal: 'T0000001', rrn, responseCode },
})

async function replayed(...lines: object[]) {
  await writeFile(book, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  return replay(await readTrace(book), {
    speed: 10,
    open: (terminalId) =>
      Terminal.open({
        ...{ host: '127.0.0.1', port: behind.port, timeoutMs: 300 },
        ...{ terminalId, merchantId: '000000000000001', keys: { pin: pinKey, mac: macKey } },
      }),
  })
}

test('what was recorded is done again, at its moments, and an answer that is another than it was is told', async () => {
  behind.onRequest = ({ message, answer: say }) => {
    if (message.mti.startsWith('04') || message.mti.startsWith('022')) say({ 39: '00' })
    else say(message.fields[4]?.endsWith('951') === true ? { 39: '51' } : { 39: '00', 38: 'A00001' })
  }
  const startedMs = performance.now()
  const result = await replayed(
    request('1'),
    answer('1', '00'),
    request('2', { at: at + 500, amountMinor: '4951', scenario: 'insufficientFunds', entry: 'track2' }),
    answer('2', '05'),
    { at: at + 600, event: 'reversal', terminal: 'T0000001', rrn: '1', attempt: 1, mti: '0400' },
    { at: at + 700, event: 'reversal', terminal: 'T0000001', rrn: '1', attempt: 2, mti: '0400' },
    request('3', { at: at + 800, kind: 'preauthorization', scenario: 'preauthorized', terminal: 'T0000002' }),
    { at: at + 900, event: 'completion', terminal: 'T0000002', rrn: '3', amountMinor: '3600', stan: '2' },
    { at: at + 900, event: 'repeat', terminal: 'T0000002', rrn: '3' },
    request('4', { at: at + 1_000 }),
    { at: at + 1_000, event: 'unsent', terminal: 'T0000001', rrn: '4' },
  )
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(89)
  expect(result).toEqual({ asked: 3, same: 1, uncompared: 1, differing: [{ rrn: '2', was: '05', is: '51' }] })
  const received = behind.received.map(({ mti, fields }) => [mti, fields[4], fields[41]])
  expect(received.filter(([, , terminal]) => terminal === 'R0000001')).toEqual([
    ['0200', '000000004000', 'R0000001'],
    ['0200', '000000004951', 'R0000001'],
    ['0400', '000000004000', 'R0000001'],
  ])
  expect(
    received
      .filter(([, , terminal]) => terminal === 'R0000002')
      .map(([mti]) => mti)
      .sort(),
  ).toEqual([...['0100', '0101', '0220']])
})

test('a reversal that was sent before its purchase is sent before it again, and names it', async () => {
  await replayed(
    request('1', { scenario: 'reverseFirst' }),
    { at: at + 1, event: 'reversal', terminal: 'T0000001', rrn: '1', attempt: 1, mti: '0420' },
    { at: at + 200, event: 'reversalAnswer', terminal: 'T0000001', rrn: '1', responseCode: '00' },
  )
  const [reversal, purchase] = behind.received
  expect([reversal!.mti, purchase!.mti]).toEqual(['0420', '0200'])
  expect(reversal!.fields[90]?.slice(0, 10)).toBe(`0200${purchase!.fields[11]!}`)
  expect(reversal!.fields[37]).toBe(purchase!.fields[37])
})

test('wrong PINs, wrong seals and wrong forms are wrong again', async () => {
  const seals: (boolean | undefined)[] = []
  behind.onRequest = ({ message, sealGood, answer: say }) => {
    seals.push(sealGood)
    say({ 39: message.fields[22] === '011' ? '00' : '30' })
  }
  const { asked } = await replayed(
    request('1', { scenario: 'badSeal' }),
    request('2', { at: at + 1, scenario: 'wrongPin' }),
    request('3', { at: at + 2, scenario: 'approve' }),
  )
  expect([asked, seals]).toEqual([3, [false, true, true]])
  const [, wrong, right] = behind.received.map(({ fields }) => fields[52])
  expect(wrong).not.toBe(right)
})

test('a book with a card that is not a test card is refused, by its reference', async () => {
  await expect(replayed(request('77', { card: '400000******0000' }))).rejects.toThrow('77 has a card')
})
