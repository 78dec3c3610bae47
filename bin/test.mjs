// `npm test`: everything, checked. Works straight after `git clone`.
import { prepare, run } from './launch.mjs'

const args = process.argv.slice(2)
await prepare({ apt: !args.includes('--no-apt'), tests: true })
if (!args.includes('--prepare')) {
  process.exitCode = await run(
    'bin/test.ts',
    args.filter((argument) => argument !== '--no-apt'),
  )
}
