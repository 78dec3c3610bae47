/** The words of the front door; they are exported there. */
import type { BreakerState } from './breaker.ts'
import type { HsmFault } from './fault.ts'
import type { OperationFigures } from './figures.ts'

/** `role.zone.direction`, for example `zpk.knet.out`: the active version of that key. Never the key itself. */
export type KeyRef = string

export interface Hsm {
  /**
   * Moves a PIN block from one zone's key to another's (ISO 9564-1 format 0 in and out). The clear PIN exists
   * only inside the HSM process.
   */
  translatePin(request: PinTranslation): Promise<Uint8Array>
  /** The seal of `data` under `key`: 8 bytes. The algorithm is the key's (ISO 9797-1 algorithm 3, or AES-CMAC). */
  generateMac(request: { readonly key: KeyRef; readonly data: Uint8Array }): Promise<Uint8Array>
  /** Whether `mac` seals `data`; compared in constant time. */
  verifyMac(request: {
    readonly key: KeyRef
    readonly data: Uint8Array
    readonly mac: Uint8Array
  }): Promise<boolean>
  /**
   * The random token that stands for a card number everywhere outside this room. The same number, the same token.
   * `expiry` (YYMM) is kept with it.
   */
  tokenise(pan: string, expiry?: string): Promise<string>
  /**
   * `verifyMac`, and only when the seal is right `tokenise`, in one round trip: what a message whose seal is wrong
   * claims to be a card number never reaches the vault. Rejects only where `verifyMac` would.
   */
  verifyThenTokenise(request: SealedCard): Promise<SealedCardAnswer>
  /** The card number behind a token, for a message that must carry it. Each look-up is logged in the vault. */
  detokenise(token: string): Promise<string>
  /** What is behind this door, for `status` and the banner. */
  status(): HsmStatus
  close(): Promise<void>
}

export interface SealedCard {
  readonly key: KeyRef
  readonly data: Uint8Array
  readonly mac: Uint8Array
  readonly pan: string
  /** YYMM. */
  readonly expiry?: string
}

/** `fault`: the seal is right, and `tokenise` failed with this. */
export type SealedCardAnswer =
  | { readonly verified: false }
  | { readonly verified: true; readonly token: string }
  | { readonly verified: true; readonly token?: undefined; readonly fault: HsmFault }

export interface PinTranslation {
  /**
   * Opened by the active version, and by no other in its place. Whoever knows that a peer is still behind with a change
   * of keys names the previous version by its label, `tpk.acq1.in.v001`, while its grace lasts.
   */
  readonly from: KeyRef
  readonly to: KeyRef
  readonly pinBlock: Uint8Array
  readonly pan: string
  /** Who sent the block, a terminal or a peer (never a card): their faults are counted, and too many are `shed`. */
  readonly source?: string
}

export interface HsmStatus {
  readonly driver: 'pkcs11' | 'twin'
  readonly state: 'up' | 'starting' | 'down'
  readonly pending: number
  readonly restarts: number
  /** How many processes can serve now. */
  readonly up?: number
  /** The processes, for whoever watches them. */
  readonly pids?: readonly number[]
  readonly backends?: readonly HsmBackendStatus[]
  /** The key versions in use. */
  readonly keys?: readonly HsmKeyStatus[]
  /** By the name of the operation: how many, how they ended, how long the callers waited. */
  readonly operations?: Readonly<Record<string, OperationFigures>>
}

/** One HSM process. */
export interface HsmBackendStatus {
  readonly name: string
  readonly tokenLabel?: string
  readonly state: 'starting' | 'up' | 'retiring' | 'down'
  /** As the token calls itself. */
  readonly model?: string
  readonly breaker: BreakerState
  readonly breakerOpenings: number
  /** Asked and not yet answered. */
  readonly outstanding: number
  readonly restarts: number
  /** How often it was replaced for its age. */
  readonly recycled: number
  /** What the self-test at its start found to work, and what not. */
  readonly capabilities: readonly string[]
  readonly lacking: readonly string[]
  /** References for which it is not asked, since its keys are others than those of the other tokens. */
  readonly differing: readonly string[]
}

export interface HsmKeyStatus {
  /** `zpk.knet.out.v003`. */
  readonly label: string
  /** Usage, mode and check value. */
  readonly id: string
  readonly state: string
  /** Since it is active; undefined for keys that came without a ceremony. */
  readonly ageSeconds?: number
}

/** ISO 9564-1 PIN block formats. Format 2 is between a chip card and its reader only, and is refused. */
export type PinFormat = 0 | 1 | 3 | 4

/** A PIN block under a PIN key, or under the DUKPT key of a serial number when `key` is a base key. */
export interface PinInput {
  readonly key: KeyRef
  readonly pinBlock: Uint8Array
  /** 0 when it is left out. */
  readonly fromFormat?: PinFormat
  /** DUKPT key serial number: 10 bytes for TDES, 12 for AES. */
  readonly ksn?: Uint8Array
  readonly pan: string
  readonly source?: string
}

/** How an issuer knows a PIN that it does not keep. */
export type PinMethod =
  | { readonly method: 'visaPvv'; readonly verificationKey: KeyRef; readonly keyIndex: number }
  | {
      readonly method: 'ibm3624'
      readonly verificationKey: KeyRef
      /** Sixteen digits, at least eight of them different. */
      readonly decimalisation: string
      /** Sixteen upper-case hexadecimal digits, made of the card number as the issuer has agreed. */
      readonly validation: string
    }

export type CardValue =
  | { readonly kind: 'cvv'; readonly serviceCode: string }
  | { readonly kind: 'cvv2' | 'icvv' }

export type CardValueInput = CardValue & {
  readonly key: KeyRef
  readonly pan: string
  /** Four digits, in the scheme's order for this kind. */
  readonly expiry: string
}

/** A chip card, and what makes this transaction's key out of the issuer's (EMV 4.3 book 2, annex A1). */
export interface ChipCard {
  readonly key: KeyRef
  readonly option?: 'A' | 'B'
  readonly pan: string
  /** PAN sequence number, two digits. */
  readonly sequence: string
  /** Eight bytes of the common session key; left out for cards that have none. */
  readonly diversifier?: Uint8Array
}

export interface MacInput {
  readonly key: KeyRef
  readonly data: Uint8Array
  /** ISO 9797-1 padding method for block ciphers in CBC mode; 1 when it is left out. */
  readonly padding?: 1 | 2 | 3
  /** With a DUKPT base key. */
  readonly ksn?: Uint8Array
  readonly direction?: 'request' | 'response'
  readonly algorithm?: 'retail' | 'cmac'
}

/** A key in a key block (X9.143) that a peer has sent. */
export interface SentKey {
  /** The protection key that both ends hold. */
  readonly kbpk: KeyRef
  readonly block: string
  /** What it may be; the block says which of them it is. */
  readonly refs: readonly KeyRef[]
  /** The check value that came with it: as many of its leading digits as the peer sends. */
  readonly kcv?: string
  /** Whose key it is too. */
  readonly peer: string
}

export interface KeyVersion {
  readonly ref: KeyRef
  readonly version: number
}

/** `state`: as it was before this. */
export interface ReceivedKey extends KeyVersion {
  readonly kcv: string
  readonly state: 'pending' | 'arriving' | 'active'
}

/**
 * Keys of zones that are exchanged in messages. A version is there as pending, then honoured in what comes (arriving),
 * then active; each step may be asked for again. What is not a key that may come in is `refused`, and changes nothing.
 */
export interface KeyExchangeHsm {
  /** Puts the key on every token that can be reached. A key that came before is the version that it became then. */
  receiveKey(sent: SentKey): Promise<ReceivedKey>
  /** `active`: the version before is honoured for `graceSeconds` more in what comes. Resolves when every process follows. */
  advanceKey(key: KeyVersion, to: 'arriving' | 'active', graceSeconds: number): Promise<void>
}

/**
 * What issuers, wider networks and checkpoints ask of the same HSM. Failures are `HsmError`s as everywhere; an
 * answer that does not match is `false`, not a failure.
 */
export interface IssuerHsm {
  /** A PIN block between any formats that PCI PIN 3-3 allows, from a zone key or a DUKPT key. */
  movePin(request: PinInput & { readonly to: KeyRef; readonly toFormat?: PinFormat }): Promise<Uint8Array>
  /** `reference` is the card's PVV or offset. */
  verifyPin(request: PinInput & PinMethod & { readonly reference: string }): Promise<boolean>
  /** The PVV or offset of a new PIN. */
  pinReference(request: PinInput & PinMethod): Promise<string>
  /** As `generateMac`, with the choices that the key's usage leaves open. `bytes` is 8 when it is left out. */
  sealMessage(request: MacInput & { readonly bytes?: number }): Promise<Uint8Array>
  checkMessage(request: MacInput & { readonly mac: Uint8Array }): Promise<boolean>
  generateCardValue(request: CardValueInput): Promise<string>
  verifyCardValue(request: CardValueInput & { readonly value: string }): Promise<boolean>
  verifyArqc(
    request: ChipCard & {
      readonly data: Uint8Array
      readonly padding?: 1 | 2 | 3
      readonly arqc: Uint8Array
    },
  ): Promise<boolean>
  /** Method 1: eight bytes from the response code; method 2: four bytes from the card status update. */
  generateArpc(
    request: ChipCard & { readonly arqc: Uint8Array } & (
        | { readonly method: 1; readonly responseCode: Uint8Array; readonly under?: 'session' | 'card' }
        | { readonly method: 2; readonly statusUpdate: Uint8Array; readonly proprietary?: Uint8Array }
      ),
  ): Promise<Uint8Array>
  scriptMac(request: ChipCard & { readonly data: Uint8Array; readonly bytes?: number }): Promise<Uint8Array>
  /** Fit for keys. At most 1,024 bytes. */
  random(bytes: number): Promise<Uint8Array>
  /** ECDSA over P-256 and SHA-256, as r‖s (64 bytes). */
  sign(request: { readonly key: KeyRef; readonly data: Uint8Array }): Promise<Uint8Array>
  /** The uncompressed point (65 bytes) to check signatures with. */
  publicKey(key: KeyRef): Promise<Uint8Array>
}
