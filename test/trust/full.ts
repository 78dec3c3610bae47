import { ledger } from './ledger.ts'
import { runNamed } from './runner.ts'

/** `npm run trust:full -- NAME`: a drill at its full length, minutes instead of seconds. */
await runNamed({ ledger })
