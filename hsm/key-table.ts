import { HsmError } from './fault.ts'
import { fingerprintKey, isKeyRef, parseLabel } from './key.ts'
import type { Algorithm, KeyName, Mode, Usage } from './key.ts'
import type { TokenObject } from './token.ts'

/** A version of a key, with the object or objects that are it. */
export interface LoadedKey {
  readonly name: KeyName
  readonly object: TokenObject
  /** Further objects by their suffix, `#k1` and the like. */
  readonly parts: ReadonlyMap<string, TokenObject>
}

const idShape = /^([A-Z][0-9])([BCDEGNSVX]):([0-9A-F]{6})$/

/** The versions of one reference that may be used now. */
interface Usable {
  readonly active: LoadedKey
  /** The active version, then the previous ones that are still honoured, and one that is arriving. */
  readonly accepted: readonly LoadedKey[]
}

/** The keys by reference. Made when the token is opened, and again when its keys or their states change. */
export class KeyTable {
  readonly #byRef = new Map<string, LoadedKey[]>()
  readonly #usable = new Map<string, Usable>()
  readonly #state: (key: KeyName) => FoundState

  /** References of several versions of which it is not known which one is active. */
  readonly #undecided = new Set<string>()

  /**
   * `state` says what the inventory knows of a key; without one, every version may be used and the newest is active.
   * While the inventory itself is unknown (the database is away), only a key of one version can be used.
   */
  constructor(objects: readonly TokenObject[], state: (key: KeyName) => FoundState = () => 'active') {
    this.#state = state
    const byLabel = new Map(objects.map((object) => [object.label, object]))
    for (const object of objects) {
      const key = read(object, byLabel)
      if (key === undefined) continue
      const versions = this.#byRef.get(key.name.ref) ?? []
      versions.push(key)
      versions.sort((a, b) => b.name.version - a.name.version)
      this.#byRef.set(key.name.ref, versions)
    }
    for (const [ref, versions] of this.#byRef) {
      const active = versions.find(
        ({ name }) => state(name) === 'active' || (state(name) === 'unknown' && versions.length === 1),
      )
      if (versions.some(({ name }) => state(name) === 'unknown')) this.#undecided.add(ref)
      if (active === undefined) continue
      const previous = versions.filter(
        ({ name }) => isHonoured(state(name), name) && name.usage === active.name.usage,
      )
      this.#usable.set(ref, { active, accepted: [active, ...previous] })
    }
  }

  /**
   * The active version of `ref`, if it may be used so. Throws `HsmError` `refused`: `unknownKey`, or `wrongUsage`
   * when the key is for something else.
   */
  active(ref: string, usages: readonly Usage[], modes: readonly Mode[]): LoadedKey {
    return this.#find(ref, usages, modes).active
  }

  /** The active version and, after it, previous ones that are still honoured. Never empty. */
  accepted(ref: string, usages: readonly Usage[], modes: readonly Mode[]): readonly LoadedKey[] {
    return this.#find(ref, usages, modes).accepted
  }

  /**
   * The version that `name` is the label of, while it is honoured; the active one when `name` is only a reference.
   * Which version it is has to be said by whoever knows: see `docs/decisions/0020-whose-key-a-pin-is-under.md`.
   */
  named(name: string, usages: readonly Usage[], modes: readonly Mode[]): LoadedKey {
    const label = parseLabel(name)
    if (label === undefined) return this.active(name, usages, modes)
    const key = this.accepted(label.ref, usages, modes).find((one) => one.name.version === label.version)
    if (key === undefined) throw new HsmError({ kind: 'refused', why: 'unknownKey' })
    return key
  }

  #find(ref: string, usages: readonly Usage[], modes: readonly Mode[]): Usable {
    const usable = this.#usable.get(ref)
    if (usable === undefined) {
      if (this.#undecided.has(ref)) throw new HsmError({ kind: 'unavailable' })
      throw new HsmError({ kind: 'refused', why: isKeyRef(ref) ? 'unknownKey' : 'badRequest' })
    }
    const { usage, mode } = usable.active.name
    if (!usages.includes(usage) || !modes.includes(mode)) {
      throw new HsmError({ kind: 'refused', why: 'wrongUsage' })
    }
    return usable
  }

  /** One version, whatever its state; undefined when it is not on the token. */
  version(ref: string, version: number): LoadedKey | undefined {
    return this.#byRef.get(ref)?.find((key) => key.name.version === version)
  }

  /** By its label, `zpk.knet.out.v003`. */
  labelled(label: string): LoadedKey | undefined {
    const parsed = parseLabel(label)
    return parsed === undefined ? undefined : this.version(parsed.ref, parsed.version)
  }

  /** Every version with its state, for comparison with what other tokens hold. */
  states(): { readonly name: KeyName; readonly state: FoundState }[] {
    return this.names().map((name) => {
      const usable = this.#usable.get(name.ref)
      const inUse = usable?.accepted.some((key) => key.name.version === name.version) === true
      const state = this.#state(name)
      // Without an inventory every version counts as active, and the newest one is.
      return { name, state: state === 'active' && !inUse ? 'retired' : state }
    })
  }

  names(): KeyName[] {
    return [...this.#byRef.values()].flat().map((key) => key.name)
  }
}

/** `unsupported`: the token's self-test failed for what the key is for. */
export type FoundState = KeyState | 'unknown' | 'unsupported'

export type KeyState = 'pending' | 'arriving' | 'active' | 'previous' | 'retired' | 'destroyed'

/**
 * A key that is arriving checks seals, and opens no PIN blocks: which key a PIN is under is never tried out. By the vault's
 * next fingerprint key cards are looked for before it is in use: another process may hear of its use a moment earlier,
 * and what that one writes must be found, or one card has two tokens.
 */
function isHonoured(state: FoundState, { ref, usage }: KeyName): boolean {
  if (state === 'pending') return ref === fingerprintKey
  return state === 'previous' || (state === 'arriving' && usage.startsWith('M'))
}

function read(object: TokenObject, byLabel: ReadonlyMap<string, TokenObject>): LoadedKey | undefined {
  const label = parseLabel(object.label)
  const id = idShape.exec(object.id)
  if (label === undefined || id === null) return undefined
  const [, usage, mode, kcv] = id
  const parts = new Map<string, TokenObject>()
  for (const suffix of ['#k1', '#c0', '#e', '#m']) {
    const part = byLabel.get(object.label + suffix)
    if (part !== undefined) parts.set(suffix, part)
  }
  return {
    name: { ...label, usage: usage as Usage, mode: mode as Mode, algorithm: algorithmOf(object), kcv: kcv! },
    object,
    parts,
  }
}

function algorithmOf({ kind, bytes }: TokenObject): Algorithm {
  switch (kind) {
    case 'DES2':
    case 'DES3':
      return kind
    case 'AES':
      return bytes === 16 ? 'AES-128' : bytes === 24 ? 'AES-192' : 'AES-256'
    case 'generic':
      return 'HMAC'
    case 'EC':
      return 'EC-P256'
  }
}

/** Which block cipher a key is for. */
export function cipherOf(algorithm: Algorithm): 'des3' | 'aes' {
  return algorithm === 'DES2' || algorithm === 'DES3' ? 'des3' : 'aes'
}
