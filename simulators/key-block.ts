import { createCipheriv, randomBytes } from 'node:crypto'
import { aesCmac, type TestKey } from './keys.ts'

/**
 * A key on its way to a peer, sealed under a key that both ends hold: a key block of version D (ANSI X9.143, AES). Apart
 * from the HSM room's on purpose, as all of the simulators' cryptography is.
 */
export function keyBlock(kbpk: TestKey, key: TestKey, { usage, mode }: KeyBlockPurpose): string {
  const clear = Buffer.concat([bits(key.value.length), key.value])
  const padded = Buffer.concat([clear, randomBytes(48 - clear.length)])
  const algorithm = key.algorithm.startsWith('AES') ? 'A' : 'T'
  const header = `D${(16 + 2 * (padded.length + 16)).toString().padStart(4, '0')}${usage}${algorithm}${mode}00N0000`
  const mac = aesCmac(derived(kbpk.value, 1), Buffer.concat([Buffer.from(header, 'latin1'), padded]))
  const sealing = derived(kbpk.value, 0)
  const cipher = createCipheriv(`aes-${sealing.length * 8}-cbc`, sealing, mac).setAutoPadding(false)
  const sealed = Buffer.concat([cipher.update(padded), cipher.final()])
  return header + Buffer.concat([sealed, mac]).toString('hex').toUpperCase()
}

export interface KeyBlockPurpose {
  /** P0 for PINs; M3 and M6 for seals. */
  readonly usage: string
  readonly mode: string
}

/** X9.143 5.3.2.3: CMACs over a counter, a purpose (0 seals the key, 1 the block) and a length. */
function derived(kbpk: Buffer, purpose: number): Buffer {
  const indicator = { 16: 2, 24: 3, 32: 4 }[kbpk.length] ?? 2
  const parts = [1, 2].map((counter) =>
    aesCmac(kbpk, Buffer.from([counter, 0, purpose, 0, 0, indicator, ...bits(kbpk.length)])),
  )
  return Buffer.concat(parts).subarray(0, kbpk.length)
}

function bits(bytes: number): Buffer {
  const out = Buffer.alloc(2)
  out.writeUInt16BE(bytes * 8)
  return out
}
