import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

// Below the range from which the system takes the near ends of outgoing connections (Linux: 32768 to 60999). A port
// from there could be taken by one of our own clients while its server is down, and the server not come back.
const portMin = 15_000
const portMax = 32_000

const handedOut = new Set<number>()

/** A port of 127.0.0.1 on which nobody listens, the same for every life of the program that gets it. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(portMin, portMax)
    if (handedOut.has(port) || !(await canListen(port))) continue
    handedOut.add(port)
    return port
  }
  throw new Error(`no free port of 127.0.0.1 between ${portMin} and ${portMax}`)
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)))
  })
}
