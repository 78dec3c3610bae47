import { findSofthsm } from '../../hsm/pkcs11/scratch.ts'

export { scratchToken } from '../../hsm/pkcs11/scratch.ts'
export type { ScratchToken } from '../../hsm/pkcs11/scratch.ts'

/**
 * Why tests on a token cannot run here; undefined when they can. In CI a missing library is a failure and not a
 * reason to skip, so there this throws.
 */
export function softhsmMissing(): string | undefined {
  if (findSofthsm() !== undefined) return undefined
  if (process.env['CI'] === 'true') throw new Error('CI=true and SoftHSM is not installed')
  return 'SoftHSM is not installed (apt-get install softhsm2)'
}
