import { expect, test } from 'vitest'
import {
  answerMti,
  answerTo,
  bertlv,
  bytes,
  compile,
  type Dialect,
  dialectFromJson,
  extend,
  IsoCodecError,
  iso87Ascii,
  iso87Bcd,
  iso93Bcd,
  lllvar,
} from '../../iso8583/iso8583.ts'
import { purchase } from './messages.ts'

test.each([
  ['0200', '0210'],
  ['0201', '0210'],
  ['0420', '0430'],
  ['0421', '0430'],
  ['0402', '0412'],
  ['0800', '0810'],
  ['1100', '1110'],
])('%s is answered by %s: the function plus one, a repeat like the first', (request, answer) => {
  expect(answerMti(iso87Bcd, request)).toBe(answer)
})

test.each(['0210', '0430', '02', 'abcd', ''])('nothing answers %j', (mti) => {
  expect(answerMti(iso87Bcd, mti)).toBeUndefined()
})

test('an answer begins with what travels back, as it came and if it came, and with nothing else', () => {
  const codec = compile(iso87Ascii)
  const request = codec.decode(codec.encode(purchase()))
  const answer = answerTo(iso87Ascii, request)!
  expect(answer.mti).toBe('0210')
  expect(Object.keys(answer.fields).map(Number)).toEqual([3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49])
  expect(codec.decode(codec.encode(answer as never)).amount(4)).toBe(12_500n)
  const few = codec.decode(codec.encode({ mti: '0800', fields: { 11: '000001', 52: new Uint8Array(8) } }))
  expect(answerTo(iso87Ascii, few)).toEqual({ mti: '0810', fields: { 11: '000001' } })
})

test('a dialect that answers otherwise says so in a file', () => {
  const json = {
    name: 'otherwise',
    extends: 'iso93-bcd',
    answers: { echo: [11], mti: { '1420': '1432' } },
  }
  const otherwise = dialectFromJson(json, () => iso93Bcd)
  expect(answerMti(otherwise, '1420')).toBe('1432')
  expect(answerMti(otherwise, '1804')).toBe('1814')
  expect(() => compile(otherwise)).not.toThrow()
  expect(() => dialectFromJson({ ...json, answers: { echo: 'all', by: 1 } }, () => iso93Bcd)).toThrow(
    /answers.by is not known; answers.echo is not a list/,
  )
})

test.each<[string, Omit<Parameters<typeof extend>[1], 'name'>, RegExp]>([
  [
    'an echo of what no message can have',
    { answers: { echo: [11, 193] } },
    /DE193 is not the number of an element/,
  ],
  ['an echo that is there twice', { answers: { echo: [11, 11] } }, /DE11 is there twice/],
  ['a PIN block that travels back', { answers: { echo: [52] } }, /DE52 must not travel back/],
  ['track data that travels back', { answers: { echo: [35] } }, /DE35 must not travel back/],
  ['an answer that asks', { answers: { echo: [], mti: { '0200': '0220' } } }, /does not answer a request/],
  ['an answer of three digits', { answers: { echo: [], mti: { '0200': '210' } } }, /not a message type/],
  ['ignorance that is not admitted', { fidelity: 'illustrative' }, /notClaimed must say/],
  [
    'card data in a tag that is shown',
    { fields: { 55: bertlv(lllvar(bytes.upTo(255)), { tags: { '5A': { name: 'PAN', open: true } } }) } },
    /DE55.5A holds card or track data/,
  ],
])('%s is a mistake of the declaration', (_what, changes, mistake) => {
  const wrong: Dialect = extend(iso87Bcd, { name: 'wrong', ...changes })
  expect(() => compile(wrong)).toThrow(IsoCodecError)
  expect(() => compile(wrong)).toThrow(mistake)
})
