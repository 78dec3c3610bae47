import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** Where a connection to the database breaks, once for each time it is armed. */
export type Cut =
  /** The transaction is not even begun. */
  | 'beforeLoad'
  /** The statements that write never reach the server. */
  | 'beforeWrite'
  /** The server has written everything, and the COMMIT never reaches it. */
  | 'beforeCommit'
  /** The server commits, and its answer never comes back. */
  | 'afterCommit'
  /** Nothing passes any more in either direction, and nobody is told. */
  | 'silentAtCommit'

/** What in the stream to the server tells that the point has come. */
const marks: Readonly<Record<Cut, string>> = {
  beforeLoad: 'BEGIN\0',
  beforeWrite: 'insertUnits',
  beforeCommit: 'COMMIT\0',
  afterCommit: 'COMMIT\0',
  silentAtCommit: 'COMMIT\0',
}

/**
 * What stands in front of a statement's name: type and length (PostgreSQL protocol, Parse), and the name of a portal,
 * which is empty (Bind).
 */
function headerBytes(bytes: Buffer, at: number): number {
  return bytes[at - 6] === 'B'.charCodeAt(0) ? 6 : 5
}

export interface CuttingProxy {
  readonly url: string
  /** Cuts the next `times` connections that come to the point. */
  arm(cut: Cut, times: number): void
  /** How many cuts have happened. */
  readonly cuts: number
  close(): Promise<void>
}

/** Stands between the writer and PostgreSQL. */
export async function openCuttingProxy(databaseUrl: string): Promise<CuttingProxy> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let armed: { cut: Cut; times: number } | undefined
  let cuts = 0

  const server = createServer((near) => {
    const far = connect({ host: target.hostname, port: Number(target.port) })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
    }
    let silent = false
    let swallowing = false
    const cut = (): void => {
      cuts++
      near.destroy()
      far.destroy()
    }
    near.on('data', (bytes) => {
      if (silent) return
      const at = armed === undefined || armed.times === 0 ? -1 : bytes.indexOf(marks[armed.cut])
      if (armed === undefined || at === -1) {
        far.write(bytes)
        return
      }
      armed.times--
      switch (armed.cut) {
        case 'beforeLoad':
        case 'beforeWrite':
          cut()
          break
        case 'beforeCommit':
          far.write(bytes.subarray(0, at - headerBytes(bytes, at)), () => setTimeout(cut, 20))
          silent = true
          break
        case 'afterCommit':
          swallowing = true
          far.write(bytes)
          break
        case 'silentAtCommit':
          cuts++
          silent = true
      }
    })
    far.on('data', (bytes) => {
      // The server's own word for it, so that the commit is known to have taken effect.
      if (swallowing && bytes.includes('COMMIT\0')) cut()
      else if (!silent && !swallowing) near.write(bytes)
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve))
  const url = new URL(databaseUrl)
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.toString(),
    arm(cut, times) {
      armed = { cut, times }
    },
    get cuts() {
      return cuts
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => void server.close(() => resolve()))
    },
  }
}
