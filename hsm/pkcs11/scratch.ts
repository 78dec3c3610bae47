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

/** Where SoftHSM's library is on this machine; undefined when it is not installed. */
export function findSofthsm(): string | undefined {
  return places.find((path) => path !== undefined && existsSync(path))
}

export interface ScratchToken {
  readonly folder: string
  readonly module: string
  readonly tokenLabel: string
  readonly pinFile: string
  readonly softhsmConf: string
  remove(): void
}

/** An empty SoftHSM token with a random PIN in a private folder, for tests and known answers. Throws without SoftHSM. */
export function scratchToken(): ScratchToken {
  const module = findSofthsm()
  if (module === undefined) throw new Error('SoftHSM is not installed')
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-token-'))
  const softhsmConf = join(folder, 'softhsm2.conf')
  const pinFile = join(folder, 'pin')
  const pin = randomBytes(8).toString('hex')
  mkdirSync(join(folder, 'tokens'))
  writeFileSync(
    softhsmConf,
    [
      `directories.tokendir = ${join(folder, 'tokens')}`,
      'objectstore.backend = file',
      'log.level = ERROR',
      'slots.removable = false',
      '',
    ].join('\n'),
  )
  writeFileSync(pinFile, pin, { mode: 0o400 })
  // The PIN of an empty token that is gone in a moment may be seen in the list of processes.
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
    module,
    tokenLabel: 'scratch',
    pinFile,
    softhsmConf,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
