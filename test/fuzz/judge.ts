import { bodyOf, type Codec, IsoCodecError, type MessageBody } from '../../iso8583/iso8583.ts'

/** The calls that are tried, so that a planted bug can stand in front of them. */
export interface Subject {
  readonly name: string
  tryDecode: Codec['tryDecode']
  encode(body: MessageBody): Buffer
  describe: Codec['describe']
}

/** What must hold for any bytes. Answers what doesn't; undefined when all does. Printing costs the most. */
export function judge(subject: Subject, bytes: Buffer, alsoPrint = true): string | undefined {
  try {
    const result = subject.tryDecode(bytes)
    if (!result.ok) {
      const { error } = result
      if (!(error instanceof IsoCodecError)) return `refused with ${String(error)}`
      if (error.offset === undefined || error.offset < 0 || error.offset > bytes.length)
        return 'an offset outside'
      if (alsoPrint) JSON.stringify(error.partial)
      return undefined
    }
    const { message } = result
    if (alsoPrint) {
      if (subject.describe(message) === '[message not describable]')
        return 'a message that describe cannot show'
      JSON.stringify(message)
    }
    const body = bodyOf(message)
    if (message.irregularities.length > 0) return undefined
    return subject.encode(body).equals(bytes) ? undefined : 'accepted, and written again as other bytes'
  } catch (error) {
    return `thrown: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`
  }
}
