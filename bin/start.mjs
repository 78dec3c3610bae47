// `npm start`: everything, with live traffic. Works straight after `git clone`.
import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { diagnose, prepare, projectFolder, run } from './launch.mjs'

const args = process.argv.slice(2)

if (args.includes('--reset')) {
  reset(stateFolder())
} else if (args.includes('--doctor')) {
  process.exitCode = diagnose() ? 0 : 1
} else {
  await prepare({ apt: !args.includes('--no-apt') })
  process.exitCode = await run('bin/start.ts', args)
}

function stateFolder() {
  const at = args.indexOf('--state')
  return resolve(at < 0 ? (process.env.MAFRAQ_STATE ?? join(projectFolder, '.run')) : (args[at + 1] ?? '.'))
}

/** Removes what a run leaves, by name: a folder named by mistake loses nothing else. */
function reset(folder) {
  const lock = join(folder, 'lock')
  const pid = existsSync(lock) ? Number(readFileSync(lock, 'utf8').split(' ')[0]) : 0
  if (pid > 0 && existsSync(`/proc/${pid}`)) {
    process.stderr.write(`mafraq runs in ${folder} (process ${pid}); end it first\n`)
    process.exitCode = 1
    return
  }
  const database = join(folder, 'pg')
  if (existsSync(database)) rmSync(realpathSync(database), { recursive: true, force: true })
  for (const name of [
    'pg',
    'softhsm',
    'config',
    'logs',
    'books',
    'sockets',
    'keys.json',
    'endpoints.json',
    'database-users.json',
    'lock',
  ]) {
    rmSync(join(folder, name), { recursive: true, force: true })
  }
  process.stdout.write(`${folder} is as new\n`)
}
