import { parseArgs } from 'node:util'
import { Config } from './config.ts'

/** One JSON object a line on standard error. Never a card number, PIN or key. */
export type Log = (entry: object) => void

export interface RunningSimulator {
  /** Printed after READY. */
  readonly ready: object
  readonly close: () => Promise<void>
}

/** A simulator as a process: reads `--config FILE`, says READY on standard output, and ends on SIGTERM or SIGINT. */
export async function runSimulator(
  name: string,
  open: (config: Config, log: Log) => Promise<RunningSimulator>,
): Promise<void> {
  const log: Log = (entry) => {
    process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), simulator: name, ...entry })}\n`)
  }
  const { values } = parseArgs({ options: { config: { type: 'string' } } })
  if (values.config === undefined) {
    log({ level: 'error', text: 'called without --config FILE' })
    process.exitCode = 2
    return
  }
  const running = await open(await Config.read(values.config), log)
  log({ text: 'ready', ...running.ready })
  process.stdout.write(`READY ${JSON.stringify(running.ready)}\n`)
  let closing = false
  const end = (signal: string): void => {
    if (closing) process.exit(1)
    closing = true
    log({ text: 'closing', signal })
    running.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log({ level: 'error', text: error instanceof Error ? error.message : 'could not close' })
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
}
