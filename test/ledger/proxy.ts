import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** Where a connection to the database breaks, once for each time it is armed. */
export type Cut =
  /** The COMMIT never reaches the server. */
  | 'beforeCommit'
  /** The server commits, and its answer never comes back. */
  | 'afterCommit'
  /** The statements of the second trip never reach the server. */
  | 'beforeWrite'
  /** Nothing passes any more in either direction, and nobody is told. */
  | 'silentAtCommit'

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
    let dropAnswer = false
    const cut = (): void => {
      cuts++
      near.destroy()
      far.destroy()
    }
    near.on('data', (bytes) => {
      const point = bytes.includes('COMMIT\0')
        ? 'commit'
        : bytes.includes('insertUnits')
          ? 'write'
          : undefined
      if (armed !== undefined && armed.times > 0 && point !== undefined) {
        const { cut: kind } = armed
        if (point === (kind === 'beforeWrite' ? 'write' : 'commit')) {
          armed.times--
          if (kind === 'beforeCommit' || kind === 'beforeWrite') return cut()
          if (kind === 'afterCommit') dropAnswer = true
          if (kind === 'silentAtCommit') {
            cuts++
            silent = true
          }
        }
      }
      if (!silent) far.write(bytes)
    })
    far.on('data', (bytes) => {
      if (dropAnswer) return cut()
      if (!silent) near.write(bytes)
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
