import { clock } from './clock.ts'
import { connections, connectionsTls } from './connections.ts'
import { crash } from './crash.ts'
import { hsm } from './hsm.ts'
import { keys } from './keys.ts'
import { net, netTerminals } from './net.ts'
import { twoNodes } from './nodes.ts'
import { packs } from './packs.ts'
import { queue } from './queue.ts'
import { restart } from './restart.ts'
import { rotate } from './rotate.ts'
import { saf } from './saf.ts'
import { slowLoris } from './slow-loris.ts'
import { standIn } from './stand-in.ts'
import { runNamed } from './runner.ts'

/** `npm run trust:smoke -- NAME`: a drill in its short form. */
await runNamed({
  clock,
  connections,
  'connections-tls': connectionsTls,
  crash,
  hsm,
  keys,
  net,
  'net-terminals': netTerminals,
  nodes: twoNodes,
  packs,
  queue,
  restart,
  rotate,
  saf,
  'slow-loris': slowLoris,
  'stand-in': standIn,
})
