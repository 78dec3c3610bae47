import { dialect } from '../dialect.ts'
import { elements1993 } from './elements-1993.ts'
import { elements2003 } from './elements-2003.ts'
import { answers1993, asciiHexProfile, bcdProfile } from './profiles.ts'

/** ISO 8583:1993 in ASCII, bitmaps and bytes in hexadecimal digits. */
export const iso93AsciiHex = dialect({
  name: 'iso93-ascii-hex',
  version: '1993',
  about: 'ISO 8583:1993 in ASCII, bitmaps and bytes in hexadecimal digits',
  fidelity: 'generic',
  ...asciiHexProfile,
  answers: answers1993,
  fields: elements1993,
})

/** ISO 8583:1993 with packed digits and binary bitmap and bytes. */
export const iso93Bcd = dialect({
  name: 'iso93-bcd',
  version: '1993',
  about: 'ISO 8583:1993 with packed digits and binary bitmap and bytes',
  fidelity: 'generic',
  ...bcdProfile,
  answers: answers1993,
  fields: elements1993,
})

/** ISO 8583:2003, as far as it is public, with packed digits and binary bitmap and bytes. */
export const iso03Bcd = dialect({
  name: 'iso03-bcd',
  version: '2003',
  about: 'ISO 8583:2003, as far as it is public, with packed digits and binary bitmap and bytes',
  fidelity: 'generic',
  ...bcdProfile,
  answers: answers1993,
  fields: elements2003,
})
