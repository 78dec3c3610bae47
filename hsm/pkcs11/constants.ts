import type { Mechanism } from '../objects.ts'
import { TokenError } from '../token.ts'

/** PKCS#11 mechanism numbers (OASIS PKCS #11 v2.40 and v3.0). */
export const ckm: Readonly<Record<Exclude<Mechanism, 'retail-mac'>, number>> = {
  'des3-ecb': 0x132,
  'des3-cbc': 0x133,
  'des3-cmac': 0x138,
  'aes-ecb': 0x1081,
  'aes-cbc': 0x1082,
  'aes-gcm': 0x1087,
  'aes-cmac': 0x108a,
  'hmac-sha256': 0x251,
  'aes-wrap': 0x2109,
  'aes-wrap-pad': 0x210a,
  'aes-cbc-derive': 0x1105,
  ecdsa: 0x1041,
}

/** What the standard calls an unknown mechanism. */
export const mechanismInvalid = 0x70

/** The number from whichever form the binding threw; 0 for an error that is not the token's. */
export function tokenError(error: unknown): TokenError {
  if (error instanceof TokenError) return error
  if (error instanceof Error && 'code' in error && typeof error.code === 'number') {
    return new TokenError(error.code)
  }
  // Some calls throw the native error itself, with `CKR_x:16` in its text.
  const match = error instanceof Error ? /CKR_\w+:(\d+)/.exec(error.message) : null
  return new TokenError(match === null ? 0 : Number(match[1]))
}
