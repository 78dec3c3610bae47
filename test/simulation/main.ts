import { parseArgs } from 'node:util'
import { bugs } from './bugs/bugs.ts'
import { runHistory } from './history.ts'
import { shrunkStory } from './shrink.ts'

/** `npm run simulate -- --histories N --seed S`: exit 0 when no history violated anything. */
const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    bug: { type: 'string' },
    bugs: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

if (values.bugs) {
  for (const name of Object.keys(bugs)) console.log(name)
  process.exit(0)
}
const histories = Number(values.histories)
const seed = Number(values.seed)
const bug = values.bug === undefined ? undefined : bugs[values.bug]
if (!Number.isSafeInteger(histories) || histories < 1 || !Number.isSafeInteger(seed)) {
  console.error('--histories and --seed are whole numbers')
  process.exit(2)
}
if (values.bug !== undefined && bug === undefined) {
  console.error(`no bug of that name; there are: ${Object.keys(bugs).join(', ')}`)
  process.exit(2)
}

const startedAt = performance.now()
let violations = 0
let firstSeed: number | undefined
let traceHash = 0
for (let index = 0; index < histories; index++) {
  const result = await runHistory({ seed: seed + index, ...(bug === undefined ? {} : { bug }) })
  traceHash = Math.imul(traceHash ^ result.traceHash, 0x01000193) >>> 0
  if (result.violations.length === 0) continue
  violations++
  firstSeed ??= seed + index
}
const seconds = Number(((performance.now() - startedAt) / 1_000).toFixed(1))
if (firstSeed !== undefined) {
  const story = await shrunkStory({ seed: firstSeed, ...(bug === undefined ? {} : { bug }) })
  for (const line of story) console.error(line)
}
const hash = traceHash.toString(16).padStart(8, '0')
if (values.json) console.log(JSON.stringify({ histories, violations, firstSeed, seconds, traceHash: hash }))
else {
  if (firstSeed !== undefined) console.log(`first seed ${firstSeed}`)
  console.log(`trace ${hash}`)
  console.log(`histories ${histories} violations ${violations} seconds ${seconds}`)
}
process.exitCode = violations === 0 ? 0 : 1
