import type { Dialect } from './dialect.ts'
import type { FieldValue, Message, MessageBody } from './message.ts'

/** The third digit of a message type is its function: even ones ask or advise, the odd one above each answers. */
export function isRequest(mti: string): boolean {
  return Number(mti[2]) % 2 === 0
}

/**
 * The type of the answer to a request: what the dialect states, else the standard's rule, by which the function becomes
 * the next one and a repeat is answered as the first. undefined: nothing answers this.
 */
export function answerMti({ answers }: Dialect, mti: string): string | undefined {
  const stated = answers?.mti?.[mti]
  if (stated !== undefined) return stated
  if (!/^\d{4}$/.test(mti) || !isRequest(mti)) return undefined
  const origin = Number(mti[3])
  return `${mti.slice(0, 2)}${Number(mti[2]) + 1}${origin - (origin % 2)}`
}

/**
 * The beginning of an answer: its type, and the elements that the dialect has travel back, those of them that came.
 * What the answer says is the caller's to add. Clear values: a body is for encoding.
 */
export function answerTo(dialect: Dialect, request: Message): MessageBody | undefined {
  const mti = answerMti(dialect, request.mti)
  if (mti === undefined) return undefined
  const fields: Record<number, FieldValue> = {}
  for (const de of dialect.answers?.echo ?? []) {
    const value = request.reveal(de)
    if (value !== undefined) fields[de] = value
  }
  return { mti, fields }
}
