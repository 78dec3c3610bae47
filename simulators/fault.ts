/** What went wrong outside the simulator's own code. Carries no key, card or PIN: an error's text ends in a log. */
export type SimulatorFault =
  | { readonly kind: 'config'; readonly path: string; readonly why: string }
  /** A file that a person wrote. */
  | { readonly kind: 'document'; readonly file: string; readonly line: number; readonly why: string }
  | { readonly kind: 'keyFile'; readonly why: string }
  | { readonly kind: 'key'; readonly ref: string; readonly why: 'unknown' | 'wrongSize' }
  | { readonly kind: 'book'; readonly why: string }
  /** A terminal was used while its line was down. */
  | { readonly kind: 'lineDown' }

export class SimulatorError extends Error {
  readonly fault: SimulatorFault

  constructor(fault: SimulatorFault) {
    super(`simulator: ${describe(fault)}`)
    this.name = 'SimulatorError'
    this.fault = fault
  }
}

function describe(fault: SimulatorFault): string {
  switch (fault.kind) {
    case 'config':
      return `configuration, ${fault.path}: ${fault.why}`
    case 'document':
      return `${fault.file}:${fault.line}: ${fault.why}`
    case 'keyFile':
      return `key file: ${fault.why}`
    case 'key':
      return `key ${fault.ref}: ${fault.why}`
    case 'book':
      return `book: ${fault.why}`
    case 'lineDown':
      return 'the line is down'
  }
}
