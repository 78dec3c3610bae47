/** A drill on the real processes. */
export type Goal = (room: {
  /** Empty, private, and removed again when all was well. */
  readonly stateFolder: string
  readonly say: (what: string) => void
}) => Promise<{ readonly ok: boolean; readonly figures: string; readonly lines: readonly string[] }>
