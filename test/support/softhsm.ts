/** A SoftHSM token of a test's own, in a private folder. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const places = [
  process.env['PKCS11_MODULE'],
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
]

/** SoftHSM's library on this machine. */
export const softhsmModule = places.find((path) => path !== undefined && existsSync(path))

/**
 * Why tests on a token cannot run here; undefined when they can. In CI a missing library is a failure and not a
 * reason to skip, so there this throws.
 */
export function softhsmMissing(): string | undefined {
  if (softhsmModule !== undefined) return undefined
  if (process.env['CI'] === 'true') throw new Error('CI=true and SoftHSM is not installed')
  return 'SoftHSM is not installed (apt-get install softhsm2)'
}

export interface ScratchToken {
  readonly folder: string
  readonly module: string
  readonly tokenLabel: string
  readonly pinFile: string
  readonly softhsmConf: string
  remove(): void
}

/** Initialises an empty token with a random PIN. */
export function scratchToken(): ScratchToken {
  if (softhsmModule === undefined) throw new Error('SoftHSM is not installed')
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-token-'))
  const softhsmConf = join(folder, 'softhsm2.conf')
  const pinFile = join(folder, 'pin')
  const pin = randomBytes(8).toString('hex')
  mkdirSync(join(folder, 'tokens'))
  writeFileSync(
    softhsmConf,
    `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`,
  )
  writeFileSync(pinFile, pin, { mode: 0o400 })
  execFileSync(
    'softhsm2-util',
    [
      '--init-token',
      '--free',
      '--label',
      'scratch',
      '--so-pin',
      randomBytes(8).toString('hex'),
      '--pin',
      pin,
    ],
    { env: { ...process.env, SOFTHSM2_CONF: softhsmConf }, stdio: 'ignore' },
  )
  return {
    folder,
    module: softhsmModule,
    tokenLabel: 'scratch',
    pinFile,
    softhsmConf,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
