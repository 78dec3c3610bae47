import { expect, test } from 'vitest'
import { nearestYear } from '../../kernel/calendar.ts'
import { businessDateOf, dateOfElement, scheduledDate, settlementDateOf } from '../../switch/business-date.ts'

test.each([
  ['the last moment of a day in Kuwait', '2026-11-22T20:59:59.999Z', '2026-11-22'],
  ['midnight there, which is nine in the evening here', '2026-11-22T21:00:00.000Z', '2026-11-23'],
  ['the last evening of a year', '2026-12-31T20:59:59.999Z', '2026-12-31'],
  ['the first moment of the next', '2026-12-31T21:00:00.000Z', '2027-01-01'],
  ['the evening before a leap day', '2028-02-28T21:00:00.000Z', '2028-02-29'],
  ['the evening of a leap day', '2028-02-29T21:00:00.000Z', '2028-03-01'],
  ['the same evening of a year that has none', '2027-02-28T21:00:00.000Z', '2027-03-01'],
  ['a summer evening: no daylight saving is kept', '2026-07-01T20:59:59.999Z', '2026-07-01'],
])('the business day turns at midnight in Kuwait: %s', (_what, at, day) => {
  expect(businessDateOf(Date.parse(at))).toBe(day)
})

test.each([
  ['a message of the old year that comes in the new', '1231235959', '2027-01-01T00:00:01Z', '2026'],
  ['a message of the new year by a clock ahead of ours', '0101000001', '2026-12-31T23:59:58Z', '2027'],
  ['a message of today', '1122090000', '2026-11-22T09:00:00Z', '2026'],
  ['a leap day, on that day', '0229120000', '2028-02-29T12:00:00Z', '2028'],
  ['a leap day, the day after', '0229235959', '2028-03-01T00:00:05Z', '2028'],
  ['a reversal of the old year, eight days on', '1228120000', '2027-01-05T12:00:00Z', '2026'],
])('a date without a year is of the year that puts it nearest: %s', (_what, transmittedAt, at, year) => {
  expect(nearestYear(transmittedAt, Date.parse(at))).toBe(year)
})

test.each([
  ['an evening cutover begins the next date', '22:00', '2026-11-22T19:00:00Z', '2026-11-23'],
  ['before it the date is that of the calendar', '22:00', '2026-11-22T18:59:59Z', '2026-11-22'],
  ['a morning cutover keeps the old date through the night', '04:00', '2026-11-22T00:59:59Z', '2026-11-21'],
  ['and begins the one that the calendar has by then', '04:00', '2026-11-22T01:00:00Z', '2026-11-22'],
  ['at midnight of a year', '00:00', '2026-12-31T21:00:00Z', '2027-01-01'],
  ['at midnight before a leap day', '00:00', '2028-02-28T21:00:00Z', '2028-02-29'],
])('a schedule in Kuwait: %s', (_what, at, instant, date) => {
  expect(scheduledDate({ at, timeZone: 'Asia/Kuwait' }, Date.parse(instant))).toBe(date)
})

test('a schedule follows the daylight saving of its zone', () => {
  const schedule = { at: '00:00', timeZone: 'Europe/Berlin' }
  expect(scheduledDate(schedule, Date.parse('2026-07-01T21:59:59Z'))).toBe('2026-07-01')
  expect(scheduledDate(schedule, Date.parse('2026-07-01T22:00:00Z'))).toBe('2026-07-02')
  expect(scheduledDate(schedule, Date.parse('2026-12-01T22:00:00Z'))).toBe('2026-12-01')
})

test.each([
  ['1123', '2026-11-22T09:00:00Z', '2026-11-23'],
  ['0101', '2026-12-31T20:00:00Z', '2027-01-01'],
  ['1231', '2027-01-01T00:10:00Z', '2026-12-31'],
  ['0229', '2028-02-28T20:00:00Z', '2028-02-29'],
  ['0229', '2027-02-28T20:00:00Z', undefined],
  ['1399', '2026-11-22T09:00:00Z', undefined],
])('DE15 %s read at %s is %s', (element, at, date) => {
  expect(dateOfElement(element, Date.parse(at))).toBe(date)
})

test.each([
  ['the date of an answer stands over ours', '1123', '2026-11-23'],
  ['also the one before', '1121', '2026-11-21'],
  ['none leaves ours', undefined, '2026-11-22'],
  ['one that is no date leaves ours', '1132', '2026-11-22'],
  ['one that is weeks away is not believed', '1224', '2026-11-22'],
])('%s', (_what, element, date) => {
  const ours = { businessDate: '2026-11-22', at: Date.parse('2026-11-22T09:00:00Z') }
  expect(settlementDateOf(element, ours)).toBe(date)
})
