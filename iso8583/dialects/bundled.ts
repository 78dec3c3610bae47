import type { Dialect } from '../dialect.ts'
import { iso87Ascii, iso87AsciiHex, iso87Bcd, iso87Ebcdic } from './iso87.ts'
import { iso03Bcd, iso93AsciiHex, iso93Bcd } from './iso93.ts'

const all = [iso87Ascii, iso87AsciiHex, iso87Bcd, iso87Ebcdic, iso93AsciiHex, iso93Bcd, iso03Bcd]

/** The dialects of this room by name. Networks' own live with their connectors. */
export const bundledDialects: Readonly<Record<string, Dialect>> = Object.freeze(
  Object.fromEntries(all.map((one): [string, Dialect] => [one.name, one])),
)
