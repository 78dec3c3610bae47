import { type Codec, tableOf } from './codec.ts'
import { DecodedMessage } from './decoded.ts'
import { IsoCodecError } from './error.ts'
import type { Message, MessageBody } from './message.ts'
import { making } from './table.ts'

export interface SealedPart {
  /** From the MTI up to the MAC's element. A view. */
  readonly data: Uint8Array
  readonly mac: Uint8Array
}

const macBytes = 8

/**
 * What the MAC of a message is over, and the MAC: DE64 or DE128 as the message's last element. undefined when it
 * has none. Takes a message that `codec` decoded, or bytes, which it decodes.
 */
export function sealedPart(codec: Codec, bytes: Uint8Array | Message): SealedPart | undefined {
  const message = bytes instanceof Uint8Array ? codec.decode(bytes) : bytes
  if (!(message instanceof DecodedMessage)) throw new TypeError('not a message of this codec')
  const last = message.elements.at(-1)
  if (last !== 64 && last !== 128) return undefined
  const { from } = message.span(last)!
  const mac = message.reveal(last)
  if (!(mac instanceof Uint8Array)) return undefined
  return { data: message.bytes.subarray(0, from), mac }
}

/**
 * Encodes with a MAC as the last element: DE128 when any element above 64 is present, else DE64. `seal` gets the
 * bytes up to that element, its bit already in the bitmap, and answers with the eight bytes of the MAC.
 */
export async function encodeSealed(
  codec: Codec,
  body: MessageBody,
  seal: (data: Uint8Array) => Promise<Uint8Array>,
): Promise<Buffer> {
  const fields = Object.fromEntries(
    Object.entries(body.fields).filter(([key]) => key !== '64' && key !== '128'),
  )
  const de = Object.keys(fields).some((key) => Number(key) > 64) ? 128 : 64
  const bytes = codec.encode({
    mti: body.mti,
    fields: { ...fields, [de]: new Uint8Array(macBytes) },
  })
  const isHex = tableOf(codec).making[de] === making.hex
  const at = bytes.length - (isHex ? macBytes * 2 : macBytes)
  const mac = await seal(bytes.subarray(0, at))
  if (mac.length !== macBytes) {
    throw new IsoCodecError({
      code: 'VALUE_WRONG_TYPE',
      path: String(de),
      need: macBytes,
      have: mac.length,
      dialect: codec.name,
    })
  }
  const written = Buffer.from(mac)
  if (isHex) Buffer.from(written.toString('hex').toUpperCase(), 'latin1').copy(bytes, at)
  else written.copy(bytes, at)
  return bytes
}
