import type { Codec } from '../../iso8583/iso8583.ts'
import { compile, extend } from '../../iso8583/iso8583.ts'
import type { Subject } from './judge.ts'

/** Bugs that other parsers have had, each put in front of ours: the fuzzer must find every one. */
export const plants: Readonly<Record<string, (codec: Codec) => Subject>> = {
  /** A length read by a lenient parser of numbers: `+5` is 5. */
  signedLength: (codec) => ({
    ...subjectOf(codec),
    tryDecode(bytes) {
      const result = codec.tryDecode(bytes)
      const at = result.ok ? undefined : result.error.offset
      if (result.ok || at === undefined || result.error.code !== 'BAD_LENGTH') return result
      if (bytes[at] !== 0x2b && bytes[at] !== 0x20) return result
      const lenient = Buffer.from(bytes)
      lenient[at] = 0x30
      return codec.tryDecode(lenient)
    },
  }),

  /** What comes after the last element is not looked at. */
  trailingBytes: (codec) => {
    const lax = compile(extend(codec.dialect, { name: `${codec.name}-lax`, settings: { trailing: 'allow' } }))
    return {
      ...subjectOf(codec),
      tryDecode(bytes) {
        const result = lax.tryDecode(bytes)
        const [only] = result.ok ? result.message.irregularities : []
        if (!result.ok || only?.code !== 'TRAILING_BYTES') return codec.tryDecode(bytes)
        Object.defineProperty(result.message, 'irregularities', { value: [] })
        return result
      },
    }
  },

  /** Reads on behind the end, where an older message still lies. */
  noBoundCheck: (codec) => ({
    ...subjectOf(codec),
    tryDecode(bytes) {
      const result = codec.tryDecode(bytes)
      if (result.ok || result.error.code !== 'TRUNCATED') return result
      const { need = 0, have = 0 } = result.error
      return codec.tryDecode(Buffer.concat([bytes, Buffer.alloc(Math.max(0, need - have), '0')]))
    },
  }),

  /** A table of elements asked for one that it doesn't have. */
  undeclaredElement: (codec) => ({
    ...subjectOf(codec),
    tryDecode(bytes) {
      const result = codec.tryDecode(bytes)
      if (!result.ok && result.error.code === 'FIELD_NOT_IN_SPEC') {
        throw new TypeError("Cannot read properties of undefined (reading 'length')")
      }
      return result
    },
  }),

  /** A tag that doesn't fit is tried again at the same place, for ever. */
  noProgress: (codec) => ({
    ...subjectOf(codec),
    tryDecode(bytes) {
      const result = codec.tryDecode(bytes)
      if (!result.ok && result.error.code === 'TLV_OVERRUN') {
        const until = process.cpuUsage().user + 200_000
        while (process.cpuUsage().user < until);
      }
      return result
    },
  }),
}

export function subjectOf(codec: Codec): Subject {
  return {
    name: codec.name,
    tryDecode: (bytes) => codec.tryDecode(bytes),
    encode: (body) => codec.encode(body),
    describe: (message) => codec.describe(message),
  }
}
