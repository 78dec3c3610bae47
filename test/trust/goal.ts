/** A drill on the real processes. */
export type Goal = (room: {
  /** Empty, private, and removed again when all was well. */
  readonly stateFolder: string
  readonly say: (what: string) => void
  /** What the command line says behind the name. */
  readonly args: readonly string[]
}) => Promise<{ readonly ok: boolean; readonly figures: string; readonly lines: readonly string[] }>
