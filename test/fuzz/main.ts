/**
 * Mutates known messages and watches the codec: it may refuse them with its own error, or read them and write them
 * again as they were; it may not crash, throw anything else, or take long.
 *
 *     npm run fuzz -- --seconds 60 [--seed 1] [--self-test] [--json]
 */
import { parseArgs } from 'node:util'
import type { Codec } from '../../iso8583/iso8583.ts'
import { seededRandom } from '../../kernel/random.ts'
import { loadSeeds, type Seed } from './corpus.ts'
import { judge, type Subject } from './judge.ts'
import { mutated } from './mutate.ts'
import { plants, subjectOf } from './plants.ts'

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    'self-test': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

/** In processor time: the machine may be busy with others. */
const hangMs = 50

interface Report {
  executions: number
  crashes: number
  hangs: number
  firstFault?: string
  firstHex?: string
}

/** Runs for so many seconds, or until something is found when `findOne` says so. */
function fuzz(
  seeds: readonly Seed[],
  subjects: ReadonlyMap<Codec, Subject>,
  seconds: number,
  findOne: boolean,
): Report {
  const random = seededRandom(Number(args.seed))
  const report: Report = { executions: 0, crashes: 0, hangs: 0 }
  const until = performance.now() + seconds * 1000
  const found = (what: string, seed: Seed, bytes: Buffer): void => {
    report.firstFault ??= `${seed.codec.name}: ${what}`
    report.firstHex ??= bytes.toString('hex')
  }
  while (performance.now() < until && !(findOne && report.crashes + report.hangs > 0)) {
    for (let turn = 0; turn < 200; turn++) {
      const seed = seeds[random.below(seeds.length)]!
      const bytes = mutated(seed, seeds[random.below(seeds.length)]!, random)
      const began = performance.now()
      const fault = judge(subjects.get(seed.codec)!, bytes, turn % 4 === 0)
      report.executions++
      if (fault !== undefined) {
        report.crashes++
        found(fault, seed, bytes)
      }
      if (performance.now() - began < hangMs) continue
      // By the clock on the wall the machine may have been busy with others, and once is no pattern.
      if (takesLong(subjects.get(seed.codec)!, bytes) && takesLong(subjects.get(seed.codec)!, bytes)) {
        report.hangs++
        found('takes long', seed, bytes)
      }
    }
  }
  return report
}

/** A collection of garbage or a compilation may fall on one execution; not on the same one again and again. */
function takesLong(subject: Subject, bytes: Buffer): boolean {
  const busyBefore = process.cpuUsage()
  judge(subject, bytes)
  const { user, system } = process.cpuUsage(busyBefore)
  return (user + system) / 1000 > hangMs
}

function main(): number {
  // Most executions end in an error, whose stack nobody reads here.
  Error.stackTraceLimit = 0

  const seeds = loadSeeds()
  const codecs = new Set(seeds.map(({ codec }) => codec))
  const subjects = (make: (codec: Codec) => Subject) =>
    new Map([...codecs].map((codec) => [codec, make(codec)]))
  if (args['self-test']) {
    const finds = Object.entries(plants).map(([name, plant]) => {
      const { executions, crashes, hangs } = fuzz(seeds, subjects(plant), Number(args.seconds), true)
      return { name, found: crashes + hangs > 0, executions }
    })
    if (args.json) console.log(JSON.stringify({ plants: finds }))
    else
      for (const { name, found, executions } of finds)
        console.log(`${found ? 'found ' : 'MISSED'} ${name} after ${executions} executions`)
    return finds.every(({ found }) => found) ? 0 : 1
  }
  const report = fuzz(seeds, subjects(subjectOf), Number(args.seconds), false)
  if (args.json) console.log(JSON.stringify(report))
  else {
    if (report.firstFault !== undefined) console.log(`first: ${report.firstFault}\n${report.firstHex ?? ''}`)
    console.log(`executions ${report.executions} crashes ${report.crashes} hangs ${report.hangs}`)
  }
  return report.crashes + report.hangs === 0 ? 0 : 1
}

process.exitCode = main()
