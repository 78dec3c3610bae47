/** An object found on a token: its label, what is bound to it, and its handle in this process. */
export interface TokenObject {
  readonly label: string
  readonly id: string
  readonly handle: Buffer
}
