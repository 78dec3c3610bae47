import type { MessageBody } from '../../iso8583/iso8583.ts'

/** A test card of the documented ranges; everything else is made up. */
export const pan = '4000000000000002'
export const track2 = `${pan}=25121011000012345`

/** A purchase with every kind of element that the bundled 1987 dialects have. */
export function purchase(fields: MessageBody['fields'] = {}): MessageBody {
  return {
    mti: '0200',
    fields: {
      2: pan,
      3: '000000',
      4: 12_500n,
      7: '1122020304',
      11: '000001',
      12: '050304',
      13: '1122',
      14: '2512',
      22: '051',
      25: '00',
      32: '12345678901',
      35: track2,
      37: '632602000001',
      41: 'TERM0001',
      42: 'MERCHANT0000001',
      43: 'Mafraq test shop          Kuwait      KW',
      48: 'private words',
      49: '414',
      52: Uint8Array.from([0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4]),
      55: {
        '5A': Uint8Array.from(Buffer.from(pan, 'hex')),
        '57': Uint8Array.from(Buffer.from(`${pan}d25121011000012345f`, 'hex')),
        '9F26': Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
        '82': Uint8Array.from([0x19, 0x80]),
        DF8116: Uint8Array.from([9]),
      },
      ...fields,
    },
  }
}
