/**
 * DUKPT with TDES (ANSI X9.24-1:2009 annex A). The token enciphers under the base key; the chain from there is
 * single DES under keys that no PKCS#11 mechanism derives, so these are in this process's memory, in buffers
 * that are wiped.
 */
import type { LoadedKey } from '../key-table.ts'
import { encipher } from '../soft.ts'
import { xorInto } from '../pin-block.ts'
import type { Context } from './context.ts'
import { badRequest } from './request.ts'
import { ownBytes, withSecret } from '../memory.ts'

export type TdesVariant = 'transaction' | 'pin' | 'macRequest' | 'macResponse'

/** X9.24-1:2009 table A-1, for each half. */
const variantMask: Readonly<Record<TdesVariant, Buffer>> = {
  transaction: ownBytes(8),
  pin: Buffer.from('00000000000000FF', 'hex'),
  macRequest: Buffer.from('000000000000FF00', 'hex'),
  macResponse: Buffer.from('00000000FF000000', 'hex'),
}

const c0 = Buffer.from('C0C0C0C000000000C0C0C0C000000000', 'hex')
const counterMask = 0x1fffff
/** The device skips counters with more ones, so such a serial number is not one of its own (A.3). */
const onesMax = 10

/** Lends the key of a key serial number (10 bytes), as one of its variants. Throws `refused` for a bad number. */
export function withTdesKey<Result>(
  context: Context,
  { bdk, ksn, variant }: { readonly bdk: LoadedKey; readonly ksn: Buffer; readonly variant: TdesVariant },
  use: (key: Buffer) => Result,
): Result {
  if (ksn.length !== 10) throw badRequest()
  const counter = ksn.readUIntBE(7, 3) & counterMask
  if (counter === 0 || ones(counter) > onesMax) throw badRequest()
  return withInitialKey(context, bdk, ksn, (key) =>
    withSecret(8, (register) => {
      ksn.copy(register, 0, 2)
      clearCounter(register)
      for (let bit = 1 << 20; bit > 0; bit >>= 1) {
        if ((counter & bit) === 0) continue
        const low = register.readUIntBE(5, 3) | bit
        register.writeUIntBE(low, 5, 3)
        nextKey(key, register)
      }
      xorInto(key.subarray(0, 8), variantMask[variant])
      xorInto(key.subarray(8), variantMask[variant])
      return use(key)
    }),
  )
}

/** The initial key of a device: its serial number without the counter, under the base key and its C0 variant. */
export function withInitialKey<Result>(
  { token }: Context,
  bdk: LoadedKey,
  ksn: Buffer,
  use: (key: Buffer) => Result,
): Result {
  const right = bdk.parts.get('#c0')
  if (right === undefined) throw badRequest()
  return withSecret(16, (key) => {
    const serial = ownBytes(8)
    ksn.copy(serial, 0, 0, 8)
    serial[7]! &= 0xe0
    token.encrypt({ object: bdk.object, mechanism: 'des3-ecb', input: serial, output: key.subarray(0, 8) })
    token.encrypt({ object: right, mechanism: 'des3-ecb', input: serial, output: key.subarray(8) })
    return use(key)
  })
}

function clearCounter(register: Buffer): void {
  register.writeUIntBE(register.readUIntBE(5, 3) & ~counterMask & 0xffffff, 5, 3)
}

/** The non-reversible key generation process (A.2), in place. */
function nextKey(key: Buffer, register: Buffer): void {
  withSecret(16, (masked) => {
    masked.set(key)
    xorInto(masked, c0)
    withSecret(16, (next) => {
      half(masked, register, next.subarray(0, 8))
      half(key, register, next.subarray(8))
      key.set(next)
    })
  })
}

function half(key: Buffer, register: Buffer, out: Buffer): void {
  out.set(register)
  xorInto(out, key.subarray(8))
  const enciphered = encipher({ cipher: 'des3', chaining: 'ecb', key: key.subarray(0, 8), input: out })
  out.set(enciphered)
  enciphered.fill(0)
  xorInto(out, key.subarray(8))
}

function ones(value: number): number {
  let count = 0
  for (let rest = value; rest !== 0; rest &= rest - 1) count++
  return count
}
