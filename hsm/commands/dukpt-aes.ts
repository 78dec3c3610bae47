/**
 * DUKPT with AES (ANSI X9.24-3:2017). Keys of 128 bits are derived inside the token and never seen; longer ones
 * take two blocks, which PKCS#11 can only chain, so the blocks pass through this process in a buffer that is wiped.
 */
import type { LoadedKey } from '../key-table.ts'
import type { Grant, Mechanism } from '../objects.ts'
import type { TokenObject } from '../token.ts'
import type { Context } from './context.ts'
import { badRequest } from './request.ts'
import { ownBytes, withSecret } from '../memory.ts'

/** X9.24-3:2017 section 6.3.2: what a working key is for. */
export const aesUsages = {
  pin: 0x1000,
  macGenerate: 0x2000,
  macVerify: 0x2001,
  macBoth: 0x2002,
  dataEncrypt: 0x3000,
  dataDecrypt: 0x3001,
  dataBoth: 0x3002,
} as const

export type AesUsage = keyof typeof aesUsages
export type AesKeyType = 'AES-128' | 'AES-192' | 'AES-256'

const derivation = 0x8000
const initialKey = 0x8001
const algorithmIndicator = { 'AES-128': 2, 'AES-192': 3, 'AES-256': 4 } as const
const bitsOf = { 'AES-128': 128, 'AES-192': 192, 'AES-256': 256 } as const
/** A device skips counters with more ones (section 6.1). */
const onesMax = 16

interface Rights {
  readonly grants: readonly Grant[]
  readonly mechanisms: readonly Mechanism[]
}

const derives: Rights = { grants: ['derive'], mechanisms: ['aes-cbc-derive'] }

export interface AesWorkingKey extends Rights {
  readonly bdk: LoadedKey
  /** Initial key id (8 bytes) and counter (4). */
  readonly ksn: Buffer
  readonly usage: AesUsage
  readonly type: AesKeyType
}

/** Lends the working key of a key serial number. Throws `refused` for a number no device makes. */
export function withAesWorkingKey<Result>(
  context: Context,
  { bdk, ksn, usage, type, grants, mechanisms }: AesWorkingKey,
  use: (key: TokenObject) => Result,
): Result {
  return withAesTransactionKey(context, { bdk, ksn, ...derives }, (transaction, counter) => {
    const data = derivationData({ usage: aesUsages[usage], type, ksn, counter })
    return withDerived(context, { from: transaction, data, type, grants, mechanisms }, use)
  })
}

/** Lends the transaction key itself; outside this file only known-answer tests ask for it. */
export function withAesTransactionKey<Result>(
  context: Context,
  { bdk, ksn, ...rights }: Rights & { readonly bdk: LoadedKey; readonly ksn: Buffer },
  use: (key: TokenObject, counter: number) => Result,
): Result {
  if (ksn.length !== 12) throw badRequest()
  const counter = ksn.readUInt32BE(8)
  const bits = Array.from({ length: 32 }, (_, index) => 2 ** (31 - index)).filter(
    (bit) => Math.floor(counter / bit) % 2 === 1,
  )
  if (bits.length === 0 || bits.length > onesMax) throw badRequest()
  const type = bdk.name.algorithm as AesKeyType
  const step = (from: TokenObject, index: number, working: number): Result => {
    const bit = bits[index]
    if (bit === undefined) return use(from, counter)
    const data = derivationData({ usage: derivation, type, ksn, counter: working + bit })
    const last = index === bits.length - 1
    return withDerived(context, { from, data, type, ...(last ? rights : derives) }, (next) =>
      step(next, index + 1, working + bit),
    )
  }
  return withAesInitialKey(context, { bdk, ksn, ...derives }, (initial) => step(initial, 0, 0))
}

export function withAesInitialKey<Result>(
  context: Context,
  { bdk, ksn, ...rights }: Rights & { readonly bdk: LoadedKey; readonly ksn: Buffer },
  use: (key: TokenObject) => Result,
): Result {
  const type = bdk.name.algorithm as AesKeyType
  const data = derivationData({ usage: initialKey, type, ksn, counter: 0 })
  ksn.copy(data, 8, 0, 8)
  return withDerived(context, { from: bdk.object, data, type, ...rights }, use)
}

/** Section 6.3.3: version, block, usage, algorithm, length; then half of the initial key id, and the counter. */
function derivationData({
  usage,
  type,
  ksn,
  counter,
}: {
  readonly usage: number
  readonly type: AesKeyType
  readonly ksn: Buffer
  readonly counter: number
}): Buffer {
  const data = ownBytes(16)
  data[0] = 1
  data[1] = 1
  data.writeUInt16BE(usage, 2)
  data.writeUInt16BE(algorithmIndicator[type], 4)
  data.writeUInt16BE(bitsOf[type], 6)
  ksn.copy(data, 8, 4, 8)
  data.writeUInt32BE(counter, 12)
  return data
}

function withDerived<Result>(
  { token }: Context,
  request: Rights & { readonly from: TokenObject; readonly data: Buffer; readonly type: AesKeyType },
  use: (key: TokenObject) => Result,
): Result {
  const { from, data, type, grants, mechanisms } = request
  const object = { label: 'derived', id: 'derived', kind: 'AES', grants, mechanisms } as const
  const key =
    type === 'AES-128'
      ? token.derive({ from, data, object })
      : withSecret(32, (value) => {
          token.deriveBytes({ from, data, output: value.subarray(0, 16) })
          const second = Buffer.from(data)
          second[1] = 2
          token.deriveBytes({ from, data: second, output: value.subarray(16) })
          return token.lend({ ...object, value: value.subarray(0, bitsOf[type] / 8) })
        })
  try {
    return use(key)
  } finally {
    token.forget(key)
  }
}
