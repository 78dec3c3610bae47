import { spawn } from 'node:child_process'

/**
 * Sees to it that a program we started does not outlive us, however we end: a shell waits for the end of a pipe that
 * only we hold, and then signals that one pid. Returns what lifts the guard, for when the program has ended.
 */
export function guard(pid: number, signal: 'INT' | 'TERM'): () => void {
  const shell = spawn(
    '/bin/sh',
    ['-c', `read -r _; kill -${signal} "$1" 2>/dev/null`, 'mafraq-guard', String(pid)],
    {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  )
  shell.once('error', () => undefined)
  shell.stdin.on('error', () => undefined)
  shell.unref()
  // The pipe must not keep our own event loop alive.
  if ('unref' in shell.stdin) (shell.stdin as unknown as { unref(): void }).unref()
  return () => void shell.kill('SIGKILL')
}
