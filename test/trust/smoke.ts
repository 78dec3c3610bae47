import { crash } from './crash.ts'
import { runNamed } from './runner.ts'

/** `npm run trust:smoke -- NAME`: a drill in its short form. */
await runNamed({ crash })
