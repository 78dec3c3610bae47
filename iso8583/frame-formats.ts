import type { FrameFormat, FrameHeader } from './frame.ts'

/** Frame formats as data: those that need no parameter by name, the headers that do as small words. */

export const binary2Frame: FrameFormat = {
  encoding: 'binary',
  lengthBytes: 2,
  counts: 'body',
  zeroLength: 'refused',
}

export const ascii4Frame: FrameFormat = {
  encoding: 'ascii',
  lengthBytes: 4,
  counts: 'body',
  zeroLength: 'refused',
}

/**
 * Two bytes of length and two reserved ones that it doesn't count. A left nibble of 2 in the fourth byte is the session's
 * own: idle, or a heartbeat (public: moov-io/iso8583, network).
 */
export const vmlFrame: FrameFormat = {
  ...binary2Frame,
  header: { sent: '0000', counted: false, expected: [], control: { at: 1, mask: 0xf0, bits: 0x20 } },
}

/** Looked for by name, in vectors and settings. */
export const bundledFrames: Readonly<Record<string, FrameFormat>> = {
  'frame-binary2': binary2Frame,
  'frame-binary4': { ...binary2Frame, lengthBytes: 4 },
  'frame-ascii4': ascii4Frame,
  'frame-bcd2': { ...binary2Frame, encoding: 'bcd' },
  'frame-vml': vmlFrame,
}

/** Bytes that are the same in every frame, either way, such as a protocol's name and version. */
export function fixedHeader(hex: string, { counted = true } = {}): FrameHeader {
  const expected = [...Buffer.from(hex, 'hex')].map((byte, at) => ({ at, byte }))
  return { sent: hex, counted, expected }
}

/** So many bytes that are sent as zeros and not looked at. */
export function reservedHeader(bytes: number, { counted = false } = {}): FrameHeader {
  return { sent: '00'.repeat(bytes), counted, expected: [] }
}

/** A header whose first byte says its own size, as those of 22 bytes do; the rest is as `hex` has it when we send. */
export function sizedHeader(hex: string): FrameHeader {
  return { sent: hex, counted: true, expected: [{ at: 0, byte: hex.length / 2 }] }
}

/** A transport protocol data unit: 60, then destination and origin as four digits each, packed. */
export function tpdu({ destination, origin }: { destination: string; origin: string }): FrameHeader {
  return { sent: `60${destination}${origin}`, counted: true, expected: [{ at: 0, byte: 0x60 }] }
}

/** The TPDU of an answer: the addresses of the request's, exchanged. */
export function answerTpdu(header: Uint8Array): Uint8Array {
  return Uint8Array.of(header[0]!, header[3]!, header[4]!, header[1]!, header[2]!)
}
