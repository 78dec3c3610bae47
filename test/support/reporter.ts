import { writeFileSync } from 'node:fs'
import type { Reporter, TestCase, TestModule, TestSuite } from 'vitest/node'

/** Where `bin/test.ts` wants to read how it went. */
export const summaryVariable = 'MAFRAQ_TEST_SUMMARY'
/** For how many milliseconds a test file may say nothing. The default is far beyond any test's own limit of time. */
export const silenceVariable = 'MAFRAQ_TEST_SILENCE_MS'
const silenceMaxMs = 15 * 60_000

export interface Summary {
  passed: number
  failed: number
  /** One entry a skipped test. */
  skipped: { readonly test: string; readonly why: string }[]
}

/**
 * Counts, beside vitest's own reporter, in the three numbers that scripts depend on. And it ends a run in which a file
 * hangs: the limits of vitest are timers of the worker itself, which one that never lets its event loop turn does not see.
 */
export default class SummaryReporter implements Reporter {
  /** By their ids: once its tests are known, a file is another object. */
  readonly #modules = new Map<string, TestModule>()
  /** When each file that is under way was last heard of. */
  readonly #heardAtMs = new Map<string, number>()
  #watch: NodeJS.Timeout | undefined

  onTestRunStart(): void {
    const allowedMs = Number(process.env[silenceVariable] ?? silenceMaxMs)
    this.#watch = setInterval(() => this.#endIfSilent(allowedMs), Math.min(allowedMs, 10_000))
  }

  onTestModuleQueued(module: TestModule): void {
    this.#hear(module)
  }

  onTestModuleCollected(module: TestModule): void {
    this.#hear(module)
  }

  onTestCaseReady({ module }: TestCase): void {
    this.#hear(module)
  }

  onTestModuleEnd({ id }: TestModule): void {
    this.#heardAtMs.delete(id)
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    clearInterval(this.#watch)
    // An error outside every test fails the run, so it is counted as a failure.
    write(modules, unhandledErrors.length)
  }

  #hear(module: TestModule): void {
    this.#modules.set(module.id, module)
    this.#heardAtMs.set(module.id, performance.now())
  }

  #endIfSilent(allowedMs: number): void {
    const nowMs = performance.now()
    const silent = [...this.#heardAtMs].filter(([, atMs]) => nowMs - atMs > allowedMs)
    if (silent.length === 0) return
    for (const [id, atMs] of silent) {
      const { children, relativeModuleId } = this.#modules.get(id)!
      const test = [...children.allTests()].find((one) => one.result().state === 'pending')
      const seconds = Math.round((nowMs - atMs) / 1000)
      console.error(`${relativeModuleId} says nothing for ${seconds} s: ${test?.fullName ?? 'no test'}`)
    }
    write([...this.#modules.values()], silent.length)
    // Not by vitest's own way, which would wait for that worker. It takes its workers along, and they what they started.
    process.exit(1)
  }
}

function write(modules: readonly TestModule[], errors: number): void {
  const file = process.env[summaryVariable]
  if (file === undefined) return
  const summary: Summary = { passed: 0, failed: errors, skipped: [] }
  for (const module of modules) count(module, summary)
  writeFileSync(file, JSON.stringify(summary))
}

function count(module: TestModule, summary: Summary): void {
  const groups: (TestModule | TestSuite)[] = [module, ...module.children.allSuites()]
  // A file that does not load and a hook that throws leave their tests skipped; they are failures all the same.
  summary.failed += groups.filter((group) => group.errors().length > 0).length
  for (const test of module.children.allTests()) {
    const result = test.result()
    if (result.state === 'passed') summary.passed++
    else if (result.state === 'failed') summary.failed++
    else {
      const why = result.state === 'skipped' ? result.note : 'it never ran'
      summary.skipped.push({
        test: `${module.relativeModuleId}: ${test.fullName}`,
        why: why ?? 'no reason given',
      })
    }
  }
}
