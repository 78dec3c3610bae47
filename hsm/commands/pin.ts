/** PIN translation. No text is made of a PIN here, nothing is logged, and nothing awaits: see `pin-block.ts`. */
import { HsmError } from '../fault.ts'
import { cipherOf } from '../key-table.ts'
import type { LoadedKey } from '../key-table.ts'
import {
  panField4,
  pinBlockBytes,
  pinBufferBytes,
  randomBytesNeeded,
  readPinBlock,
  writePinBlock,
  xorInto,
} from '../pin-block.ts'
import type { PinFormat } from '../pin-block.ts'
import type { TokenObject } from '../token.ts'
import type { Context } from './context.ts'
import { withAesWorkingKey } from './dukpt-aes.ts'
import type { AesKeyType } from './dukpt-aes.ts'
import { withTdesKey } from './dukpt-tdes.ts'
import { withLent } from './lend.ts'
import { ownBytes, withSecret } from '../memory.ts'

export interface PinSource {
  /** A PIN key; or, with a key serial number, a DUKPT base key. */
  readonly key: string
  readonly ksn?: Buffer
  readonly format: PinFormat
  readonly block: Buffer
}

export interface PinTarget {
  readonly key: string
  readonly format: PinFormat
}

/**
 * PCI PIN Security v3.1 requirement 3-3: a block that is bound to a PAN stays bound to that PAN. Format 2 is for
 * chip cards only, and is neither read nor written here.
 */
const allowedTargets: Readonly<Record<PinFormat, readonly PinFormat[]>> = {
  0: [0, 3, 4],
  1: [0, 1, 3, 4],
  2: [],
  3: [0, 3, 4],
  4: [0, 3, 4],
}

/** Throws `HsmError`: `refused` for keys, formats or lengths; `pinBlock` for whatever is wrong with the block itself. */
export function translatePin(
  context: Context,
  { source, target, pan }: { readonly source: PinSource; readonly target: PinTarget; readonly pan: string },
): Buffer {
  if (!allowedTargets[source.format].includes(target.format)) {
    throw new HsmError({ kind: 'refused', why: 'badRequest' })
  }
  const to = pinKey(context, target, 'E')
  return withPin(context, { source, pan }, (pin) => sealPin(context, { to, format: target.format, pan, pin }))
}

/** Opens a PIN block and lends its PIN (see `pin-block.ts`) to `use`; the PIN is wiped when `use` returns. */
export function withPin<Result>(
  context: Context,
  { source, pan }: { readonly source: PinSource; readonly pan: string },
  use: (pin: Buffer) => Result,
): Result {
  if (source.block.length !== pinBlockBytes(source.format)) throw new HsmError({ kind: 'pinBlock' })
  return withOpener(context, source, (object) =>
    withSecret(pinBlockBytes(source.format), (clear) =>
      withSecret(pinBufferBytes, (pin) => {
        openBlock(context, object, { block: source.block, format: source.format, pan, clear })
        if (!readPinBlock(source.format, clear, pan, pin)) throw new HsmError({ kind: 'pinBlock' })
        return use(pin)
      }),
    ),
  )
}

/** One key, never several in turn: see `docs/decisions/0020-whose-key-a-pin-is-under.md`. */
function withOpener<Result>(
  context: Context,
  source: PinSource,
  use: (object: TokenObject) => Result,
): Result {
  const { key, ksn, format } = source
  if (ksn !== undefined) return withDukptPinKey(context, { key, ksn, format, grant: 'decrypt' }, use)
  return use(pinKey(context, source, 'D').object)
}

export interface DukptPinKey {
  readonly key: string
  readonly ksn: Buffer
  readonly format: PinFormat
  readonly grant: 'encrypt' | 'decrypt'
}

/** Lends the PIN key of a key serial number: TDES for the formats of eight bytes, AES for format 4. */
export function withDukptPinKey<Result>(
  context: Context,
  { key, ksn, format, grant }: DukptPinKey,
  use: (object: TokenObject) => Result,
): Result {
  const bdk = context.keys.active(key, ['B0'], ['X'])
  if (cipherOf(bdk.name.algorithm) !== (format === 4 ? 'aes' : 'des3')) throw wrongUsage()
  if (format === 4) {
    const type = bdk.name.algorithm as AesKeyType
    const rights = { grants: [grant], mechanisms: ['aes-cbc', 'aes-ecb'] } as const
    return withAesWorkingKey(context, { bdk, ksn, usage: 'pin', type, ...rights }, use)
  }
  return withTdesKey(context, { bdk, ksn, variant: 'pin' }, (value) =>
    withLent(context, { kind: 'DES2', value, grants: [grant], mechanisms: ['des3-cbc'] }, use),
  )
}

function pinKey(context: Context, { key, format }: PinTarget, mode: 'D' | 'E'): LoadedKey {
  // What opens may be a previous version, when the caller names it; what seals is the active one.
  const loaded =
    mode === 'D' ? context.keys.named(key, ['P0'], ['D']) : context.keys.active(key, ['P0'], ['E'])
  const cipher = cipherOf(loaded.name.algorithm)
  if (cipher !== (format === 4 ? 'aes' : 'des3')) throw wrongUsage()
  return loaded
}

function openBlock(
  { token }: Context,
  object: TokenObject,
  { block, format, pan, clear }: { block: Buffer; format: PinFormat; pan: string; clear: Buffer },
): void {
  if (format !== 4) {
    token.decrypt({ object, mechanism: 'des3-cbc', input: block, output: clear })
    return
  }
  // ISO 9564-1 section 9.4.3.3. The exclusive or with the PAN field is the chaining of one CBC block.
  withSecret(16, (inner) => {
    token.decrypt({ object, mechanism: 'aes-cbc', iv: panField4(pan), input: block, output: inner })
    token.decrypt({ object, mechanism: 'aes-ecb', input: inner, output: clear })
  })
}

function wrongUsage(): HsmError {
  return new HsmError({ kind: 'refused', why: 'wrongUsage' })
}

export interface PinSealing {
  readonly to: Pick<LoadedKey, 'object'>
  readonly format: PinFormat
  readonly pan: string
  readonly pin: Buffer
}

export function sealPin(context: Context, { to, format, pan, pin }: PinSealing): Buffer {
  return withSecret(pinBlockBytes(format), (clear) => {
    withSecret(randomBytesNeeded(format), (random) => {
      if (random.length > 0) context.random(random)
      writePinBlock(format, { pin, pan, random }, clear)
    })
    const block = ownBytes(clear.length)
    if (format !== 4) {
      context.token.encrypt({ object: to.object, mechanism: 'des3-cbc', input: clear, output: block })
      return block
    }
    return withSecret(16, (inner) => {
      context.token.encrypt({ object: to.object, mechanism: 'aes-ecb', input: clear, output: inner })
      xorInto(inner, panField4(pan))
      context.token.encrypt({ object: to.object, mechanism: 'aes-ecb', input: inner, output: block })
      return block
    })
  })
}
