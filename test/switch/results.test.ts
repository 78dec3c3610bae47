import { describe, expect, test } from 'vitest'
import {
  isApproval,
  isOutOfReach,
  meanings,
  outcomes,
  type Outcome,
  readCode,
  told1987,
  toldOf,
} from '../../switch/results.ts'

const reading = { edition: '1987', approvals: ['00'], partialApprovals: ['10'] } as const

describe('a code of a network is read', () => {
  test.each([
    ['00', 'approved'],
    ['10', 'approvedPartial'],
    ['51', 'insufficientFunds'],
    ['36', 'pickUp'],
    ['91', 'unavailable'],
  ] as const)('%s as %s', (code, outcome) => {
    expect(readCode(reading, code)).toEqual({ outcome })
  })

  test('as the network means it, where it means something else', () => {
    expect(readCode({ ...reading, meanings: { '06': 'system' } }, '06')).toEqual({ outcome: 'system' })
  })

  test.each(['06', '', 'ZZ', '999', '<script>'])(
    'as a decline that people hear of, where nobody knows it: %s',
    (code) => {
      expect(readCode(reading, code)).toEqual({ outcome: 'doNotHonour', strange: 'unknown' })
    },
  )

  test.each(['08', '11'])(
    'as no approval where its network is not known to say it, whatever %s is elsewhere',
    (code) => {
      expect(readCode(reading, code)).toEqual({ outcome: 'doNotHonour', strange: 'unlisted' })
      expect(isApproval(readCode({ ...reading, approvals: ['00', code] }, code).outcome)).toBe(true)
    },
  )

  test('as an approval where only this kind of request has it', () => {
    expect(readCode(reading, '85').outcome).toBe('doNotHonour')
    expect(readCode(reading, '85', ['85'])).toEqual({ outcome: 'noReasonToDecline' })
  })

  test('in the edition of 1993 as in that of 1987', () => {
    const of1993 = { edition: '1993', approvals: ['000'], partialApprovals: ['002'] } as const
    expect(readCode(of1993, '116')).toEqual({ outcome: 'insufficientFunds' })
    expect(readCode(of1993, '000')).toEqual({ outcome: 'approved' })
    expect(readCode(of1993, '00')).toEqual({ outcome: 'doNotHonour', strange: 'unknown' })
  })
})

test('every outcome is told in two characters, and only an approval is told as one', () => {
  for (const outcome of Object.keys(outcomes) as Outcome[]) {
    expect(told1987[outcome]).toMatch(/^[0-9]{2}$/)
    expect(['00', '08', '10', '11', '85'].includes(told1987[outcome])).toBe(isApproval(outcome))
  }
})

test('what a code of 1987 means is told with that code, or with the first of those that mean the same', () => {
  for (const [code, outcome] of Object.entries(meanings['1987'])) {
    const same = Object.keys(meanings['1987']).filter((other) => meanings['1987'][other] === outcome)
    expect(same).toContain(toldOf(undefined, outcome))
    if (same.length === 1) expect(toldOf(undefined, outcome)).toBe(code)
  }
})

test('a source may want to be told otherwise, of silence too', () => {
  expect(toldOf({ timeout: '68' }, 'timeout')).toBe('68')
  expect(toldOf({ unavailable: '96' }, 'unavailable')).toBe('96')
  expect(toldOf(undefined, 'timeout')).toBe('91')
})

test('only answers that are not the issuer’s own let anybody decide in its place', () => {
  const found = (Object.keys(outcomes) as Outcome[]).filter(isOutOfReach)
  expect(found).toEqual(['late', 'unavailable', 'system'])
})
