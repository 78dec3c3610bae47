import type { FrameFormat } from '../../iso8583/iso8583.ts'
import { Config } from '../config.ts'
import { type Control, serveControl } from '../control.ts'
import { type Direction, directions, readFaults } from './faults.ts'
import { type Act, acts, ChaosProxy } from './proxy.ts'

export interface ProxyProcess {
  readonly host: string
  readonly port: number
  readonly control: Control
  readonly close: () => Promise<void>
}

/**
 * Starts the proxy that the configuration describes: `host`, `port`, `target`, `control`, `seed`, `frame` (the name of a
 * bundled format; without one, frames are nothing to it) and perhaps `faults`. Its control:
 *
 * - `GET /status`
 * - `POST /faults` with the faults that are to hold from now on; `{}` heals
 * - `POST /act` with `{"act": "reset" | "end"}` or `{"act": "halfClose", "direction": "toServer" | "toClient"}`
 */
export async function openChaosproxy(
  config: Config,
  frames: Readonly<Record<string, FrameFormat>>,
): Promise<ProxyProcess> {
  const address = config.address()
  const proxy = await ChaosProxy.open({
    ...address,
    target: config.needed('target').address(),
    seed: config.number('seed', { min: 0, max: 2 ** 32 - 1, fallback: 1 }),
    frame: frameOf(config, frames),
  })
  const faults = config.section('faults')
  if (faults !== undefined) await proxy.set(readFaults(faults))
  const control = await serveControl(config.needed('control').address(), {
    'GET /status': () => Promise.resolve(proxy.status()),
    'POST /faults': async ({ body }) => {
      await proxy.set(readFaults(new Config(body)))
      return proxy.status()
    },
    'POST /act': ({ body }) => {
      const { act, direction = 'toClient' } = body
      if (!isOneOf<Act>(act, acts) || !isOneOf<Direction>(direction, directions))
        return Promise.resolve(undefined)
      proxy.act(act, direction)
      return Promise.resolve(proxy.status())
    },
  })
  return {
    ...{ host: address.host, port: proxy.port, control },
    async close() {
      await control.close()
      await proxy.close()
    },
  }
}

function frameOf(config: Config, frames: Readonly<Record<string, FrameFormat>>): FrameFormat | undefined {
  if (!config.names().includes('frame')) return undefined
  const name = config.text('frame')
  const frame = Object.hasOwn(frames, name) ? frames[name] : undefined
  return frame ?? config.refuse('frame', `one of ${Object.keys(frames).join(', ')}`)
}

function isOneOf<Name extends string>(value: unknown, names: readonly Name[]): value is Name {
  return (names as readonly unknown[]).includes(value)
}
