/** A real HSM process with its own token, keys and vault; both drivers get the same keys. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { openHsm } from '../../hsm/hsm.ts'
import type { Hsm, HsmLog, HsmOptions, IssuerHsm, KeyExchangeHsm } from '../../hsm/hsm.ts'
import { migrate } from '../../kernel/database.ts'
import { openTestDatabase } from '../support/postgres.ts'
import type { TestDatabase } from '../support/postgres.ts'
import { scratchToken } from '../support/softhsm.ts'
import type { ScratchToken } from '../support/softhsm.ts'

const root = join(import.meta.dirname, '..', '..')

/** A key as a key file has it. */
export interface TestKey {
  readonly ref: string
  readonly version?: number
  readonly algorithm: string
  readonly value: string
}

/** The published example keys of the standards, so that answers can be compared with printed ones. */
export const testKeys: readonly TestKey[] = [
  { ref: 'tpk.acq1.in', algorithm: 'DES2', value: '0123456789ABCDEFFEDCBA9876543210' },
  { ref: 'zpk.knet.out', algorithm: 'DES2', value: '1123456789ABCDEFFEDCBA987654321F' },
  { ref: 'tak.acq1.both', algorithm: 'DES2', value: '0123456789ABCDEFFEDCBA9876543210' },
  { ref: 'zak.knet.both', algorithm: 'AES-128', value: '2B7E151628AED2A6ABF7158809CF4F3C' },
  { ref: 'fpk.vault.both', algorithm: 'HMAC', value: '0B'.repeat(32) },
  { ref: 'kek.vault.both', algorithm: 'AES-256', value: '0123456789ABCDEFFEDCBA9876543210'.repeat(2) },
]

const published = '0123456789ABCDEFFEDCBA9876543210'

/** What an issuer has besides. */
export const issuerKeys: readonly TestKey[] = [
  ...testKeys,
  { ref: 'zpk.acq4.in', algorithm: 'AES-128', value: '00112233445566778899AABBCCDDEEFF' },
  { ref: 'zpk.net4.out', algorithm: 'AES-128', value: '2B7E151628AED2A6ABF7158809CF4F3C' },
  { ref: 'bdk.acq2.both', algorithm: 'DES2', value: published },
  { ref: 'bdk.acq3.both', algorithm: 'AES-128', value: 'FEDCBA9876543210F1F1F1F1F1F1F1F1' },
  { ref: 'pvk.own.both', algorithm: 'DES2', value: published },
  { ref: 'ibm.own.both', algorithm: 'DES2', value: published },
  { ref: 'cvk.own.both', algorithm: 'DES2', value: published },
  { ref: 'imkac.own.both', algorithm: 'DES2', value: published },
  { ref: 'imksmi.own.both', algorithm: 'DES2', value: published },
  { ref: 'hmac.own.both', algorithm: 'HMAC', value: 'AA'.repeat(131) },
  { ref: 'sign.audit.both', algorithm: 'EC-P256', value: `${'00'.repeat(31)}2A` },
]

export interface World extends AsyncDisposable {
  readonly token: ScratchToken
  readonly database: TestDatabase
  readonly keyFile: string
  /** What the processes and the client logged. */
  readonly log: string[]
  open(options?: Partial<HsmOptions>): Promise<Hsm & IssuerHsm & KeyExchangeHsm>
}

export async function world(keys: readonly TestKey[] = testKeys): Promise<World> {
  const token = scratchToken()
  const database = await openTestDatabase()
  await migrate({ databaseUrl: database.url, schema: 'vault', folder: join(root, 'hsm', 'migrations') })
  const keyFile = join(token.folder, 'keys.json')
  writeFileSync(keyFile, JSON.stringify({ keys }), { mode: 0o600 })
  loadKeys(token, keyFile)
  const opened: Hsm[] = []
  const log: string[] = []
  return {
    token,
    database,
    keyFile,
    log,
    async open(options = {}) {
      const hsm = await openHsm({
        driver: 'pkcs11',
        module: token.module,
        tokenLabel: token.tokenLabel,
        pinFile: token.pinFile,
        softhsmConf: token.softhsmConf,
        keyFile,
        vaultDatabaseUrl: database.url,
        socketFolder: join(token.folder, 'socket'),
        processFile: join(root, 'bin', 'hsm.ts'),
        environment: 'test',
        log: collector(log),
        // Deadlines are for the tests of deadlines: elsewhere a machine that stands still must not be taken for a fault.
        deadlineMs: 20_000,
        ...options,
      })
      opened.push(hsm)
      return hsm
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((hsm) => hsm.close()))
      await database.close()
      token.remove()
    },
  }
}

export function loadKeys(token: ScratchToken, keyFile: string): string {
  return execFileSync(
    process.execPath,
    [
      join(root, 'bin', 'hsm-keys.ts'),
      'load',
      ...['--file', keyFile, '--module', token.module],
      ...['--token-label', token.tokenLabel, '--pin-file', token.pinFile],
    ],
    { env: { ...process.env, SOFTHSM2_CONF: token.softhsmConf }, encoding: 'utf8' },
  )
}

function collector(lines: string[]): HsmLog {
  const add = (line: string): void => void lines.push(line)
  return { info: add, warn: add, error: add }
}

/** The fault of a call that must fail. */
export async function faultOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call
  } catch (error) {
    return (error as { fault?: unknown }).fault ?? error
  }
  throw new Error('it did not fail')
}

/** Waits until the client has heard that this key version is in this state; undefined: in use no more. */
export async function untilKey(hsm: Hsm, label: string, state: string | undefined): Promise<void> {
  while (hsm.status().keys!.find((key) => key.label === label)?.state !== state) await wait(20)
}

export const hex = (text: string): Buffer => Buffer.from(text, 'hex')
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase()
