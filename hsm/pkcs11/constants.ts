import type { Mechanism } from '../objects.ts'
import { TokenError } from '../token.ts'

/** PKCS#11 mechanism numbers (OASIS PKCS #11 v2.40 and v3.0). */
export const ckm: Readonly<Record<Mechanism, number>> = {
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

/** What to do about a refusal: answer it, find the objects again, open another session, or end the process. */
export type ErrorClass = 'data' | 'handle' | 'session' | 'device'

const classes: Readonly<Record<number, ErrorClass>> = {
  0x07: 'data', // ARGUMENTS_BAD
  0x20: 'data', // DATA_INVALID
  0x21: 'data', // DATA_LEN_RANGE
  0x40: 'data', // ENCRYPTED_DATA_INVALID
  0x41: 'data', // ENCRYPTED_DATA_LEN_RANGE
  0x62: 'data', // KEY_SIZE_RANGE
  0x63: 'data', // KEY_TYPE_INCONSISTENT
  0x68: 'data', // KEY_FUNCTION_NOT_PERMITTED
  0x70: 'data', // MECHANISM_INVALID
  0x71: 'data', // MECHANISM_PARAM_INVALID
  0xc0: 'data', // SIGNATURE_INVALID
  0xc1: 'data', // SIGNATURE_LEN_RANGE
  0xd0: 'data', // TEMPLATE_INCOMPLETE
  0xd1: 'data', // TEMPLATE_INCONSISTENT
  0x10: 'data', // ATTRIBUTE_READ_ONLY
  0x13: 'data', // ATTRIBUTE_VALUE_INVALID
  0x110: 'data', // WRAPPED_KEY_INVALID
  0x112: 'data', // WRAPPED_KEY_LEN_RANGE
  0x60: 'handle', // KEY_HANDLE_INVALID
  0x82: 'handle', // OBJECT_HANDLE_INVALID
  0x90: 'session', // OPERATION_ACTIVE
  0x91: 'session', // OPERATION_NOT_INITIALIZED
  0xb0: 'session', // SESSION_CLOSED
  0xb1: 'session', // SESSION_COUNT
  0xb3: 'session', // SESSION_HANDLE_INVALID
}

/** A code that nobody foresaw is the device's: then the process ends and a fresh one starts. */
export function classOf(code: number): ErrorClass {
  return classes[code] ?? 'device'
}
