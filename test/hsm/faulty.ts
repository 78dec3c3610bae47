/** A token whose library misbehaves on demand (`proxy.c`). */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ScratchToken } from '../support/softhsm.ts'

const compiler = process.env['CC'] ?? 'gcc'

export interface FaultyModule {
  readonly module: string
  /** `none`, `slow MS`, `hang SECONDS`, `error CODE`, `half CODE`, `crash`, `unsigned CODE`. */
  fault(what: string): void
  logins(): number
}

/** Why the proxy cannot be compiled here; undefined when it can. */
export function compilerMissing(): string | undefined {
  try {
    execFileSync(compiler, ['--version'], { stdio: 'ignore' })
    return undefined
  } catch {
    if (process.env['CI'] === 'true') throw new Error('CI=true and there is no gcc')
    return 'there is no C compiler (apt-get install gcc)'
  }
}

export function faultyModule(token: ScratchToken): FaultyModule {
  const module = join(token.folder, 'proxy.so')
  const [fault, logins] = [join(token.folder, 'fault'), join(token.folder, 'logins')]
  execFileSync(compiler, [
    ...['-shared', '-fPIC', '-O1', '-o', module, join(import.meta.dirname, 'proxy.c'), '-ldl'],
    ...[`-DREAL="${token.module}"`, `-DFAULT="${fault}"`, `-DLOGINS="${logins}"`],
  ])
  return {
    module,
    fault: (what) => writeFileSync(fault, what),
    logins: () => (existsSync(logins) ? readFileSync(logins, 'utf8').split('\n').length - 1 : 0),
  }
}

/** By a process of its own, as another program would. */
export function destroyOn(token: ScratchToken, label: string): void {
  execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { openPkcs11Token } from ${JSON.stringify(join(import.meta.dirname, '../../hsm/pkcs11/token.ts'))}
       const token = await openPkcs11Token(${JSON.stringify(token)})
       token.destroy(${JSON.stringify(label)})`,
    ],
    { env: { ...process.env, SOFTHSM2_CONF: token.softhsmConf } },
  )
}
