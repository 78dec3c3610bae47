import { expect, test } from 'vitest'
import { nearestYear } from '../../kernel/calendar.ts'
import { businessDateOf } from '../../switch/business-date.ts'

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
