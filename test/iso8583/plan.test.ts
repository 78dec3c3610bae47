import { expect, test } from 'vitest'
import { bodyOf, compile, type FieldValue, iso87Ascii } from '../../iso8583/iso8583.ts'

test('hundreds of bitmaps in turn, more than plans are kept, are read as if each came alone', () => {
  const all: Readonly<Record<number, FieldValue>> = {
    3: '000000',
    7: '1122020304',
    11: '000001',
    12: '050304',
    22: '051',
    32: '12345678901',
    37: '632602000001',
    41: 'TERM0001',
    49: '414',
    102: '00012345678901',
  }
  const keys = Object.keys(all).map(Number)
  const codec = compile(iso87Ascii)
  const bodies = Array.from({ length: 1 << keys.length }, (_, subset) => ({
    mti: '0200',
    fields: Object.fromEntries(keys.filter((_key, nth) => (subset >> nth) & 1).map((de) => [de, all[de]!])),
  }))
  const sent = bodies.map((body) => codec.encode(body))
  for (const order of [1, 7, 333]) {
    for (let nth = 0; nth < bodies.length; nth++) {
      const at = (nth * order) % bodies.length
      expect(bodyOf(codec.decode(sent[at]!))).toEqual(bodies[at])
    }
  }
})
