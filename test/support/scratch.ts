import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const gigabyte = 1024 ** 3
/** What all tests at once have in their folders is less than a quarter of this. */
const roomMin = 8 * gigabyte
const memoryMin = 12 * gigabyte

/**
 * A folder in memory for what tests write, where the machine has one with room: on a disk that others use too a flush may
 * take seconds, and then a test judges the disk. What is tested is the same: processes are killed, and memory that the system
 * keeps outlives them as a disk does. undefined: the usual folder is better, or was asked for (`TMPDIR`).
 */
export function scratchInMemory(): string | undefined {
  if (process.platform !== 'linux' || process.env['TMPDIR'] !== undefined) return undefined
  if (process.availableMemory() < memoryMin) return undefined
  let folder: string | undefined
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    if (bavail * bsize < roomMin) return undefined
    folder = mkdtempSync('/dev/shm/mafraq-')
    // Servers have accounts of their own.
    chmodSync(folder, 0o1777)
    // Libraries that tests compile must be loaded from it, which some machines forbid.
    const program = join(folder, 'runs')
    writeFileSync(program, '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    execFileSync(program)
    rmSync(program)
    return folder
  } catch {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    return undefined
  }
}
