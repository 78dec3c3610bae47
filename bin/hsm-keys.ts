import { keysTool } from '../hsm/tool.ts'

process.exitCode = await keysTool(process.argv.slice(2))
