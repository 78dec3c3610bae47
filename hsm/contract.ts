/** The words of the front door; they are exported there. */

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
  /** The random token that stands for a card number everywhere outside this room. The same number, the same token. */
  tokenise(pan: string): Promise<string>
  /** The card number behind a token, for a message that must carry it. Each look-up is logged in the vault. */
  detokenise(token: string): Promise<string>
  /** What is behind this door, for `status` and the banner. */
  status(): HsmStatus
  close(): Promise<void>
}

export interface PinTranslation {
  readonly from: KeyRef
  readonly to: KeyRef
  readonly pinBlock: Uint8Array
  readonly pan: string
}

export interface HsmStatus {
  readonly driver: 'pkcs11' | 'twin'
  readonly state: 'up' | 'starting' | 'down'
  readonly pending: number
  readonly restarts: number
  /** The processes, for whoever watches them. */
  readonly pids?: readonly number[]
}
