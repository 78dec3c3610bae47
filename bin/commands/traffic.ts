import { Command, InvalidArgumentError } from 'commander'
import { readEndpoints, stateFolderOf } from '../environment/endpoints.ts'

interface Options {
  readonly state?: string
  readonly json?: boolean
}

/** What the terminals' remote control answers, as far as it is shown here. */
interface TrafficStatus {
  readonly result?: 'settled' | 'open'
  readonly running: boolean
  readonly rate: number
  readonly sent: number
  readonly unsent: number
  readonly dropped: number
  readonly approved: number
  readonly declined: Readonly<Record<string, number>>
  readonly unanswered: number
  readonly reversed: number
  readonly reversalsOpen: number
  readonly outstanding: number
  readonly open: number
  readonly surprises: number
  readonly surprising: Readonly<Record<string, number>>
  readonly lines: { readonly up: number; readonly of: number }
  readonly latency: Readonly<
    Record<
      'fromScheduled' | 'fromSent',
      { readonly p50Ms: number; readonly p99Ms: number; readonly p999Ms: number }
    >
  >
}

/** `mafraq traffic`: what the simulated terminals do, and how much of it. */
export function trafficCommand(): Command {
  const traffic = new Command('traffic').description(
    'the simulated terminals: how they fare, and how much they send',
  )
  const add = (name: string, description: string): Command =>
    traffic
      .command(name)
      .description(description)
      .option('--state <folder>', 'the state folder of the running system')
      .option('--json', 'one JSON object')
  add('status', 'what was sent, and what came of it').action((options: Options) =>
    show(options, 'GET', '/status'),
  )
  add('start', 'makes purchases again').action((options: Options) => show(options, 'POST', '/start'))
  add('stop', 'no new purchases; waits until all are settled')
    .option('--wait <seconds>', 'for at most so long', positive, 120)
    .action((options: Options & { wait: number }) =>
      show(options, 'POST', `/stop?waitMs=${options.wait * 1_000}`),
    )
  add('rate', 'so many purchases a second from now on')
    .argument('<rate>', 'purchases a second', positive)
    .action((rate: number, options: Options) => show(options, 'POST', '/rate', { rate }))
  return traffic
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0) || value > 10_000)
    throw new InvalidArgumentError('a number above 0, up to 10,000, is needed')
  return value
}

async function show({ state, json }: Options, method: string, path: string, body?: object): Promise<void> {
  const { host, port } = readEndpoints(stateFolderOf(state)).terminals.control
  const status = await ask(`http://${host}:${port}${path}`, method, body)
  process.stdout.write(json === true ? `${JSON.stringify(status)}\n` : asText(status))
  if (status.result === 'open') process.exitCode = 1
}

async function ask(url: string, method: string, body: object | undefined): Promise<TrafficStatus> {
  let response: Response
  try {
    const headers = { connection: 'close' }
    response = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch {
    throw new Error('the terminals do not answer on their control port')
  }
  if (!response.ok) throw new Error(`the terminals refuse: status ${response.status}`)
  return (await response.json()) as TrafficStatus
}

function asText(status: TrafficStatus): string {
  const { latency, lines, surprising } = status
  const { fromScheduled, fromSent } = latency
  return [
    `traffic    ${status.running ? `${status.rate} purchases a second` : 'stopped'}, ${lines.up} of ${lines.of} lines up`,
    `purchases  sent ${status.sent}  approved ${status.approved}  declined ${listed(status.declined)}  unanswered ${status.unanswered}`,
    `           not sent: line down ${status.unsent}, no terminal free ${status.dropped}`,
    `open       waiting for an answer ${status.outstanding}  reversals to acknowledge ${status.reversalsOpen}  all ${status.open}`,
    `reversed   ${status.reversed}`,
    `latency    from schedule p50 ${fromScheduled.p50Ms} p99 ${fromScheduled.p99Ms} p99.9 ${fromScheduled.p999Ms} ms`,
    `           from sending  p50 ${fromSent.p50Ms} p99 ${fromSent.p99Ms} p99.9 ${fromSent.p999Ms} ms`,
    `surprises  ${status.surprises === 0 ? 'none' : listed(surprising)}`,
    ...(status.result === undefined
      ? []
      : [`RESULT ${status.result === 'settled' ? 'ok' : 'not settled in time'}`]),
    '',
  ].join('\n')
}

function listed(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts)
  if (entries.length === 0) return '0'
  return entries.map(([what, count]) => `${what}: ${count}`).join(', ')
}
