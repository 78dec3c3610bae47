/** The functions that vectors name, each by the command that answers it. */
import { generateCardValue } from './commands/card.ts'
import type { Context } from './commands/context.ts'
import { withAesInitialKey, withAesTransactionKey, withAesWorkingKey } from './commands/dukpt-aes.ts'
import type { AesKeyType, AesUsage } from './commands/dukpt-aes.ts'
import { withInitialKey, withTdesKey } from './commands/dukpt-tdes.ts'
import { arpc1, arpc2, arqcOf, cvc3, scriptMac, withApplicationKey, withCardKey } from './commands/emv.ts'
import { generateMac } from './commands/mac.ts'
import type { Padding } from './commands/mac.ts'
import { offsetOf, pvvOf, withPinOfOffset } from './commands/pin-verify.ts'
import { sealPin, translatePin, withDukptPinKey, withPin } from './commands/pin.ts'
import { withKeyBlock } from './commands/tr31.ts'
import { HsmError } from './fault.ts'
import { legacyKcv } from './kcv.ts'
import { KeyTable } from './key-table.ts'
import type { LoadedKey } from './key-table.ts'
import type { Algorithm } from './key.ts'
import { clearKey } from './keys.ts'
import { objectsOf } from './objects.ts'
import type { Grant, Mechanism, ObjectKind } from './objects.ts'
import {
  panField4,
  pinBlockBytes,
  pinBufferBytes,
  readPinBlock,
  setPinLength,
  writePinBlock,
} from './pin-block.ts'
import type { PinFormat } from './pin-block.ts'
import { encipher } from './soft.ts'
import type { Token, TokenObject } from './token.ts'

interface PinSide {
  readonly format: PinFormat
  readonly key: string
  readonly block: string
  readonly random?: string
}

/** What vectors have, each its part of it: bytes are hexadecimal. A vector without what its function needs fails. */
export interface Inputs extends Readonly<Record<TextInput, string>> {
  readonly pan: string
  readonly in: PinSide & { readonly pan: string }
  readonly out: PinSide & { readonly pan?: string }
  readonly format: PinFormat
  readonly padding?: Padding
  readonly direction: 'request' | 'response'
  readonly option: 'A' | 'B'
  readonly panOffset: number
  readonly panLength: number
  readonly macLength?: number
  readonly r?: string
}

type TextInput =
  | 'algorithm'
  | 'arc'
  | 'arpcKey'
  | 'arqc'
  | 'atc'
  | 'bdk'
  | 'block'
  | 'command'
  | 'csu'
  | 'cvk'
  | 'data'
  | 'decimalisationTable'
  | 'encryptedBlock'
  | 'expiry'
  | 'ikid'
  | 'imk'
  | 'kbpk'
  | 'kek'
  | 'key'
  | 'keyType'
  | 'keyblock'
  | 'ksn'
  | 'offset'
  | 'panPad'
  | 'pin'
  | 'psn'
  | 'pvk'
  | 'pvki'
  | 'random'
  | 'serviceCode'
  | 'sessionKey'
  | 'track'
  | 'un'
  | 'usage'

/** The keys of one vector, on the token for as long as it runs. */
export class Kit {
  readonly token: Token
  readonly #lent: TokenObject[] = []

  constructor(token: Token) {
    this.token = token
  }

  /** A key as its reference and algorithm make it. */
  key(ref: string, algorithm: Algorithm, value: string): LoadedKey {
    const key = clearKey({ ref, version: 1, algorithm, value: bytes(value) })
    for (const object of objectsOf(key)) this.#lent.push(this.token.lend(object))
    return new KeyTable(this.#lent).version(ref, 1)!
  }

  /** A bare object, for what is below the commands. */
  object(
    kind: ObjectKind,
    value: string,
    rights: { grants: Grant[]; mechanisms: Mechanism[]; extractable?: true },
  ) {
    const object = this.token.lend({ label: 'bare', id: 'bare', kind, value: bytes(value), ...rights })
    this.#lent.push(object)
    return object
  }

  /** What the commands work with; `random` is what the vector has in place of chance. */
  context(random?: string): Context {
    return {
      token: this.token,
      keys: new KeyTable(this.#lent),
      random: (output) => void bytes(random ?? '').copy(output),
    }
  }

  forgetAll(): void {
    for (const object of this.#lent) this.token.forget(object)
  }
}

type Answer = Readonly<Record<string, unknown>>
type Run = (kit: Kit, inputs: Inputs, expected: Readonly<Record<string, string>>) => Answer

/** By the vectors' own names. */
export const functions: Readonly<Record<string, Run>> = {
  'pinblock.encode': (_, { format, pin, pan }) => ({ block: hex(clearBlock(format, pin, pan)) }),
  'pinblock.decode': (_, { format, block, pan }) => {
    const pin = Buffer.alloc(pinBufferBytes)
    return { pin: readPinBlock(format, bytes(block), pan, pin) ? pinText(pin) : 'refused' }
  },
  'pinblock.panField4': (_, { pan }) => ({ field: hex(panField4(pan)) }),
  'pinblock.encipher4': (kit, { key, pin, pan, random }) => {
    const to = kit.key('zpk.test.out', aesOf(key), key)
    return { block: hex(sealPin(kit.context(random), { to, format: 4, pan, pin: pinOf(pin) })) }
  },
  'pin.translate': (kit, inputs) => ({ block: hex(translated(kit, inputs)) }),
  'pin.translate.reject': (kit, inputs, expected) => {
    const { pan } = inputs.out
    // A change of PAN cannot be asked for at our door: the one PAN is the block's, and the other does not open it.
    const asked = pan === undefined ? inputs : { ...inputs, in: { ...inputs.in, pan } }
    return { rejected: refuses(() => translated(kit, asked)), reason: expected['reason'] }
  },
  'pin.ibm3624.pin': (kit, inputs) => {
    const key = kit.key('ibm.test.both', 'DES2', inputs.pvk)
    const method = { decimalisation: inputs.decimalisationTable, validation: validationOf(inputs) }
    return {
      pin: withPinOfOffset(kit.context(), key, { ...method, offset: inputs.offset }, (pin) =>
        [...pin.subarray(0, inputs.offset.length)].join(''),
      ),
    }
  },
  'pin.ibm3624.offset': (kit, inputs) => {
    const key = kit.key('ibm.test.both', 'DES2', inputs.pvk)
    const method = { decimalisation: inputs.decimalisationTable, validation: validationOf(inputs) }
    return { offset: offsetOf(kit.context(), key, { ...method, pin: pinOf(inputs.pin) }) }
  },
  'pin.visaPvv': (kit, { pvk, pvki, pin, pan }) => {
    const key = kit.key('pvk.test.both', 'DES2', pvk)
    return { pvv: pvvOf(kit.context(), key, { pin: pinOf(pin), pan, keyIndex: Number(pvki) }) }
  },
  'card.cvv': cardValue('cvv'),
  'card.cvv2': cardValue('cvv2'),
  'card.icvv': cardValue('icvv'),
  'card.cvc3': (kit, { imk, pan, psn, track, atc, un }) => {
    kit.key('imkdn.test.both', 'DES2', imk)
    return {
      last3: cvc3(kit.context(), {
        key: 'imkdn.test.both',
        option: 'A',
        pan,
        sequence: psn,
        track: bytes(track),
        counter: bytes(atc),
        challenge: bytes(un),
      }),
    }
  },
  'mac.iso9797_1.des': mac('mac1', (key) => ({ algorithm: 'DES2', value: key + key })),
  'mac.iso9797_1.tdes': mac('mac1', desKey),
  'mac.iso9797_3': mac('mac3', desKey),
  'mac.cmac.aes': mac('cmac', (key) => ({ algorithm: aesOf(key), value: key })),
  'mac.cmac.tdes': mac('cmac', desKey),
  'mac.hmac.sha256': mac('hmac', (key) => ({ algorithm: 'HMAC', value: key })),
  'key.kcv.legacy': (kit, { algorithm, key }) => {
    const cipher = algorithm === 'AES' ? 'aes' : 'des3'
    const kind = cipher === 'aes' ? 'AES' : key.length === 48 ? 'DES3' : 'DES2'
    const object = kit.object(kind, key, { grants: ['encrypt'], mechanisms: [`${cipher}-ecb`] })
    const output = Buffer.alloc(cipher === 'aes' ? 16 : 8)
    kit.token.encrypt({ object, mechanism: `${cipher}-ecb`, input: Buffer.alloc(output.length), output })
    const kcv = hex(output.subarray(0, 3))
    return { kcv: kcv === legacyKcv(cipher, bytes(key)) ? kcv : 'the tool’s own differs' }
  },
  'key.kcv.cmac': (kit, { key }) => {
    const object = kit.object('AES', key, { grants: ['sign'], mechanisms: ['aes-cmac'] })
    const output = Buffer.alloc(16)
    kit.token.sign({ object, mechanism: 'aes-cmac', data: Buffer.alloc(16), output })
    return { kcv: hex(output.subarray(0, 5)) }
  },
  'key.aesWrap': (kit, { kek, key }) => {
    const wrapping = kit.object('AES', kek, { grants: ['wrap'], mechanisms: ['aes-wrap'] })
    const object = kit.object('AES', key, { grants: [], mechanisms: ['aes-wrap'], extractable: true })
    return { wrapped: hex(kit.token.wrap({ kek: wrapping, object, mechanism: 'aes-wrap' })) }
  },
  // SoftHSM fills a key up to whole eights before it wraps it, so only its unwrapping is RFC 5649's for other lengths.
  'key.aesWrapPad': (kit, { kek, key }, { wrapped }) => {
    const unwrapping = kit.object('AES', kek, { grants: ['unwrap'], mechanisms: ['aes-wrap-pad'] })
    const unwrapped = kit.token.unwrapBytes({ kek: unwrapping, wrapped: bytes(wrapped!) })
    return { wrapped: hex(unwrapped) === key ? wrapped : 'unwraps to another key' }
  },
  'emv.icckey': (kit, inputs) => {
    const card = cardKey(kit, 'imkac', inputs)
    return { kcv: withCardKey(kit.context(), card, ['E0'], (key) => legacyKcv('des3', key).slice(0, 4)) }
  },
  'emv.sessionkey': (kit, inputs) => ({ kcv: sessionKcv(kit, inputs) }),
  'emv.arqc': (kit, inputs) => {
    const data = { data: bytes(inputs.data), padding: inputs.padding ?? 1 }
    const skKcv = inputs.sessionKey === 'none' ? undefined : sessionKcv(kit, inputs)
    cardKey(kit, 'imkac', inputs)
    return { skKcv, arqc: hex(arqcOf(kit.context(), { ...sessionKey(inputs), ...data })) }
  },
  'emv.arpc1': (kit, inputs) => {
    cardKey(kit, 'imkac', inputs)
    const under = inputs.arpcKey === 'session key' ? 'session' : 'card'
    const answer = { arqc: bytes(inputs.arqc), responseCode: bytes(inputs.arc), under } as const
    return { arpc: hex(arpc1(kit.context(), { ...sessionKey(inputs), ...answer })) }
  },
  'emv.arpc2': (kit, inputs) => {
    cardKey(kit, 'imkac', inputs)
    const answer = { arqc: bytes(inputs.arqc), statusUpdate: bytes(inputs.csu), proprietary: bytes('') }
    return { arpc: hex(arpc2(kit.context(), { ...sessionKey(inputs), ...answer })) }
  },
  'emv.scriptMac': (kit, inputs) => {
    const card = cardKey(kit, 'imksmi', inputs)
    const session = { ...card, diversifier: bytes(inputs.r ?? '') }
    return { mac: hex(scriptMac(kit.context(), { ...session, data: bytes(inputs.command), bytes: 8 })) }
  },
  'dukpt.tdes.ik': (kit, { bdk, ksn }) => {
    const key = kit.key('bdk.test.both', 'DES2', bdk)
    return { ik: withInitialKey(kit.context(), key, bytes(ksn), hex) }
  },
  'dukpt.tdes.txnKey': (kit, { bdk, ksn }) => {
    const key = kit.key('bdk.test.both', 'DES2', bdk)
    return { key: withTdesKey(kit.context(), { bdk: key, ksn: bytes(ksn), variant: 'transaction' }, hex) }
  },
  'dukpt.tdes.pin': (kit, { bdk, ksn, pin, pan, format }, expected) => {
    kit.key('bdk.test.both', 'DES2', bdk)
    return dukptPin(kit, { ksn, pin, pan, format, block: expected['encryptedBlock']!, random: '' })
  },
  'dukpt.tdes.mac': dukptMac('retail'),
  'dukpt.tdes.cmac': dukptMac('cmac'),
  'dukpt.aes.ik': (kit, { bdk, ikid }, expected) => {
    const key = kit.key('bdk.test.both', aesOf(bdk), bdk)
    const request = { bdk: key, ksn: bytes(`${ikid}00000000`), ...enciphering }
    return { ik: withAesInitialKey(kit.context(), request, (ik) => known(kit.token, ik, expected['ik']!)) }
  },
  'dukpt.aes.txnKey': (kit, { bdk, ksn }, expected) => {
    const key = kit.key('bdk.test.both', aesOf(bdk), bdk)
    const request = { bdk: key, ksn: bytes(ksn), ...enciphering }
    return {
      key: withAesTransactionKey(kit.context(), request, (txn) => known(kit.token, txn, expected['key']!)),
    }
  },
  'dukpt.aes.workingKey': (kit, { bdk, ksn, usage, keyType }, expected) => {
    const key = kit.key('bdk.test.both', aesOf(bdk), bdk)
    const type = `AES-${keyType.slice(3)}` as AesKeyType
    const request = { bdk: key, ksn: bytes(ksn), usage: workingUsages[usage]!, type, ...enciphering }
    return {
      key: withAesWorkingKey(kit.context(), request, (one) => known(kit.token, one, expected['key']!)),
    }
  },
  'dukpt.aes.pin4': (kit, { bdk, ksn, pin, pan, random }, expected) => {
    kit.key('bdk.test.both', aesOf(bdk), bdk)
    return dukptPin(kit, { ksn, pin, pan, format: 4, block: expected['encryptedBlock']!, random })
  },
  'dukpt.aes.pin4.decrypt': (kit, { bdk, ksn, encryptedBlock, pan }) => {
    kit.key('bdk.test.both', aesOf(bdk), bdk)
    const source = { key: 'bdk.test.both', ksn: bytes(ksn), format: 4, block: bytes(encryptedBlock) } as const
    return { pin: withPin(kit.context(), { source, pan }, pinText) }
  },
  'tr31.unwrap': (kit, { kbpk, keyblock }) => {
    kit.key('kbpk.test.in', keyblock.startsWith('D') ? aesOf(kbpk) : desKey(kbpk).algorithm, kbpk)
    return withKeyBlock(kit.context(), { kbpk: 'kbpk.test.in', block: keyblock }, (key, header) => ({
      key: hex(key),
      macValid: true,
      usage: header.usage,
      algorithm: header.algorithm,
      mode: header.mode,
      exportability: header.exportability,
    }))
  },
  'tr31.reject': (kit, { kbpk, keyblock }) => {
    kit.key('kbpk.test.in', keyblock.startsWith('D') ? aesOf(kbpk) : desKey(kbpk).algorithm, kbpk)
    const request = { kbpk: 'kbpk.test.in', block: keyblock }
    return { macValid: !refuses(() => withKeyBlock(kit.context(), request, () => undefined)) }
  },
}

const enciphering = { grants: ['encrypt'], mechanisms: ['aes-ecb'] } as const
const workingUsages: Readonly<Record<string, AesUsage>> = {
  PIN: 'pin',
  MACGEN: 'macGenerate',
  DATAENC: 'dataEncrypt',
}

/** A key inside the token cannot be read; it is the expected one when it enciphers as the expected one does. */
function known(token: Token, object: TokenObject, expected: string): string {
  const input = Buffer.alloc(16, 0x5a)
  const output = Buffer.alloc(16)
  token.encrypt({ object, mechanism: 'aes-ecb', input, output })
  const same = encipher({ cipher: 'aes', chaining: 'ecb', key: bytes(expected), input }).equals(output)
  return same ? expected : 'another key'
}

function mac(role: string, keyOf: (key: string) => { algorithm: Algorithm; value: string }): Run {
  return (kit, { key, data, padding = 1 }, expected) => {
    const { algorithm, value } = keyOf(key)
    const ref = `${role}.test.both`
    kit.key(ref, algorithm, value)
    const request = { key: ref, data: bytes(data), padding, bytes: expected['mac']!.length / 2 }
    return { mac: hex(generateMac(kit.context(), request)) }
  }
}

function dukptMac(algorithm: 'retail' | 'cmac'): Run {
  return (kit, { bdk, ksn, data, direction, macLength = 8 }) => {
    kit.key('bdk.test.both', 'DES2', bdk)
    const dukpt = { ksn: bytes(ksn), direction, algorithm }
    const request = { key: 'bdk.test.both', data: bytes(data), padding: 1, bytes: macLength, dukpt } as const
    return { mac: hex(generateMac(kit.context(), request)) }
  }
}

/** Both ways: the block opens to the PIN, and the PIN is sealed to the block. */
function dukptPin(
  kit: Kit,
  vector: { ksn: string; pin: string; pan: string; format: PinFormat; block: string; random: string },
): Answer {
  const { pan, format } = vector
  const dukpt = { key: 'bdk.test.both', ksn: bytes(vector.ksn), format }
  const source = { ...dukpt, block: bytes(vector.block) }
  const opened = withPin(kit.context(), { source, pan }, pinText)
  if (opened !== vector.pin) return { encryptedBlock: 'opens to another PIN' }
  const block = withDukptPinKey(kit.context(), { ...dukpt, grant: 'encrypt' }, (object) =>
    sealPin(kit.context(vector.random), { to: { object }, format, pan, pin: pinOf(vector.pin) }),
  )
  return { encryptedBlock: hex(block) }
}

function cardValue(kind: 'cvv' | 'cvv2' | 'icvv'): Run {
  return (kit, { cvk, pan, expiry, serviceCode }) => {
    kit.key('cvk.test.both', 'DES2', cvk)
    return { cvv: generateCardValue(kit.context(), { key: 'cvk.test.both', kind, pan, expiry, serviceCode }) }
  }
}

function cardKey(kit: Kit, role: string, { imk, option, pan, psn }: Inputs) {
  const key = `${role}.test.both`
  kit.key(key, 'DES2', imk)
  return { key, option, pan, sequence: psn }
}

function sessionKey({ option, pan, psn, r }: Inputs) {
  const card = { key: 'imkac.test.both', option, pan, sequence: psn }
  return r === undefined ? card : { ...card, diversifier: bytes(r) }
}

function sessionKcv(kit: Kit, inputs: Inputs): string {
  cardKey(kit, 'imkac', inputs)
  return withApplicationKey(kit.context(), sessionKey(inputs), ['E0'], (key) =>
    legacyKcv('des3', key).slice(0, 4),
  )
}

function translated(kit: Kit, { in: source, out: target }: Inputs): Buffer {
  const algorithm = (format: PinFormat, key: string): Algorithm =>
    format === 4 ? aesOf(key) : desKey(key).algorithm
  kit.key('zpk.test.in', algorithm(source.format, source.key), source.key)
  kit.key('zpk.test.out', algorithm(target.format, target.key), target.key)
  return translatePin(kit.context(target.random), {
    source: { key: 'zpk.test.in', format: source.format, block: bytes(source.block) },
    target: { key: 'zpk.test.out', format: target.format },
    pan: source.pan,
  })
}

function refuses(run: () => unknown): boolean {
  try {
    run()
    return false
  } catch (error) {
    if (error instanceof HsmError) return true
    throw error
  }
}

function validationOf({ pan, panOffset, panLength, panPad }: Inputs): string {
  return pan.slice(panOffset, panOffset + panLength).padEnd(16, panPad)
}

function clearBlock(format: PinFormat, pin: string, pan: string): Buffer {
  const block = Buffer.alloc(pinBlockBytes(format))
  writePinBlock(format, { pin: pinOf(pin), pan, random: Buffer.alloc(8) }, block)
  return block
}

function pinOf(text: string): Buffer {
  const pin = Buffer.alloc(pinBufferBytes)
  for (let index = 0; index < text.length; index++) pin[index] = text.charCodeAt(index) - 48
  setPinLength(pin, text.length)
  return pin
}

function pinText(pin: Buffer): string {
  return [...pin.subarray(0, pin[pinBufferBytes - 1])].join('')
}

function desKey(key: string): { algorithm: Algorithm; value: string } {
  return { algorithm: key.length === 48 ? 'DES3' : 'DES2', value: key }
}

function aesOf(key: string): Algorithm {
  return `AES-${key.length * 4}` as Algorithm
}

function bytes(text: string): Buffer {
  const out = Buffer.alloc(text.length / 2)
  out.write(text, 'hex')
  return out
}

function hex(value: Buffer): string {
  return value.toString('hex').toUpperCase()
}
