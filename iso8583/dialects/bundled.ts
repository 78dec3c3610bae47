import type { Dialect } from '../dialect.ts'
import { iso87Ascii, iso87AsciiHex, iso87Bcd } from './iso87.ts'

/** The dialects of this room by name. Networks' own live with their connectors. */
export const bundledDialects: Readonly<Record<string, Dialect>> = Object.freeze(
  Object.fromEntries([iso87Ascii, iso87AsciiHex, iso87Bcd].map((one): [string, Dialect] => [one.name, one])),
)
