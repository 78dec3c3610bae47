import { serveControl } from '../simulators/control.ts'
import { runSimulator } from '../simulators/process.ts'
import { Crowd } from '../simulators/terminals/crowd.ts'
import { lineTlsOf } from '../simulators/terminals/process.ts'
import { terminalBitmap } from '../simulators/terminals/terminal.ts'

// `node bin/simulator-crowd.ts --config FILE`: connections that stand idle, and slow ones.
await runSimulator('crowd', async (config) => {
  const connectionsPerAddress = config.number('connectionsPerAddress', { min: 1, max: 65_000, fallback: 90 })
  const tls = config.section('tls') && (await lineTlsOf(config.needed('tls')))
  const crowd = new Crowd({ ...config.address(), bitmap: terminalBitmap, connectionsPerAddress, tls })
  const perSecond = config.number('perSecond', { min: 1, max: 100_000, fallback: 1_500 })
  const control = await serveControl(config.needed('control').address(), {
    'GET /status': () => Promise.resolve(crowd.status()),
    'POST /open': async ({ query }) => crowd.open(Number(query.get('count')), perSecond),
    'POST /echo': () => crowd.echo(perSecond),
    'POST /slow': ({ query }) => {
      crowd.slow(Number(query.get('count')), Number(query.get('port')) || undefined)
      return Promise.resolve(crowd.status())
    },
  })
  return {
    ready: { control: { host: control.host, port: control.port } },
    async close() {
      crowd.close()
      await control.close()
    },
  }
})
