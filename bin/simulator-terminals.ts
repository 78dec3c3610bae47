import { runSimulator } from '../simulators/process.ts'
import { openEstate } from '../simulators/terminals/process.ts'

/** How long an ending estate waits for what is open; the rest is in its book, for its next life. */
const drainMs = 5_000

// `node bin/simulator-terminals.ts --config FILE`
await runSimulator('terminals', async (config, log) => {
  const { control, resumed, estate, close } = await openEstate(config)
  if (resumed > 0) log({ text: 'reversing what an earlier life left open', resumed })
  return {
    ready: { control: { host: control.host, port: control.port } },
    async close() {
      await estate.stop(drainMs)
      await close()
    },
  }
})
