/** How characters are written as bytes. Digits as characters use the same. */
export type Charset = 'ascii' | 'ebcdic037' | 'ebcdic500' | 'ebcdic1047'

export const charsets: readonly Charset[] = ['ascii', 'ebcdic037', 'ebcdic500', 'ebcdic1047']

/** For each byte, the code of its character (ISO 8859-1, whose first half is ASCII). One to one in all four. */
export const characterOf: Readonly<Record<Charset, Uint8Array>> = {
  ascii: Uint8Array.from({ length: 256 }, (_, byte) => byte),
  // Code pages 037, 500 and 1047, in which the letters and digits agree and the brackets do not.
  ebcdic037: Buffer.from(
    '000102039c09867f978d8e0b0c0d0e0f101112139d8508871819928f1c1d1e1f' +
      '80818283840a171b88898a8b8c050607909116939495960498999a9b14159e1a' +
      '20a0e2e4e0e1e3e5e7f1a22e3c282b7c26e9eaebe8edeeefecdf21242a293bac' +
      '2d2fc2c4c0c1c3c5c7d1a62c255f3e3ff8c9cacbc8cdcecfcc603a2340273d22' +
      'd8616263646566676869abbbf0fdfeb1b06a6b6c6d6e6f707172aabae6b8c6a4' +
      'b57e737475767778797aa1bfd0dddeae5ea3a5b7a9a7b6bcbdbe5b5dafa8b4d7' +
      '7b414243444546474849adf4f6f2f3f57d4a4b4c4d4e4f505152b9fbfcf9faff' +
      '5cf7535455565758595ab2d4d6d2d3d530313233343536373839b3dbdcd9da9f',
    'hex',
  ),
  ebcdic500: Buffer.from(
    '000102039c09867f978d8e0b0c0d0e0f101112139d8508871819928f1c1d1e1f' +
      '80818283840a171b88898a8b8c050607909116939495960498999a9b14159e1a' +
      '20a0e2e4e0e1e3e5e7f15b2e3c282b2126e9eaebe8edeeefecdf5d242a293b5e' +
      '2d2fc2c4c0c1c3c5c7d1a62c255f3e3ff8c9cacbc8cdcecfcc603a2340273d22' +
      'd8616263646566676869abbbf0fdfeb1b06a6b6c6d6e6f707172aabae6b8c6a4' +
      'b57e737475767778797aa1bfd0dddeaea2a3a5b7a9a7b6bcbdbeac7cafa8b4d7' +
      '7b414243444546474849adf4f6f2f3f57d4a4b4c4d4e4f505152b9fbfcf9faff' +
      '5cf7535455565758595ab2d4d6d2d3d530313233343536373839b3dbdcd9da9f',
    'hex',
  ),
  ebcdic1047: Buffer.from(
    '000102039c09867f978d8e0b0c0d0e0f101112139d8508871819928f1c1d1e1f' +
      '80818283840a171b88898a8b8c050607909116939495960498999a9b14159e1a' +
      '20a0e2e4e0e1e3e5e7f1a22e3c282b7c26e9eaebe8edeeefecdf21242a293b5e' +
      '2d2fc2c4c0c1c3c5c7d1a62c255f3e3ff8c9cacbc8cdcecfcc603a2340273d22' +
      'd8616263646566676869abbbf0fdfeb1b06a6b6c6d6e6f707172aabae6b8c6a4' +
      'b57e737475767778797aa1bfd05bdeaeaca3a5b7a9a7b6bcbdbedda8af5db4d7' +
      '7b414243444546474849adf4f6f2f3f57d4a4b4c4d4e4f505152b9fbfcf9faff' +
      '5cf7535455565758595ab2d4d6d2d3d530313233343536373839b3dbdcd9da9f',
    'hex',
  ),
}

/** For each character code below 256, its byte. */
export const byteOf: Readonly<Record<Charset, Uint8Array>> = {
  ascii: inverse(characterOf.ascii),
  ebcdic037: inverse(characterOf.ebcdic037),
  ebcdic500: inverse(characterOf.ebcdic500),
  ebcdic1047: inverse(characterOf.ebcdic1047),
}

function inverse(table: Uint8Array): Uint8Array {
  const out = new Uint8Array(256)
  table.forEach((character, byte) => (out[character] = byte))
  return out
}
