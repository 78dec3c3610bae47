import { parseArgs } from 'node:util'
import type { Bug } from './bugs/bug.ts'
import { bugs } from './bugs/bugs.ts'
import { type HistoryOptions, runHistory } from './history.ts'
import { shrunkStory } from './shrink.ts'

/** `npm run simulate -- --histories N --seed S`: exit 0 when no history violated anything. `--first` ends at one that did, `--codec` puts bytes between. */
const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    bug: { type: 'string' },
    bugs: { type: 'boolean', default: false },
    first: { type: 'boolean', default: false },
    codec: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

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
process.exitCode = await (values.bugs ? findBugs() : simulate())

async function simulate(): Promise<0 | 1> {
  // Errors of a simulated outside are thrown by the thousand, and nobody reads where.
  Error.stackTraceLimit = 0
  const cpuBefore = process.cpuUsage()
  const failed: number[] = []
  let traceHash = 0
  let lived = 0
  for (let index = 0; index < histories; index++) {
    lived++
    const result = await runHistory(optionsOf(seed + index, bug))
    traceHash = Math.imul(traceHash ^ result.traceHash, 0x01000193) >>> 0
    if (result.violations.length === 0) continue
    failed.push(seed + index)
    if (values.first) break
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  const seconds = Number(((user + system) / 1e6).toFixed(1))
  const [firstSeed] = failed
  if (firstSeed !== undefined) {
    for (const line of await shrunkStory(optionsOf(firstSeed, bug))) console.error(line)
  }
  const hash = traceHash.toString(16).padStart(8, '0')
  const violations = failed.length
  if (values.json) {
    console.log(JSON.stringify({ histories: lived, violations, firstSeed, failed, seconds, traceHash: hash }))
  } else {
    if (firstSeed !== undefined) console.log(`failed ${failed.slice(0, 20).join(' ')}`)
    console.log(`trace ${hash}`)
    console.log(`histories ${lived} violations ${violations} processor seconds ${seconds}`)
  }
  return violations === 0 ? 0 : 1
}

/** The planted bugs, and after how many histories each is found: a table for docs/proving.md. */
async function findBugs(): Promise<0 | 1> {
  Error.stackTraceLimit = 0
  console.log('| bug | found after histories | what it breaks |\n| --- | --: | --- |')
  let missed = 0
  for (const [name, planted] of Object.entries(bugs)) {
    let found = 'not found'
    let rule = ''
    for (let index = 0; index < histories; index++) {
      const [violation] = (await runHistory(optionsOf(seed + index, planted))).violations
      if (violation === undefined) continue
      found = String(index + 1)
      rule = violation.split(' ', 1)[0]!
      break
    }
    if (rule === '') missed++
    console.log(`| \`${name}\` | ${found} | ${rule} |`)
  }
  return missed === 0 ? 0 : 1
}

function optionsOf(number: number, planted: Bug | undefined): HistoryOptions {
  return { seed: number, codec: values.codec, ...(planted === undefined ? {} : { bug: planted }) }
}
