/** Message authentication: ISO 9797-1 algorithms 1 and 3, CMAC, HMAC. The key's usage decides the algorithm. */
import { timingSafeEqual } from 'node:crypto'
import { HsmError } from '../fault.ts'
import { cipherOf } from '../key-table.ts'
import type { LoadedKey } from '../key-table.ts'
import type { Usage } from '../key.ts'
import type { SignMechanism, Token } from '../token.ts'
import type { Context } from './context.ts'
import { withAesWorkingKey } from './dukpt-aes.ts'
import type { AesKeyType } from './dukpt-aes.ts'
import { withTdesKey } from './dukpt-tdes.ts'
import { withLent } from './lend.ts'
import { badRequest } from './request.ts'
import { ownBytes, withSecret } from '../memory.ts'

/** ISO 9797-1 section 6.3: zeros; one bit and zeros; the length in front, and zeros. */
export type Padding = 1 | 2 | 3

export interface MacRequest {
  readonly key: string
  readonly data: Buffer
  /** For algorithms 1 and 3. */
  readonly padding: Padding
  /** Leading bytes to keep. */
  readonly bytes: number
  /** With a DUKPT base key: whose message it is, and by which algorithm a TDES key seals. */
  readonly dukpt?: Dukpt
}

export interface Dukpt {
  readonly ksn: Buffer
  readonly direction: 'request' | 'response'
  readonly algorithm: 'retail' | 'cmac'
}

const macUsages: readonly Usage[] = ['M1', 'M3', 'M6', 'M7']

export function generateMac(context: Context, request: MacRequest): Buffer {
  if (request.dukpt !== undefined) {
    return truncated(dukptMac(context, { ...request, dukpt: request.dukpt }), request.bytes)
  }
  refuseVaultKey(request.key)
  const key = context.keys.active(request.key, macUsages, ['C', 'G'])
  return truncated(wholeMac(context.token, key, request.data, request.padding), request.bytes)
}

/** Tries previous versions that are still honoured too: a peer may be a moment behind with a key change. */
export function verifyMac(context: Context, request: Omit<MacRequest, 'bytes'> & { mac: Buffer }): boolean {
  if (request.dukpt !== undefined) {
    const expected = dukptMac(context, { ...request, dukpt: request.dukpt })
    return timingSafeEqual(truncated(expected, request.mac.length), request.mac)
  }
  refuseVaultKey(request.key)
  let verified = false
  for (const key of context.keys.accepted(request.key, macUsages, ['C', 'V'])) {
    const expected = wholeMac(context.token, key, request.data, request.padding)
    verified = timingSafeEqual(truncated(expected, request.mac.length), request.mac) || verified
    expected.fill(0)
  }
  return verified
}

/** With the vault's fingerprint key, anyone could test which card a stored fingerprint is of. */
function refuseVaultKey(ref: string): void {
  if (ref.startsWith('fpk.')) throw new HsmError({ kind: 'refused', why: 'wrongUsage' })
}

/** X9.24-1 annex A and X9.24-3 section 6: each message's own MAC key, one for each way. */
function dukptMac(
  context: Context,
  { key, data, padding, dukpt }: Omit<MacRequest, 'bytes'> & { readonly dukpt: Dukpt },
): Buffer {
  const { ksn, direction, algorithm } = dukpt
  const bdk = context.keys.active(key, ['B0'], ['X'])
  if (cipherOf(bdk.name.algorithm) === 'aes') {
    const rights = { grants: ['sign'], mechanisms: ['aes-cmac'] } as const
    const usage = direction === 'request' ? 'macGenerate' : 'macVerify'
    const type = bdk.name.algorithm as AesKeyType
    return withAesWorkingKey(context, { bdk, ksn, usage, type, ...rights }, (object) =>
      signed(context.token, { object }, { mechanism: 'aes-cmac', data, bytes: 16 }),
    )
  }
  const variant = direction === 'request' ? 'macRequest' : 'macResponse'
  return withTdesKey(context, { bdk, ksn, variant }, (value) =>
    algorithm === 'retail'
      ? lentRetailMac(context, value, padded(data, padding))
      : withLent(context, { kind: 'DES2', value, grants: ['sign'], mechanisms: ['des3-cmac'] }, (object) =>
          signed(context.token, { object }, { mechanism: 'des3-cmac', data, bytes: 8 }),
        ),
  )
}

/** ISO 9797-1 algorithm 3 of whole blocks, under a derived key. */
export function lentRetailMac(context: Context, value: Buffer, blocks: Buffer): Buffer {
  const rights = { kind: 'DES2', grants: ['encrypt'], mechanisms: ['des3-cbc'] } as const
  return withSecret(16, (k1) => {
    k1.set(value.subarray(0, 8), 0)
    k1.set(value.subarray(0, 8), 8)
    return withLent(context, { ...rights, value }, (object) =>
      withLent(context, { ...rights, value: k1 }, (single) =>
        retailMac(context.token, { object, parts: new Map([['#k1', single]]) }, blocks),
      ),
    )
  })
}

function truncated(mac: Buffer, bytes: number): Buffer {
  if (bytes > mac.length) throw badRequest()
  return mac.subarray(0, bytes)
}

function wholeMac(token: Token, key: LoadedKey, data: Buffer, padding: Padding): Buffer {
  const { usage, algorithm } = key.name
  if (usage === 'M1') return chainedMac(token, key, padded(data, padding))
  if (usage === 'M3') return retailMac(token, key, padded(data, padding))
  if (usage === 'M7') return signed(token, key, { mechanism: 'hmac-sha256', data, bytes: 32 })
  return cipherOf(algorithm) === 'aes'
    ? signed(token, key, { mechanism: 'aes-cmac', data, bytes: 16 })
    : signed(token, key, { mechanism: 'des3-cmac', data, bytes: 8 })
}

function signed(
  token: Token,
  { object }: Pick<LoadedKey, 'object'>,
  { mechanism, data, bytes }: { mechanism: SignMechanism; data: Buffer; bytes: number },
): Buffer {
  const output = ownBytes(bytes)
  token.sign({ object, mechanism, data, output })
  return output
}

/** ISO 9797-1 algorithm 1: the last block of the chain. */
function chainedMac(token: Token, { object }: LoadedKey, input: Buffer): Buffer {
  return withSecret(input.length, (output) => {
    token.encrypt({ object, mechanism: 'des3-cbc', input, output })
    return lastBlock(output)
  })
}

/**
 * ISO 9797-1 algorithm 3 of whole blocks: single DES under K1 over all blocks but the last, then the last under
 * K1‖K2, chained to it. `key` has K1‖K1 as its part `#k1`.
 */
export function retailMac(token: Token, key: Pick<LoadedKey, 'object' | 'parts'>, input: Buffer): Buffer {
  // One object that may sign is of a token whose vendor has this MAC as a mechanism.
  if (!key.parts.has('#k1') && input.length > 8) {
    return signed(token, key, { mechanism: 'retail-mac', data: input, bytes: 8 })
  }
  const headBytes = input.length - 8
  return withSecret(input.length, (output) => {
    const iv = ownBytes(8)
    if (headBytes > 0) {
      const head = output.subarray(0, headBytes)
      const single = key.parts.get('#k1')
      if (single === undefined) throw badRequest()
      token.encrypt({
        object: single,
        mechanism: 'des3-cbc',
        input: input.subarray(0, headBytes),
        output: head,
      })
      head.copy(iv, 0, headBytes - 8)
    }
    const tail = output.subarray(headBytes)
    token.encrypt({
      object: key.object,
      mechanism: 'des3-cbc',
      iv,
      input: input.subarray(headBytes),
      output: tail,
    })
    iv.fill(0)
    return lastBlock(output)
  })
}

function lastBlock(output: Buffer): Buffer {
  const mac = ownBytes(8)
  output.copy(mac, 0, output.length - 8)
  return mac
}

export function padded(data: Buffer, padding: Padding): Buffer {
  switch (padding) {
    case 1:
      return filled(data, 0, Math.max(8, Math.ceil(data.length / 8) * 8))
    case 2: {
      const out = filled(data, 0, (Math.floor(data.length / 8) + 1) * 8)
      out[data.length] = 0x80
      return out
    }
    case 3: {
      const out = filled(data, 8, 8 + Math.ceil(data.length / 8) * 8)
      out.writeBigUInt64BE(BigInt(data.length) * 8n)
      return out
    }
  }
}

function filled(data: Buffer, at: number, bytes: number): Buffer {
  const out = ownBytes(bytes)
  data.copy(out, at)
  return out
}
