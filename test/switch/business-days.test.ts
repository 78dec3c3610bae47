import { describe, expect, test } from 'vitest'
import { BusinessDays, type BusinessDay, type DayBook, type NewDay } from '../../switch/business-days.ts'
import { JournalUnavailable } from '../../switch/journal.ts'
import type { CutoverSchedule } from '../../switch/business-date.ts'

/** Days in memory, and a clock that a test sets. */
function world(options: { readonly at?: string; readonly schedule?: CutoverSchedule } = {}) {
  let wallMs = Date.parse(options.at ?? '2026-11-22T09:00:00Z')
  let monotonicMs = 0
  const rows: (NewDay & { beganAt: number; frozen: boolean })[] = []
  const alarms: string[] = []
  const faults = {
    ...{ unresolved: 0, looks: 0, lookMs: 0 },
    away: false,
    slow: undefined as Promise<void> | undefined,
  }
  const kept = (): BusinessDay[] =>
    rows
      .filter(
        (row, index) =>
          !row.frozen || !rows.slice(index + 1).some((one) => one.destination === row.destination),
      )
      .map((row) => ({ ...row, beganMsAgo: monotonicMs - row.beganAt }))
  const book: DayBook = {
    days: async () => {
      if (faults.away) throw new JournalUnavailable()
      const read = kept()
      await faults.slow
      return read
    },
    begin(day) {
      if (faults.away) return Promise.reject(new JournalUnavailable())
      if (rows.some(({ destination, date }) => destination === day.destination && date >= day.date))
        return Promise.resolve('exists')
      rows.push({ ...day, beganAt: monotonicMs, frozen: false })
      return Promise.resolve('begun')
    },
    unresolved() {
      faults.looks++
      monotonicMs += faults.lookMs
      return Promise.resolve(faults.unresolved)
    },
    isClosed: () => Promise.resolve(false),
    freeze(destination, date) {
      rows.find((row) => row.destination === destination && row.date === date)!.frozen = true
      return Promise.resolve(true)
    },
  }
  const schedules = new Map(options.schedule === undefined ? [] : [['knet', options.schedule]])
  const node = (): BusinessDays =>
    new BusinessDays({
      clock: {
        wallMs: () => wallMs,
        monotonicMs: () => monotonicMs,
        after: () => ({ cancel: () => undefined }),
      },
      node: 'node-1',
      book,
      observer: {
        alarm: (what, subject) => void alarms.push(`${what}: ${subject}`),
        cutover: () => undefined,
      },
      destinations: ['knet'],
      schedules,
    })
  return {
    rows,
    alarms,
    faults,
    node,
    pass: (ms: number) => {
      wallMs += ms
      monotonicMs += ms
    },
    jump: (ms: number) => {
      wallMs += ms
    },
    cutover: (days: BusinessDays, monthAndDay?: string) =>
      days.networkCutover('knet', { monthAndDay, described: '0800' }),
  }
}

const hour = 3_600_000
const midnight = { at: '00:00', timeZone: 'Asia/Kuwait' }

describe('the business date of a destination', () => {
  test('is the calendar date of Kuwait when nobody has said otherwise, and stays until it is told to turn', async () => {
    const { node, pass } = world({ at: '2026-11-22T21:30:00Z' })
    const days = node()
    await days.open()
    expect(days.today('knet')).toBe('2026-11-23')
    pass(30 * hour)
    await days.sweep()
    expect(days.today('knet')).toBe('2026-11-23')
  })

  test('turns when the network says so, in one entry of the book that says who and why', async () => {
    const { node, rows, cutover } = world()
    const days = node()
    await days.open()
    expect(await cutover(days, '1123')).toBe('begun')
    expect(days.today('knet')).toBe('2026-11-23')
    expect(rows.at(-1)).toMatchObject({
      destination: 'knet',
      date: '2026-11-23',
      cause: 'network',
      who: 'node-1',
    })
  })

  test('does not go back when a slow look into the book, begun before the cutover, ends after it', async () => {
    const { node, faults, cutover } = world()
    const days = node()
    await days.open()
    let end = (): void => undefined
    faults.slow = new Promise((resolve) => (end = resolve))
    const looking = days.follow()
    faults.slow = undefined
    expect(await cutover(days, '1123')).toBe('begun')
    end()
    await looking
    expect(days.today('knet')).toBe('2026-11-23')
  })

  test('a cutover that comes twice, or backward, is acknowledged and ignored, with an alarm each', async () => {
    const { node, rows, alarms, cutover } = world()
    const days = node()
    await days.open()
    await cutover(days, '1123')
    expect(await cutover(days, '1123')).toBe('ignored')
    expect(await cutover(days, '1121')).toBe('ignored')
    expect(days.today('knet')).toBe('2026-11-23')
    expect(rows.filter(({ destination }) => destination === 'knet')).toHaveLength(2)
    expect(alarms).toHaveLength(2)
  })

  test('without a date the next one begins, and the same again within half a day is the same cutover', async () => {
    const { node, cutover, pass } = world()
    const days = node()
    await days.open()
    expect(await cutover(days)).toBe('begun')
    expect(await cutover(days)).toBe('ignored')
    pass(24 * hour)
    await days.follow()
    expect(await cutover(days)).toBe('begun')
    expect(days.today('knet')).toBe('2026-11-24')
  })

  test('a date that does not exist, or is weeks ahead, is refused: it could not be taken back', async () => {
    const { node, cutover, alarms } = world()
    const days = node()
    await days.open()
    expect(await cutover(days, '0230')).toBe('refused')
    expect(await cutover(days, '1224')).toBe('refused')
    expect(days.today('knet')).toBe('2026-11-22')
    expect(alarms).toHaveLength(2)
  })

  test('the last day of a year turns into the first of the next', async () => {
    const { node, cutover } = world({ at: '2026-12-31T20:00:00Z' })
    const days = node()
    await days.open()
    expect(await cutover(days, '0101')).toBe('begun')
    expect(days.today('knet')).toBe('2027-01-01')
  })

  test('a leap day begins in a leap year only', async () => {
    const leap = world({ at: '2028-02-28T20:00:00Z' })
    const days = leap.node()
    await days.open()
    expect(await leap.cutover(days, '0229')).toBe('begun')
    expect(days.today('knet')).toBe('2028-02-29')
    const plain = world({ at: '2027-02-28T20:00:00Z' })
    const others = plain.node()
    await others.open()
    expect(await plain.cutover(others, '0229')).toBe('refused')
  })

  test('by a schedule it turns at midnight in Kuwait, once', async () => {
    const { node, pass, rows } = world({ at: '2026-11-22T20:59:59Z', schedule: midnight })
    const days = node()
    await days.open()
    await days.sweep()
    expect(days.today('knet')).toBe('2026-11-22')
    pass(1_000)
    await days.sweep()
    await days.sweep()
    expect(days.today('knet')).toBe('2026-11-23')
    expect(rows.filter(({ cause }) => cause === 'schedule')).toHaveLength(1)
  })

  test('F47: a clock that jumps an hour back does not turn it back', async () => {
    const { node, jump } = world({ at: '2026-11-22T21:00:01Z', schedule: midnight })
    const days = node()
    await days.open()
    jump(-hour)
    await days.sweep()
    expect(days.today('knet')).toBe('2026-11-23')
    jump(hour)
    await days.sweep()
    expect(days.today('knet')).toBe('2026-11-23')
  })

  test('another node follows, and of two that are told at once one begins it', async () => {
    const { node, cutover, rows } = world()
    const [one, other] = [node(), node()]
    await one.open()
    await other.open()
    const outcomes = await Promise.all([cutover(one, '1123'), cutover(other, '1123')])
    expect(outcomes.sort()).toEqual(['begun', 'ignored'])
    expect([one.today('knet'), other.today('knet')]).toEqual(['2026-11-23', '2026-11-23'])
    expect(rows.filter(({ date }) => date === '2026-11-23')).toHaveLength(1)
  })

  test('while the book is away the network hears nothing good, so it asks again', async () => {
    const { node, cutover, faults } = world()
    const days = node()
    await days.open()
    faults.away = true
    await expect(cutover(days, '1123')).rejects.toThrow(JournalUnavailable)
    faults.away = false
    expect(await cutover(days, '1123')).toBe('begun')
  })
})

describe('the totals of a date that has ended', () => {
  test('freeze when nothing of it is under way any more', async () => {
    const { node, cutover, faults, pass, rows, alarms } = world()
    const days = node()
    await days.open()
    faults.unresolved = 1
    await cutover(days, '1123')
    pass(60_000)
    await days.sweep()
    expect(
      rows.find(({ date, destination }) => date === '2026-11-22' && destination === 'knet')?.frozen,
    ).toBe(false)
    expect(days.postingDays('knet').open).toEqual(['2026-11-22', '2026-11-23'])
    faults.unresolved = 0
    await days.sweep()
    expect(days.postingDays('knet').open).toEqual(['2026-11-23'])
    expect(alarms).toEqual([])
  })

  test('are not asked for every second where it takes long to look through what is owed', async () => {
    const { node, cutover, faults, pass } = world()
    const days = node()
    await days.open()
    Object.assign(faults, { unresolved: 100_000, lookMs: 400 })
    await cutover(days, '1123')
    for (let second = 0; second < 10; second++) {
      await days.sweep()
      pass(1_000)
    }
    expect(faults.looks).toBe(0)
    for (let second = 0; second < 60; second++) {
      await days.sweep()
      pass(1_000)
    }
    expect(faults.looks).toBe(3)
    faults.unresolved = 0
    pass(20_000)
    await days.sweep()
    expect(days.postingDays('knet').open).toEqual(['2026-11-23'])
  })

  test('freeze a quarter of an hour after the cutover whoever is missing, with an alarm', async () => {
    const { node, cutover, faults, pass, alarms } = world()
    const days = node()
    await days.open()
    faults.unresolved = 1
    await cutover(days, '1123')
    pass(15 * 60_000)
    await days.sweep()
    expect(days.postingDays('knet').open).toEqual(['2026-11-23'])
    expect(alarms).toHaveLength(1)
  })
})
