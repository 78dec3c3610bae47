import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Child } from '../../bin/environment/child.ts'
import { crowdConfiguration } from '../../bin/environment/configurations.ts'
import { ask } from '../../bin/environment/control.ts'
import type { Address } from '../../bin/environment/endpoints.ts'
import { freePort } from '../../bin/environment/ports.ts'

/** Many connections in a process of its own: they are files of its own, too. */
export interface CrowdProcess {
  ask<Answer>(path: string): Promise<Answer>
  stop(): Promise<unknown>
}

export async function startCrowd(crowd: {
  readonly to: Address
  readonly stateFolder: string
  readonly name: string
  readonly tls?: boolean
  readonly perSecond?: number
}): Promise<CrowdProcess> {
  const { name, stateFolder } = crowd
  const control: Address = { host: '127.0.0.1', port: await freePort() }
  const config = crowdConfiguration({ ...crowd, control })
  const child = new Child({ name, program: 'simulator-crowd.ts', stateFolder, config })
  await child.start()
  return { ask: (path) => ask(control, 'POST', path, 400_000), stop: () => child.stop() }
}

/** How many files a process of this machine may have open. */
export function fileLimit(): number {
  return Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn']).toString()) || Number.POSITIVE_INFINITY
}

/** Processor time that the process has had, its own and the kernel's for it; `utime` and `stime` are in hundredths (proc(5)). */
export function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** What the process has in memory, as the kernel counts it. */
export function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}
