import type { Address } from './endpoints.ts'

/** Asks a process of ours over HTTP on loopback, and takes its JSON for what it promises to be. */
export async function ask<Answer>(
  { host, port }: Address,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs = 5_000,
  body?: object,
): Promise<Answer> {
  const response = await fetch(`http://${host}:${port}${path}`, {
    method,
    // A connection that is kept may be closed by the other side just when the next question goes out on it.
    headers: { connection: 'close' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}`)
  return (await response.json()) as Answer
}

/** `undefined` while it cannot be had: the process is starting, or gone. */
export async function tryAsk<Answer>(address: Address, path: string): Promise<Answer | undefined> {
  try {
    return await ask<Answer>(address, 'GET', path)
  } catch {
    return undefined
  }
}

/** What the switch says of itself, as far as the environment needs it. */
export interface SwitchStatus {
  readonly hsm: { readonly driver: string; readonly pid?: number; readonly state: string }
  readonly destinations: readonly { readonly name: string; readonly session: string }[]
}

/** What the terminals say of themselves, as far as the environment needs it. */
export interface TerminalsStatus {
  readonly running: boolean
  readonly scheduled: number
  readonly sent: number
  readonly unsent: number
  readonly dropped: number
  readonly approved: number
  readonly declined: Readonly<Record<string, number>>
  readonly unanswered: number
  readonly repeated: number
  readonly reversed: number
  readonly open: number
  readonly surprises: number
  readonly latestSurprises: readonly { readonly rrn: string; readonly what: string }[]
  readonly firstApproved?: { readonly rrn: string }
  readonly latency: {
    readonly fromScheduled: {
      readonly p50Ms: number
      readonly p99Ms: number
      readonly p999Ms: number
      readonly maxMs: number
    }
  }
}
