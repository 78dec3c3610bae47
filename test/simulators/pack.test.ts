import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { asJUnit } from '../../bin/commands/simulate.ts'
import { readPack } from '../../simulators/terminals/pack.ts'
import { runPack } from '../../simulators/terminals/pack-run.ts'
import { Terminal } from '../../simulators/terminals/terminal.ts'
import { macKey, pinKey, type ScriptedSwitch, scriptedSwitch } from './scripted-switch.ts'

const text = `scenarios:
- name: bought and undone
  steps:
  - {echo: }
  - {ask: {amountMinor: 1000}, expect: {present: 38}}
  - {reverse: {mti: '0400'}}
- name: declined
  steps:
  - {ask: {card: poor, amountMinor: 1000}, expect: {responseCode: '51', absent: 38}}
`

let behind: ScriptedSwitch
let terminal: Terminal
beforeEach(async () => {
  behind = await scriptedSwitch()
  const keys = { pin: pinKey, mac: macKey }
  const names = { terminalId: 'P0000001', merchantId: '000000000000001' }
  terminal = await Terminal.open({ host: '127.0.0.1', port: behind.port, ...names, keys, timeoutMs: 200 })
})
afterEach(async () => {
  terminal.close()
  await behind.close()
})

test('a pack passes where every answer is as expected', async () => {
  behind.onRequest = ({ message, answer }) => {
    const declined = message.fields[2]?.endsWith('0051') === true
    answer(declined ? { 39: '51' } : message.mti.startsWith('02') ? { 39: '00', 38: 'A00001' } : { 39: '00' })
  }
  const results = await runPack(readPack(text, 'pack.yaml'), { terminal })
  expect(results.map(({ scenario, failure }) => [scenario, failure])).toEqual([
    ['bought and undone', undefined],
    ['declined', undefined],
  ])
})

test('a wrong answer, a missing element and silence make it fail, with line and reason', async () => {
  let kind = 'approve'
  behind.onRequest = ({ answer }) => {
    if (kind !== 'silent') answer({ 39: '00' })
  }
  const bare = await runPack(readPack(text, 'pack.yaml'), { terminal })
  expect(bare.map(({ failure }) => failure)).toEqual([
    'line 5, ask: DE38 is missing',
    'line 9, ask: DE39: answered 00, expected 51',
  ])
  kind = 'silent'
  const silent = await runPack(readPack(text, 'pack.yaml'), { terminal })
  expect(silent.map(({ failure }) => failure)).toEqual([
    'line 5, ask: DE39: answered none, expected 00',
    'line 9, ask: DE39: answered none, expected 51',
  ])
  const xml = asJUnit([{ file: 'pack.yaml', results: silent }])
  expect(xml).toContain('<testsuite name="pack.yaml" tests="2" failures="2">')
  expect(xml).toContain('<failure message="line 9, ask: DE39: answered none, expected 51"/>')
})

test.each([
  ['scenarios:\n- name: x\n', 'p.yaml:2: a scenario has a name and steps'],
  ['scenarios:\n- name: x\n  steps:\n  - {}', 'p.yaml:4: a step does one thing'],
  ['scenarios:\n- name: x\n  steps:\n  - {ask: {card: gold}}', 'p.yaml:4: no test card is called gold'],
  [
    'scenarios:\n- name: x\n  steps:\n  - {ask: {amountMinor: 1.5}}',
    'p.yaml:4: minor units in digits is needed',
  ],
  [
    'scenarios:\n- name: x\n  steps:\n  - {network: reconnect, expect: {responseCode: "00"}}',
    'p.yaml:4: the network asks nothing there',
  ],
  [
    'scenarios:\n- name: x\n  steps:\n  - {network: cutover, expect: {present: 38}}',
    'p.yaml:4: of an answer to the network only the responseCode is seen',
  ],
])('a pack that is wrong is refused with its line and the reason (%#)', (wrong, why) => {
  expect(() => readPack(wrong, 'p.yaml')).toThrow(why)
})

test('the packs that are here can be read', () => {
  const file = 'scenarios/iso87-ascii-hex.yaml'
  expect(readPack(readFileSync(file, 'utf8'), file).scenarios.length).toBeGreaterThan(5)
})
