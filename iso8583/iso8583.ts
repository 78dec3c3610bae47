/**
 * The protocol, without payments: dialects as data, the codec, frames, links and the multiplexer. What a message
 * means is for others to say.
 */
export type { AnyFields, FieldValue, Irregularity, Message, MessageBody } from './message.ts'
export { IsoCodecError } from './error.ts'
export type { IsoCodecErrorCode } from './error.ts'

export { absent, dialect, extend } from './dialect.ts'
export type {
  Answers,
  Changes,
  Dialect,
  EncodingProfile,
  Field,
  FieldSpec,
  FieldTable,
  MessageOf,
  TagTable,
} from './dialect.ts'
export {
  alnum,
  amount,
  anyText,
  bertlv,
  bitmapped,
  bits,
  bytes,
  creditOrDebit,
  datasets,
  de,
  digits,
  len,
  letters,
  llllllvar,
  lllllvar,
  llllvar,
  lllvar,
  llvar,
  lvar,
  nibbles,
  originalData,
  pan,
  positional,
  priv,
  secret,
  signedAmount,
  tagged,
  text,
  track,
  trackData,
} from './fields.ts'
export { answerMti, answerTo } from './answer.ts'
export { bundledDialects } from './dialects/bundled.ts'
export { emvTags } from './dialects/emv-tags.ts'
export { iso87Ascii, iso87AsciiHex, iso87Bcd, iso87Ebcdic } from './dialects/iso87.ts'
export { iso03Bcd, iso93AsciiHex, iso93Bcd } from './dialects/iso93.ts'

export { compile } from './codec.ts'
export { dialectFromJson } from './load.ts'
export type { Codec, Decoded } from './codec.ts'
export { diff } from './diff.ts'
export type { Difference } from './diff.ts'
export { explain } from './explain.ts'
export type { Explanation, Span } from './explain.ts'
export { differences, formatOf, writingText } from './format.ts'
export { reference } from './reference.ts'
export { bodyFromJson, bodyOf, revealJson } from './json.ts'
export { wireBytes } from './decoded.ts'
export { encodeSealed, sealedPart } from './seal.ts'
export type { SealedPart } from './seal.ts'

export { encodeFrame, FrameError } from './frame.ts'
export type { Frame, FrameFault, FrameFormat, FrameHeader } from './frame.ts'
export {
  answerTpdu,
  ascii4Frame,
  binary2Frame,
  bundledFrames,
  fixedHeader,
  reservedHeader,
  sizedHeader,
  tpdu,
  vmlFrame,
} from './frame-formats.ts'
export { FrameReader } from './frame-reader.ts'
export { LinkError } from './link.ts'
export type { Link, LinkCloseReason, LinkFault, LinkHandlers, LinkLimits } from './link.ts'
export { connectLink } from './link-client.ts'
export type { ClientTls, ConnectOptions, PlaintextConsent } from './link-client.ts'
export { watchExpiry } from './link-expiry.ts'
export type { ExpiryAlarm } from './link-expiry.ts'
export { ConnectionBudget } from './link-gate.ts'
export type { Peer } from './link-peers.ts'
export { listenLinks } from './link-server.ts'
export type { LinkServer, ListenOptions, RefusedConnection, Refusal, ServerTls } from './link-server.ts'
export { readTlsMaterial, TlsCredentials } from './link-tls.ts'
export type { TlsFiles, TlsMaterial } from './link-tls.ts'
export { Multiplexer } from './multiplexer.ts'
export type { Anomaly, Correlation, MultiplexerOptions } from './multiplexer.ts'
export type { ExchangeIdentity, ExchangeOutcome } from './exchanges.ts'
