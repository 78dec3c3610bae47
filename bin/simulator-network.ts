import { dualMessage } from '../connectors/wording.ts'
import type { NetworkProfile } from '../connectors/network.ts'
import { openNetwork, type Speech } from '../simulators/network/network.ts'
import { runSimulator } from '../simulators/process.ts'
import { networkNamed } from './networks.ts'

// `node bin/simulator-network.ts --config FILE`
await runSimulator('network', async (config, log) => {
  const profile = await networkNamed(config.text('network'))
  const messages = profile.wording === dualMessage ? 'dual' : 'single'
  const network = await openNetwork(config, {
    ...profile,
    messages,
    ...exchangeOf(profile),
    fees: profile.rules.fees ?? {},
  })
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

/** What the network's folder says of keys, for the other end of the line. */
function exchangeOf({ keys, session }: NetworkProfile): Pick<Speech, 'exchange'> {
  return keys === undefined ? {} : { exchange: { ...keys, code: session.codes.keyExchange?.[0] ?? '101' } }
}
