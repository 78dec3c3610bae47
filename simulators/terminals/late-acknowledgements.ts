/** Acknowledgements that came when nobody waited: between two deliveries, which is where a slow switch answers. */
export class LateAcknowledgements {
  readonly #codes = new Map<string, string | undefined>()

  /** From now on they are kept for this purchase. */
  expect(rrn: string): void {
    this.#codes.set(rrn, undefined)
  }

  note(rrn: string, responseCode: string): void {
    if (this.#codes.has(rrn)) this.#codes.set(rrn, responseCode)
  }

  of(rrn: string): string | undefined {
    return this.#codes.get(rrn)
  }

  forget(rrn: string): void {
    this.#codes.delete(rrn)
  }
}
