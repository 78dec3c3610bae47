import { Command } from 'commander'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'

/** `mafraq status`: how the running switch stands. */
export function statusCommand(): Command {
  return new Command('status')
    .description('how the running switch stands: sessions, breakers, ledger, HSM')
    .option('--state <folder>', 'the state folder of the running system')
    .option('--json', 'one JSON object')
    .action(async ({ state, json }: { state?: string; json?: boolean }) => {
      const { host, port } = readEndpoints(stateFolderOf(state)).switch.http
      const [status, ready] = await Promise.all([
        ask<Status>(`http://${host}:${port}/status`),
        ask<{ ready: boolean; reasons: string[] }>(`http://${host}:${port}/health/ready`),
      ])
      if (json === true) process.stdout.write(`${JSON.stringify({ ...status, ...ready })}\n`)
      else process.stdout.write(asText(status, ready))
      if (!ready.ready) process.exitCode = 1
    })
}

interface Status {
  readonly node: string
  readonly pid: number
  readonly inFlight: number
  readonly sources: Readonly<Record<string, number>>
  readonly destinations: readonly {
    readonly name: string
    readonly dialect: string
    readonly session: string
    readonly breaker: string
    readonly inFlight: number
  }[]
  readonly ledger: { readonly state: string; readonly waiting: number }
  readonly hsm: {
    readonly driver: string
    readonly state: string
    readonly pending: number
    readonly restarts: number
  }
}

async function ask<T>(url: string): Promise<T> {
  let answer: Response
  try {
    // A kept connection may be closed by the other side just then, which is not the switch that does not answer.
    answer = await fetch(url, { headers: { connection: 'close' } })
  } catch {
    throw new Error('the switch does not answer on its HTTP port')
  }
  return (await answer.json()) as T
}

function asText(status: Status, ready: { ready: boolean; reasons: string[] }): string {
  const { node, pid, inFlight, sources, destinations, ledger, hsm } = status
  return [
    `switch ${node} (pid ${pid})  ${ready.ready ? 'ready' : `not ready: ${ready.reasons.join(', ')}`}  in flight ${inFlight}`,
    ...Object.entries(sources).map(([name, port]) => `source       ${name}  listening on port ${port}`),
    ...destinations.map(
      (one) =>
        `destination  ${one.name}  ${one.session}  breaker ${one.breaker}  in flight ${one.inFlight}  (${one.dialect})`,
    ),
    `ledger       ${ledger.state}  waiting ${ledger.waiting}`,
    `hsm          ${hsm.driver}  ${hsm.state}  pending ${hsm.pending}  restarts ${hsm.restarts}`,
    '',
  ].join('\n')
}
