import { dialect } from '../dialect.ts'
import { bertlv, bytes, de, lllvar } from '../fields.ts'
import { elements1987 } from './elements-1987.ts'
import { emvTags } from './emv-tags.ts'
import { answers1987, asciiHexProfile, asciiProfile, bcdProfile, ebcdicProfile } from './profiles.ts'

/** Where bytes travel as hexadecimal characters, the length of DE55 counts these, as a reader of plain text expects. */
const elements1987Ascii = {
  ...elements1987,
  55: de('ICC data', bertlv(lllvar(bytes.upTo(255), { counts: 'characters' }), { tags: emvTags })),
} as const

/** ISO 8583:1987 in ASCII with a binary bitmap. */
export const iso87Ascii = dialect({
  name: 'iso87-ascii',
  version: '1987',
  about: 'ISO 8583:1987 in ASCII with a binary bitmap',
  fidelity: 'generic',
  ...asciiProfile,
  answers: answers1987,
  fields: elements1987Ascii,
})

/** ISO 8583:1987 in ASCII, the bitmap in hexadecimal digits: nothing on the wire that a terminal can't show. */
export const iso87AsciiHex = dialect({
  name: 'iso87-ascii-hex',
  version: '1987',
  about: 'ISO 8583:1987 in ASCII, bitmaps in hexadecimal digits',
  fidelity: 'generic',
  ...asciiHexProfile,
  answers: answers1987,
  fields: elements1987Ascii,
})

/** ISO 8583:1987 with packed digits, a binary bitmap and binary DE52, DE55, DE64 and DE128. */
export const iso87Bcd = dialect({
  name: 'iso87-bcd',
  version: '1987',
  about: 'ISO 8583:1987 with packed digits and binary bitmap, PIN block, ICC data and MAC',
  fidelity: 'generic',
  ...bcdProfile,
  answers: answers1987,
  fields: elements1987,
})

/** ISO 8583:1987 as mainframes write it: EBCDIC 037 text, packed digits, binary lengths. */
export const iso87Ebcdic = dialect({
  name: 'iso87-ebcdic',
  version: '1987',
  about: 'ISO 8583:1987 with EBCDIC 037 text, packed digits, binary lengths and bitmap',
  fidelity: 'generic',
  ...ebcdicProfile,
  answers: answers1987,
  fields: elements1987,
})
