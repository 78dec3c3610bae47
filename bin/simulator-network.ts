import { knetPlaceholder } from '../connectors/knet/dialect.ts'
import { ascii4Frame } from '../iso8583/iso8583.ts'
import { openNetwork } from '../simulators/network/network.ts'
import { runSimulator } from '../simulators/process.ts'

// `node bin/simulator-network.ts --config FILE`
await runSimulator('network', async (config, log) => {
  const network = await openNetwork(config, { dialect: knetPlaceholder, frame: ascii4Frame })
  if (network.replayed > 0) log({ text: 'balances rebuilt from the book', lines: network.replayed })
  return {
    ready: {
      host: network.host,
      port: network.port,
      control: { host: network.control.host, port: network.control.port },
    },
    close: network.close,
  }
})
