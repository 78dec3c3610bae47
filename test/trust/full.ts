import { manyConnections } from './connections.ts'
import { ledger } from './ledger.ts'
import { netFull, netPrice } from './net.ts'
import { slowLorisFull } from './slow-loris.ts'
import { runNamed } from './runner.ts'

/** `npm run trust:full -- NAME`: a drill at its full length, minutes instead of seconds. */
await runNamed({
  connections: manyConnections,
  ledger,
  net: netFull,
  'net-price': netPrice,
  'slow-loris': slowLorisFull,
})
