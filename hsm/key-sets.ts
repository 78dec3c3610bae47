/**
 * Whether the tokens hold the same keys. Each process says which versions it has, with their check values, when it
 * starts and whenever that changes; a process whose keys differ under a reference is not asked for that reference.
 */
import { parseLabel } from './key.ts'
import type { Fields } from './wire.ts'

/** A key version as a process has it. */
export interface HeldKey {
  readonly label: string
  /** Usage, mode and check value, `P0D:08D7B4`. */
  readonly id: string
  readonly state: string
  /** Whether the inventory knows the reference; if not, the newest version is active. */
  readonly listed: boolean
  /** Seconds since the epoch; undefined where the inventory doesn't say. */
  readonly activeFrom: number | undefined
}

/** One line for each key, as it travels in a frame. */
export function packHeldKey({ label, id, state, listed, activeFrom }: HeldKey): string {
  return [label, id, state, listed ? 'listed' : 'found', activeFrom ?? '-'].join(' ')
}

/** What a process reported. What is not a line of ours is left out. */
export function readHeldKeys(fields: Fields): HeldKey[] {
  const lines = fields['keys']
  if (!Array.isArray(lines)) return []
  return (lines as unknown[]).flatMap((line) => {
    const [label, id, state, listed, activeFrom] = typeof line === 'string' ? line.split(' ') : []
    if (label === undefined || id === undefined || state === undefined) return []
    const since = activeFrom === undefined || activeFrom === '-' ? undefined : Number(activeFrom)
    return [{ label, id, state, listed: listed === 'listed', activeFrom: since }]
  })
}

/** `Holder` is whoever reports, in the order in which the tokens are configured: the first is right where no inventory is. */
export class KeySets<Holder> {
  readonly #order: () => readonly Holder[]
  /** By reference, then by label: a site with a key for each terminal has thousands of references. */
  readonly #held = new Map<Holder, ReadonlyMap<string, ReadonlyMap<string, HeldKey>>>()
  /** References for which a holder is not asked. */
  readonly #differing = new Map<Holder, Set<string>>()

  constructor(order: () => readonly Holder[]) {
    this.#order = order
  }

  report(holder: Holder, keys: readonly HeldKey[]): void {
    // What its token has no mechanism for is as good as not there.
    const byRef = new Map<string, Map<string, HeldKey>>()
    for (const key of keys) {
      if (key.state === 'unsupported') continue
      const ref = refOf(key.label)
      const versions = byRef.get(ref) ?? new Map<string, HeldKey>()
      byRef.set(ref, versions.set(key.label, key))
    }
    this.#held.set(holder, byRef)
    this.#compare()
  }

  forget(holder: Holder): void {
    this.#held.delete(holder)
    this.#compare()
  }

  /** It said of a key that it has not got it, whatever it said before. Its next report is believed again. */
  missing(holder: Holder, refs: readonly string[]): void {
    const differing = this.#differing.get(holder) ?? new Set()
    for (const ref of refs) differing.add(ref)
    this.#differing.set(holder, differing)
  }

  /** False when one of these references is not the same there as elsewhere. */
  agrees(holder: Holder, refs: () => readonly string[]): boolean {
    const differing = this.#differing.get(holder)
    return differing === undefined || differing.size === 0 || refs().every((ref) => !differing.has(ref))
  }

  has(holder: Holder, refs: readonly string[]): boolean {
    return refs.every((ref) => this.#versions(holder, ref).some(isUsed))
  }

  differing(holder: Holder): readonly string[] {
    return [...(this.#differing.get(holder) ?? [])].sort()
  }

  /** Every version in use, once. */
  keys(): HeldKey[] {
    const all = new Map<string, HeldKey>()
    for (const holder of this.#holders().reverse()) {
      for (const versions of this.#held.get(holder)!.values()) {
        for (const key of versions.values()) if (isUsed(key)) all.set(key.label, key)
      }
    }
    return [...all.values()].sort((a, b) => (a.label < b.label ? -1 : 1))
  }

  #versions(holder: Holder, ref: string): HeldKey[] {
    return [...(this.#held.get(holder)?.get(ref)?.values() ?? [])]
  }

  #holders(): Holder[] {
    return this.#order().filter((holder) => this.#held.has(holder))
  }

  #compare(): void {
    const holders = this.#holders()
    this.#differing.clear()
    const refs = new Map<string, boolean>()
    for (const holder of holders) {
      for (const [ref, versions] of this.#held.get(holder)!) {
        const isListed = [...versions.values()].some(({ listed }) => listed)
        refs.set(ref, isListed || refs.get(ref) === true)
      }
    }
    for (const [ref, listed] of refs) {
      for (const holder of listed ? this.#besideInventory(holders, ref) : this.#besideFirst(holders, ref)) {
        this.missing(holder, [ref])
      }
    }
  }

  /** Each version that anybody uses must be with everybody, as it is with the first who has it. */
  #besideInventory(holders: readonly Holder[], ref: string): Holder[] {
    const wanted = new Map<string, string>()
    for (const holder of holders) {
      for (const key of this.#versions(holder, ref)) {
        if (isUsed(key) && !wanted.has(key.label)) wanted.set(key.label, key.id)
      }
    }
    return holders.filter((holder) =>
      [...wanted].some(([label, id]) => this.#held.get(holder)!.get(ref)?.get(label)?.id !== id),
    )
  }

  /** Without an inventory the newest version is used: it must be the same as with the first who has the reference. */
  #besideFirst(holders: readonly Holder[], ref: string): Holder[] {
    const newest = holders.map((holder) =>
      this.#versions(holder, ref)
        .map(({ label, id }) => `${label} ${id}`)
        .sort()
        .at(-1),
    )
    const first = newest.find((text) => text !== undefined)
    return holders.filter((_, index) => newest[index] !== first)
  }
}

function isUsed({ state }: HeldKey): boolean {
  return state === 'active' || state === 'previous' || state === 'arriving'
}

function refOf(label: string): string {
  return parseLabel(label)?.ref ?? label
}

const vaultCommands: readonly unknown[] = ['tokenise', 'detokenise', 'verifyThenTokenise']
const vaultKeys = ['fpk.vault.both', 'kek.vault.both']

/** The references that a request names, without their versions. */
export function refsOf(fields: Fields): string[] {
  const named = [fields['key'], fields['from'], fields['to'], fields['verificationKey']]
  const refs = named.flatMap((value) => (typeof value === 'string' ? [refOf(value)] : []))
  return vaultCommands.includes(fields['command']) ? [...refs, ...vaultKeys] : refs
}
