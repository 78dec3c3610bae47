import { isDeepStrictEqual } from 'node:util'
import type { NetworkProfile } from './network.ts'

/** What of a connector's configuration decides whether it can speak otherwise while it runs. */
interface Standing {
  readonly leased?: boolean
  readonly serve?: object
}

/**
 * Why a profile can't take the place of another while a connector runs, each with its path. What is spoken may change from
 * one connection to the next; what the switch has decided by may not.
 */
export function hindrances(
  from: NetworkProfile,
  to: NetworkProfile,
  { leased, serve }: Standing,
): readonly string[] {
  const needs = 'needs a restart'
  const otherwise = (['rules', 'keys', 'connections', 'inFlightMax', 'lateMs', 'macPadding'] as const).filter(
    (path) => !isDeepStrictEqual(from[path], to[path]),
  )
  const hindered = otherwise.map((path) => `${path}: is otherwise than in the running switch, which ${needs}`)
  if (from.dialect.version !== to.dialect.version)
    hindered.push(`dialect: another edition of the standard ${needs}`)
  if (from.connections !== undefined && from.connections !== 'sessions')
    hindered.push(`connections: where each takes one request at a time, another dialect ${needs}`)
  // What another node has written must be what this one's line speaks.
  if (leased === true) hindered.push(`dialect: of a line that nodes share, another one ${needs} of them all`)
  // A listener has its limits from its beginning.
  if (serve !== undefined && from.session.echoAfterMs !== to.session.echoAfterMs)
    hindered.push(`session.echoAfterMs: where the network connects to us, another one ${needs}`)
  return hindered
}
