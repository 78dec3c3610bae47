import { describe, expect, test } from 'vitest'
import { knetPlaceholder } from '../../connectors/knet/dialect.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import { compile, iso87Bcd } from '../../iso8583/iso8583.ts'

describe('the KNET placeholder', () => {
  test('says that it is one, and what it does not claim', () => {
    expect(knetPlaceholder).toMatchObject({ name: 'knet-placeholder', fidelity: 'illustrative' })
    expect(knetPlaceholder.notClaimed?.length).toBeGreaterThan(5)
  })

  test('is the generic layout and nothing else', () => {
    expect(knetPlaceholder.base).toBe(iso87Bcd)
    expect(knetPlaceholder.fields).toEqual(iso87Bcd.fields)
  })

  test('reads back what it writes, fils and all', () => {
    const codec = compile(knet.dialect)
    const fields = { 3: '000000', 4: 12_500n, 7: '0115093000', 11: '000001', 32: '41400001', 49: '414' }
    const message = codec.decode(codec.encode({ mti: '0200', fields }))
    expect(message.amount(4)).toBe(12_500n)
    expect(message.text(49)).toBe('414')
  })

  test('correlates by elements that its dialect has, and its timers are in order', () => {
    const { correlation, rules, session } = knet
    for (const de of [...correlation.key, ...correlation.networkManagementKey, ...correlation.echoCheck]) {
      expect(knet.dialect.fields).toHaveProperty(String(de))
    }
    expect(correlation.key).not.toEqual([11])
    expect(rules.remainingMinMs).toBeLessThan(rules.timeoutMs)
    expect(rules.timeoutMs).toBeLessThan(knet.lateMs)
    expect(session.answerMs).toBeLessThan(session.echoAfterMs)
    expect(rules.retryAfterMs).toEqual(rules.retryAfterMs.toSorted((a, b) => a - b))
  })

  test('puts no answer to a reversal into two sets', () => {
    const { acknowledged, retry } = knet.rules.reversalAnswers
    expect(acknowledged.filter((responseCode) => retry.includes(responseCode))).toEqual([])
  })
})
