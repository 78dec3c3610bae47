import { expect, test, vi } from 'vitest'
import { openLog } from '../../bin/environment/log.ts'

function world() {
  const lines: string[] = []
  const log = openLog({ node: 'n1' }, { write: (line) => void lines.push(line) })
  return { log, lines, said: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

test('of lines that are alike ten are written in a second, and then how many were not', async () => {
  const { log, said } = world()
  for (let index = 0; index < 1_000; index++) {
    log.warn({ source: 'acq1', address: `127.0.0.${index % 250}`, why: 'connections' }, 'connection refused')
  }
  const written = said().filter(({ msg }) => msg === 'connection refused').length
  expect(written).toBeLessThan(200)
  const unwritten = () => said().reduce((sum, line) => sum + Number(line['unwritten'] ?? 0), 0)
  await vi.waitFor(() => expect(written + unwritten()).toBe(1_000), { timeout: 10_000 })
  expect(said().at(-1)).toMatchObject({
    ...{ level: 40, node: 'n1', msg: 'lines like it were not written' },
    ...{ of: 'connection refused', at: 'warn', source: 'acq1', why: 'connections' },
  })
  const before = said().length
  log.warn({ source: 'acq1', why: 'connections' }, 'connection refused')
  expect(said()).toHaveLength(before + 1)
})

test('what differs in who, where or why is written, and so is what ends the process', () => {
  const { log, said } = world()
  for (let index = 0; index < 10; index++) log.error({ kind: 'a' }, 'anomaly')
  log.error({ kind: 'b' }, 'anomaly')
  log.warn({ kind: 'a' }, 'anomaly')
  log.info('started')
  expect(said()).toHaveLength(13)
  for (let index = 0; index < 20; index++) log.fatal({ kind: 'a' }, 'a bug ends the process')
  expect(said()).toHaveLength(33)
})

test('whatever is in a fact, a line is one line', () => {
  const { lines, log } = world()
  const strange = ['a\nb', 'a\r\nb', '\u001b[31mred', '\u2028', '\u2029', '\u0000', '"}\n{"level":60']
  for (const text of strange) log.warn({ peer: text }, text)
  expect(lines).toHaveLength(strange.length)
  for (const [index, line] of lines.entries()) {
    expect(line.trimEnd()).not.toMatch(/[\n\r\u001b\u0000]/)
    expect(JSON.parse(line)).toMatchObject({ level: 40, msg: strange[index], peer: strange[index] })
  }
})
