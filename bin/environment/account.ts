import { spawnSync } from 'node:child_process'
import { chownSync, readFileSync } from 'node:fs'

/** Whom a program is run as, where that is not whoever runs us. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL never runs as root: root hands it to `nobody`. undefined where we are not root. */
export function unprivileged(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'))
  const [, , uid, gid] = (line ?? 'nobody:x:65534:65534').split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

/** Whether `account` can read the file or enter the folder at `path`. Asked of the kernel, not guessed from modes. */
export function canReach(path: string, account: Account | undefined): boolean {
  const script = 'if test -d "$1"; then test -x "$1"; else test -r "$1"; fi'
  const asked = spawnSync('/bin/sh', ['-c', script, 'sh', path], { ...account, cwd: '/' })
  return asked.status === 0
}

export function give(path: string, account: Account | undefined): void {
  if (account !== undefined) chownSync(path, account.uid, account.gid)
}
