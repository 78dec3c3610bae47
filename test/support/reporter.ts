import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule, TestSuite } from 'vitest/node'

/** Where `bin/test.ts` wants to read how it went. */
export const summaryVariable = 'MAFRAQ_TEST_SUMMARY'

export interface Summary {
  passed: number
  failed: number
  /** One entry a skipped test. */
  skipped: { readonly test: string; readonly why: string }[]
}

/** Counts, beside vitest's own reporter, in the three numbers that scripts depend on. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const file = process.env[summaryVariable]
    if (file === undefined) return
    // An error outside every test fails the run, so it is counted as a failure.
    const summary: Summary = { passed: 0, failed: unhandledErrors.length, skipped: [] }
    for (const module of modules) count(module, summary)
    writeFileSync(file, JSON.stringify(summary))
  }
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
