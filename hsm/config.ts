/** What the HSM process is told when it starts: one line of JSON on its standard input, so not in `ps` or `env`. */
export interface ProcessConfig {
  readonly driver: 'pkcs11' | 'twin'
  readonly module?: string
  readonly tokenLabel?: string
  readonly pinFile?: string
  readonly keyFile?: string
  readonly vaultDatabaseUrl: string
  readonly environment: string
  readonly allowInsecureDriver: boolean
  readonly actor: string
  /** What callers wait at most; the database is given a little less. */
  readonly deadlineMs: number
  /** Unix socket of the client that started the process, and a word that shows it is this process that calls. */
  readonly socket: string
  readonly secret: string
}

export type StartFault =
  | 'badConfig'
  | 'moduleNotFound'
  | 'noToken'
  | 'loginRefused'
  | 'badKeys'
  | 'insecureInProduction'
  | 'selfTestFailed'

/** The exit code tells the parent why a process would not start, and whether trying again can help. */
export const startExit: Readonly<Record<StartFault, { readonly code: number; readonly permanent: boolean }>> =
  {
    badConfig: { code: 64, permanent: true },
    moduleNotFound: { code: 65, permanent: true },
    noToken: { code: 66, permanent: false },
    // A real token locks after a few wrong PINs: nobody but a person tries again.
    loginRefused: { code: 67, permanent: true },
    badKeys: { code: 68, permanent: true },
    insecureInProduction: { code: 69, permanent: true },
    selfTestFailed: { code: 71, permanent: false },
  }

/** The process ended itself because the token failed as a whole. */
export const deviceLostExit = 75

export class StartError extends Error {
  readonly fault: StartFault

  constructor(fault: StartFault) {
    super(`the HSM process does not start: ${fault}`)
    this.name = 'StartError'
    this.fault = fault
  }
}

export function startFaultOf(exitCode: number | null): StartFault | undefined {
  for (const [fault, { code }] of Object.entries(startExit)) if (code === exitCode) return fault as StartFault
  return undefined
}
