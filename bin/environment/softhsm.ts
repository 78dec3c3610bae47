import { execFile, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { HsmEndpoint } from './endpoints.ts'

/** What `PKCS11_MODULE` names, else SoftHSM where Debian and its relatives keep it. */
function findModule(): string | undefined {
  const given = process.env['PKCS11_MODULE']
  if (given !== undefined && given !== '') return given
  return [
    '/usr/lib/softhsm/libsofthsm2.so',
    '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
    '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
    '/usr/local/lib/softhsm/libsofthsm2.so',
    '/usr/lib64/pkcs11/libsofthsm2.so',
  ].find((path) => existsSync(path))
}

/** Why there is no PKCS#11 here and what brings it; undefined when nothing is missing. */
export function missingForPkcs11(): { readonly why: string; readonly command: string } | undefined {
  const module = findModule()
  if (module === undefined) {
    return { why: 'no PKCS#11 module was found', command: 'apt-get install softhsm2' }
  }
  if (isSoftHsm(module) && findUtil() === undefined) {
    return { why: 'softhsm2-util was not found', command: 'apt-get install softhsm2' }
  }
  try {
    createRequire(import.meta.url)('pkcs11js')
  } catch {
    const command = 'apt-get install g++ make python3 && npm ci'
    return { why: 'pkcs11js is not built', command }
  }
  return undefined
}

/**
 * A token with the test keys in it, in a folder of its own; what is there from an earlier run is taken up again. The
 * software twin where PKCS#11 is not to be had: the caller tells the user.
 */
export async function prepareHsm(options: {
  readonly folder: string
  readonly keyFile: string
}): Promise<HsmEndpoint> {
  await keysTool(['make', '--file', options.keyFile])
  if (missingForPkcs11() !== undefined) return { driver: 'twin' }
  const module = findModule()!
  const token = isSoftHsm(module) ? softToken(module, options.folder) : givenToken(module)
  await keysTool(
    ['load', '--file', options.keyFile, '--module', module]
      .concat('--token-label', token.tokenLabel)
      .concat('--pin-file', token.pinFile),
    token.softhsmConf,
  )
  return token
}

type Token = Extract<HsmEndpoint, { driver: 'pkcs11' }>

function isSoftHsm(module: string): boolean {
  return basename(module).includes('softhsm')
}

/** A module that is not SoftHSM has a token already, made by whoever owns the device. */
function givenToken(module: string): Token {
  const tokenLabel = process.env['PKCS11_TOKEN_LABEL']
  const pinFile = process.env['PKCS11_PIN_FILE']
  if (tokenLabel === undefined || pinFile === undefined) {
    throw new Error('hsm: PKCS11_MODULE names a device: set PKCS11_TOKEN_LABEL and PKCS11_PIN_FILE too')
  }
  return { driver: 'pkcs11', module, tokenLabel, pinFile }
}

function softToken(module: string, folder: string): Token {
  const tokens = join(folder, 'tokens')
  const softhsmConf = join(folder, 'softhsm2.conf')
  const pinFile = join(folder, 'pin')
  const token: Token = { driver: 'pkcs11', module, tokenLabel: 'mafraq', pinFile, softhsmConf }
  if (existsSync(join(folder, 'ready'))) return token
  mkdirSync(tokens, { recursive: true, mode: 0o700 })
  writeFileSync(
    softhsmConf,
    [
      `directories.tokendir = ${tokens}`,
      'objectstore.backend = file',
      'log.level = ERROR',
      'slots.removable = false',
      '',
    ].join('\n'),
  )
  const pin = randomPin()
  const soPin = randomPin()
  writeFileSync(pinFile, pin, { mode: 0o600 })
  writeFileSync(join(folder, 'so-pin'), soPin, { mode: 0o600 })
  const made = spawnSync(
    findUtil()!,
    ['--init-token', '--free', '--label', token.tokenLabel, '--so-pin', soPin, '--pin', pin],
    { env: { ...process.env, SOFTHSM2_CONF: softhsmConf }, encoding: 'utf8' },
  )
  // The error of execution would quote the arguments, and with them the PINs.
  if (made.status !== 0)
    throw new Error(`hsm: softhsm2-util ended with ${made.status ?? made.signal ?? 'no'} status`)
  writeFileSync(join(folder, 'ready'), '')
  return token
}

function randomPin(): string {
  return Array.from({ length: 12 }, () => randomInt(10)).join('')
}

function findUtil(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .concat('/usr/bin', '/usr/local/bin')
    .map((folder) => join(folder, 'softhsm2-util'))
    .find((path) => existsSync(path))
}

const keysProgram = join(dirname(fileURLToPath(import.meta.url)), '..', 'hsm-keys.ts')

/** A process of its own, since SoftHSM reads its configuration once in the life of a process. */
async function keysTool(args: readonly string[], softhsmConf?: string): Promise<void> {
  const env = softhsmConf === undefined ? process.env : { ...process.env, SOFTHSM2_CONF: softhsmConf }
  await promisify(execFile)(process.execPath, [keysProgram, ...args], { env })
}
