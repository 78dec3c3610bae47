import type { Random } from '../../kernel/random.ts'
import type { Seed } from './corpus.ts'

/** Values at which parsers have gone wrong: ends of ranges, signs, blanks, letters, tags and their lengths. */
const interesting = [
  0x00, 0x01, 0x09, 0x0a, 0x1f, 0x20, 0x2b, 0x2d, 0x30, 0x39, 0x3a, 0x3d, 0x41, 0x5a, 0x70, 0x7f, 0x80, 0x81,
  0x82, 0x84, 0x99, 0x9f, 0xa0, 0xf0, 0xf9, 0xff,
]
const lengths = ['+5', '-1', ' 5', '99', '00', '999', '000', '\x00\x00', '\xff\xff', '0x', '1a']

type Mutation = (bytes: Buffer, seed: Seed, other: Seed, random: Random) => Buffer

const anywhere = (bytes: Buffer, random: Random): number => random.below(Math.max(1, bytes.length))

/** Blind ones first, then those that know where the elements of the seed begin. */
const mutations: readonly Mutation[] = [
  (bytes, _seed, _other, random) => {
    bytes[anywhere(bytes, random)]! ^= 1 << random.below(8)
    return bytes
  },
  (bytes, _seed, _other, random) => {
    bytes[anywhere(bytes, random)] = interesting[random.below(interesting.length)]!
    return bytes
  },
  (bytes, _seed, _other, random) => bytes.subarray(0, anywhere(bytes, random)),
  (bytes, _seed, _other, random) => {
    const at = anywhere(bytes, random)
    return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(4)), bytes.subarray(at)])
  },
  (bytes, _seed, _other, random) => {
    const at = anywhere(bytes, random)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(4))])
  },
  (bytes, _seed, other, random) =>
    Buffer.concat([
      bytes.subarray(0, anywhere(bytes, random)),
      other.bytes.subarray(anywhere(other.bytes, random)),
    ]),
  // A bit of the bitmap, most often for an element that isn't there.
  (bytes, seed, _other, random) => {
    const at = (seed.starts[1] ?? 4) + random.below(16)
    if (at < bytes.length) bytes[at]! ^= 1 << random.below(8)
    return bytes
  },
  // The length of an element, or what stands in its place.
  (bytes, seed, _other, random) => {
    const start = seed.starts[random.below(seed.starts.length)] ?? 0
    if (start < bytes.length) bytes.write(lengths[random.below(lengths.length)]!, start, 'latin1')
    return bytes
  },
  (bytes, seed, _other, random) => {
    const start = (seed.starts[random.below(seed.starts.length)] ?? 0) + random.below(3)
    if (start < bytes.length) bytes[start] = interesting[random.below(interesting.length)]!
    return bytes
  },
  // An element twice, or not at all.
  (bytes, seed, _other, random) => {
    const nth = random.below(seed.starts.length)
    const [start = 0, end = bytes.length] = [seed.starts[nth], seed.starts[nth + 1]]
    const repeat = random.below(2) === 0 ? [bytes.subarray(start, end)] : []
    return Buffer.concat([bytes.subarray(0, start), ...repeat, ...repeat, bytes.subarray(end)])
  },
  (bytes, _seed, _other, random) => Buffer.concat([bytes, random.bytes(1 + random.below(3))]),
]

/** One to four changes to a copy of the seed. */
export function mutated(seed: Seed, other: Seed, random: Random): Buffer {
  let bytes = Buffer.from(seed.bytes)
  for (let count = 1 + random.below(4); count > 0; count--) {
    bytes = Buffer.from(mutations[random.below(mutations.length)]!(bytes, seed, other, random))
  }
  return bytes
}
