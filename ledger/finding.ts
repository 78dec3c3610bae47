/** Something that is wrong with a row. */
export interface Finding {
  readonly kind: 'altered' | 'missing' | 'extra' | 'reordered' | 'unbalanced'
  readonly table: string
  /** For example `posting 12` or `account 7`. */
  readonly row: string
  readonly what: string
}

/** The first place where the books are not what they were written as. */
export interface BadPlace extends Finding {
  readonly block: bigint | undefined
}

/** Thrown within verify, which ends at the first bad place. */
export class Bad extends Error {
  readonly place: BadPlace

  constructor(place: BadPlace) {
    super(place.what)
    this.place = place
  }
}

export function bad(
  kind: BadPlace['kind'],
  table: string,
  row: string,
  what: string,
  block?: bigint | number,
): Bad {
  return new Bad({ kind, table, row, block: block === undefined ? undefined : BigInt(block), what })
}
