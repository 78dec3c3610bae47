/**
 * `bytes` zeros in memory of their own. Small arrays made in the usual way live inside the engine's heap until
 * native code wants them, and are then moved out: a copy stays behind, that no `fill(0)` reaches.
 */
export function ownBytes(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes))
}

const shelf = new ArrayBuffer(16_384)
let taken = 0

/**
 * Runs `use` with a buffer of zeros that is wiped afterwards, whatever happens. `use` must be done when it returns: the
 * same place is then another's. So secrets lie in one place that is made once, and leave nothing to be collected.
 */
export function withSecret<Result>(bytes: number, use: (secret: Buffer) => Result): Result {
  const from = taken
  const fits = bytes <= shelf.byteLength - from
  const secret = fits ? Buffer.from(shelf, from, bytes) : ownBytes(bytes)
  if (fits) taken += bytes
  try {
    return use(secret)
  } finally {
    secret.fill(0)
    taken = from
  }
}
