import { runHsmProcess } from '../hsm/process.ts'

await runHsmProcess()
