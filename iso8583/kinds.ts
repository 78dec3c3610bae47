import type { FieldValue, MessageBody } from './message.ts'
import type { Piece } from './piece-form.ts'
import type { Table } from './table.ts'

/** What messages of one type that have the same elements begin with. */
export interface Beginning {
  readonly mti: string
  /** Ascending. */
  readonly elements: readonly number[]
  /** MTI and bitmaps. */
  readonly head: Uint8Array
}

/** Such messages, as the quick way writes them: a link sends the same few kinds all day. */
export interface Kind extends Omit<Beginning, 'head'> {
  readonly head: DataView
  readonly pieces: readonly Piece[]
  /** The most bytes that the short ways can take. */
  readonly bytesMax: number
}

type Fields = MessageBody['fields']

/** More kinds than any link has; one in the place of another is worked out again. */
const kindsMax = 64

/** Kinds that were written before, by where they are looked for. */
export class Kinds {
  readonly #table: Table
  readonly #kinds = new Array<Kind | undefined>(kindsMax).fill(undefined)

  constructor(table: Table) {
    this.#table = table
  }

  /**
   * The kind that a body is of if it has all elements of the kind, which is for the caller to see. Then it has no other keys
   * either, which their count tells: asking for the keys themselves takes twice as long as for the values.
   */
  find(mti: string, fields: Fields): Kind | undefined {
    const values: readonly (FieldValue | undefined)[] = Object.values(fields)
    const kind = this.#kinds[placeOf(mti, values.length)]
    if (kind?.mti !== mti) return undefined
    const isSame = kind.elements.length === values.length || kind.elements.length === countOf(values)
    return isSame ? kind : undefined
  }

  /** Keeps the kind of a body that has just been written. `keys`: how many it has, with those that are undefined. */
  keep({ mti, elements, head }: Beginning, keys: number): void {
    const pieces = elements.map((de) => this.#table.pieces[de]!)
    this.#kinds[placeOf(mti, keys)] = {
      mti,
      elements,
      pieces,
      head: new DataView(head.buffer),
      bytesMax: pieces.reduce((sum, piece) => sum + piece.bytesMax, head.length),
    }
  }
}

function countOf(values: readonly (FieldValue | undefined)[]): number {
  return values.filter((value) => value !== undefined).length
}

/** Few kinds share a place: their types and the counts of their keys differ. */
function placeOf(mti: string, count: number): number {
  return (mti.charCodeAt(1) * 5 + mti.charCodeAt(2) * 7 + count) & (kindsMax - 1)
}
