import { readFileSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'

/** Kuwait is three hours ahead of UTC all year. */
export function startOf(text: string): number {
  return instant(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00.000+03:00` : text)
}

export function endOf(text: string): number {
  return instant(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T23:59:59.999+03:00` : text)
}

function instant(text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new InvalidArgumentError('It is no date and no instant (ISO 8601).')
  return ms
}

export function businessDate(text: string): string {
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text))
  if (!isDate) throw new InvalidArgumentError('It is no date of the form YYYY-MM-DD.')
  return text
}

export function countOf(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('A whole number above 0 is needed.')
  return Number(text)
}

export function version(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new InvalidArgumentError('It is no number of an entry.')
  return BigInt(text)
}

export function anchorKey(
  text: string,
  earlier: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is not of the form id=file.')
  return new Map([...earlier, [text.slice(0, at), readFileSync(text.slice(at + 1), 'utf8')]])
}
