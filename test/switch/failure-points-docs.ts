import { writeFileSync } from 'node:fs'
import { failurePointsPage } from './failure-points.ts'

/** `npm run docs:failure-points`: writes docs/failure-points.md. */
writeFileSync(new URL('../../docs/failure-points.md', import.meta.url), failurePointsPage())
