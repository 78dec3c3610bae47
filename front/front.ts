import Fastify from 'fastify'
import type { Hsm } from '../hsm/hsm.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Switch } from '../switch/switch.ts'

/**
 * The HTTP side of a switch process. So far it serves operators and their machines only: is it alive, is it ready, how
 * does it stand, what are its figures. The REST API of wallets and merchants will live here.
 */
export interface FrontOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly node: string
  readonly switch: Switch
  readonly ledger: Ledger
  readonly hsm: Hsm
  readonly destinations: () => readonly Destination[]
  /** How the queue of wake-ups stands, where there is one. */
  readonly queue?: () => object
}

/** How one destination stands. */
export interface Destination {
  readonly name: string
  readonly dialect: string
  readonly session: string
  readonly breaker: string
  readonly inFlight: number
}

export interface Front {
  readonly port: number
  /** From here on `/health/ready` says no; everything else goes on. */
  retire(): void
  close(): Promise<void>
}

export async function openFront(options: FrontOptions): Promise<Front> {
  const { host, port, ledger, hsm } = options
  let retired = false
  const server = Fastify({
    logger: false,
    bodyLimit: 16 * 1024,
    requestTimeout: 15_000,
    connectionTimeout: 30_000,
  })

  server.get('/health/live', () => ({ live: true }))
  server.get('/health/ready', async (_request, reply) => {
    const reasons = [
      ...(retired ? ['draining'] : []),
      ...(ledger.status().state === 'up' ? [] : ['ledger']),
      ...(hsm.status().state === 'up' ? [] : ['hsm']),
    ]
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons })
  })
  server.get('/metrics', async (_request, reply) =>
    reply.type(options.switch.metrics.contentType).send(await options.switch.metrics.metrics()),
  )
  server.get('/status', () => ({
    node: options.node,
    pid: process.pid,
    inFlight: options.switch.inFlight,
    recovered: options.switch.recovered,
    rules: options.switch.rules,
    sources: Object.fromEntries(options.switch.ports),
    destinations: options.destinations(),
    ledger: ledger.status(),
    ...(options.queue && { queue: options.queue() }),
    hsm: { ...hsm.status(), pid: hsm.status().pids?.[0] },
  }))

  await server.listen({ host, port })
  return {
    port: (server.server.address() as { port: number }).port,
    retire() {
      retired = true
    },
    close: () => server.close(),
  }
}
