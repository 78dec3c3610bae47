/** The first place where the books are not what they were written as. */
export interface BadPlace {
  readonly kind: 'altered' | 'missing' | 'extra' | 'reordered' | 'unbalanced'
  readonly table: string
  /** For example `posting 12` or `account 7`. */
  readonly row: string
  readonly block: bigint | undefined
  readonly what: string
}

/** Thrown within verify, which ends at the first bad place. */
export class Bad extends Error {
  readonly place: BadPlace

  constructor(place: BadPlace) {
    super(place.what)
    this.place = place
  }
}

export function bad(kind: BadPlace['kind'], table: string, row: string, what: string, block?: bigint): Bad {
  return new Bad({ kind, table, row, block, what })
}
