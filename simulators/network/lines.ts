import {
  connectLink,
  type FrameFormat,
  type Link,
  LinkError,
  type LinkHandlers,
  listenLinks,
  readTlsMaterial,
  TlsCredentials,
} from '../../iso8583/iso8583.ts'
import { systemClock } from '../../kernel/clock.ts'
import type { Config } from '../config.ts'

/** Where a network's lines come from: from those who connect to it, or from its own connecting. */
export interface Lines {
  /** Where it listens; 0: it does not. */
  readonly port: number
  close(): Promise<void>
}

/** Certificate files of a simulator and the DNS name in its peer's: `tls: {key, certificate, ca, peer}`. */
interface Tls {
  readonly credentials: TlsCredentials
  readonly peer: string
}

/** A line that was lost, or could not be had, is asked for again after this. */
const againMs = 200

/**
 * Listens at `host` and `port`; or, where the configuration says `connect: {host, port, connections}`, connects as often
 * as it says and stays connected. Both with `tls`, or without.
 */
export async function openLines(
  config: Config,
  frame: FrameFormat,
  accept: (link: Link) => LinkHandlers,
): Promise<Lines> {
  const tls = tlsOf(config)
  const connect = config.section('connect')
  if (connect !== undefined) return dialled(connect, { frame, tls, accept })
  const { host, port } = config.address()
  // Whoever shows the peer's name may come as often as it likes: limits are the switch's to prove, not ours.
  const peers = tls && [{ name: tls.peer, dnsName: tls.peer, connectionsMax: 1_000 }]
  return listenLinks(
    {
      host,
      port,
      frame,
      clock: systemClock,
      ...(tls && peers && { tls: { credentials: tls.credentials }, peers }),
    },
    accept,
  )
}

function tlsOf(config: Config): Tls | undefined {
  const section = config.section('tls')
  if (section === undefined) return undefined
  const files = {
    key: section.text('key'),
    certificate: section.text('certificate'),
    ca: section.text('ca'),
  }
  const credentials = new TlsCredentials(readTlsMaterial(files), systemClock)
  return { credentials, peer: section.text('peer') }
}

function dialled(
  config: Config,
  { frame, tls, accept }: { frame: FrameFormat; tls: Tls | undefined; accept: (link: Link) => LinkHandlers },
): Lines {
  const { host, port } = config.address()
  const connections = config.number('connections', { min: 1, max: 100, fallback: 1 })
  const links = new Set<Link>()
  const timers = new Set<NodeJS.Timeout>()
  let closed = false
  const again = (): void => {
    if (closed) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      void dial()
    }, againMs)
    timers.add(timer)
  }
  const dial = async (): Promise<void> => {
    const secure = tls && { credentials: tls.credentials, dnsName: tls.peer }
    try {
      const link = await connectLink(
        { host, port, frame, clock: systemClock, ...(secure && { tls: secure }) },
        (made) => {
          const handlers = accept(made)
          return {
            onMessage: (body) => handlers.onMessage(body),
            onClose: (reason) => {
              links.delete(made)
              handlers.onClose(reason)
              again()
            },
          }
        },
      )
      if (closed) link.close('ending')
      else links.add(link)
    } catch (error) {
      if (!(error instanceof LinkError)) throw error
      again()
    }
  }
  for (let index = 0; index < connections; index++) void dial()
  return {
    port: 0,
    close: () => {
      closed = true
      for (const timer of timers) clearTimeout(timer)
      for (const link of links) link.close('ending')
      return Promise.resolve()
    },
  }
}
