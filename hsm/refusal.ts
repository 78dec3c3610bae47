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
  0x6a: 'data', // KEY_UNEXTRACTABLE
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
