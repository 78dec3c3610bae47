import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Makes a state folder ours for as long as we live: two systems in one folder would share a database and a book.
 * Throws when another process has it. Returns what gives it back.
 */
export function lockFolder(stateFolder: string): () => void {
  const file = join(stateFolder, 'lock')
  const holder = lifeOf(Number(read(file).split(' ')[0]))
  if (holder !== undefined && holder === read(file).trim()) {
    throw new Error(`another mafraq runs in this state folder (process ${holder.split(' ')[0] ?? ''})`)
  }
  writeFileSync(file, `${lifeOf(process.pid) ?? String(process.pid)}\n`)
  return () => rmSync(file, { force: true })
}

/** A pid is used again; a pid with the moment it started (proc(5), stat, field 22) is not. */
function lifeOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' ? undefined : `${pid} ${fields[19] ?? ''}`
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
