import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { SimulatorError } from './fault.ts'

/** What a request asked: its query, and its body where it is a JSON object. */
interface ControlRequest {
  readonly query: URLSearchParams
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * By method and path, for example `GET /status`. A handler that returns undefined, or throws a `SimulatorError` that says
 * why, refuses the request's content.
 */
export type ControlRoutes = Readonly<Record<string, (request: ControlRequest) => Promise<object | undefined>>>

export interface Control {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

const bodyBytesMax = 16 * 1024

/** The simulators' remote control: HTTP and JSON, on loopback, for tests and the command line. */
export async function serveControl(
  { host, port }: { readonly host: string; readonly port: number },
  routes: ControlRoutes,
): Promise<Control> {
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    void answer(request, response, routes)
  })
  server.listen({ host, port })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    host,
    port: address.port,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ControlRoutes,
): Promise<void> {
  const { status, content } = await outcome(request, routes)
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(content)}\n`)
}

async function outcome(
  request: IncomingMessage,
  routes: ControlRoutes,
): Promise<{ readonly status: number; readonly content: object }> {
  const url = new URL(request.url ?? '/', 'http://loopback')
  const handler = routes[`${request.method ?? ''} ${url.pathname}`]
  if (handler === undefined) return { status: 404, content: { error: 'no such route' } }
  const body = await readBody(request)
  if (body === undefined) return { status: 400, content: { error: 'the body is not a JSON object' } }
  let content: object | undefined
  try {
    content = await handler({ query: url.searchParams, body })
  } catch (error) {
    if (!(error instanceof SimulatorError)) throw error
    return { status: 400, content: { error: error.message } }
  }
  if (content === undefined) return { status: 400, content: { error: 'it does not say what to do' } }
  return { status: 200, content }
}

/** {} when there is none; undefined when it is too long or something else than an object. */
async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>> | undefined> {
  let text = ''
  try {
    for await (const piece of request.setEncoding('utf8') as AsyncIterable<string>) {
      text += piece
      if (text.length > bodyBytesMax) return undefined
    }
    const body: unknown = text === '' ? {} : JSON.parse(text)
    const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
    return isObject ? (body as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}
