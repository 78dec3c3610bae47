import { bundledFrames } from '../iso8583/iso8583.ts'
import { openChaosproxy } from '../simulators/chaosproxy/process.ts'
import { runSimulator } from '../simulators/process.ts'

// `node bin/chaosproxy.ts --config FILE`
await runSimulator('chaosproxy', async (config) => {
  const { host, port, control, close } = await openChaosproxy(config, bundledFrames)
  return { ready: { host, port, control: { host: control.host, port: control.port } }, close }
})
