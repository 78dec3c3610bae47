import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { keyBlock } from '../key-block.ts'
import { decryptPin, kcvOf, oddParity, seal, sealHolds, type TestKey } from '../keys.ts'

export type RingPart = 'pin' | 'mac'
export const ringParts: readonly RingPart[] = ['pin', 'mac']

/** A key that the peer is told of, as it travels. */
export interface Offer {
  readonly part: RingPart
  readonly block: string
  readonly kcv: string
}

interface Place {
  current: TestKey
  /** For what was on its way when the key changed. */
  previous: TestKey | undefined
  previousUntilMs: number
  /** The peer was told of it, and has not said whether it has it. */
  offered: TestKey | undefined
}

const graceMs = 5 * 60_000

/**
 * The keys that a network shares with its peer, through their changes. Test keys, kept beside the book so that a network
 * that is started again has the keys that it had.
 */
export class KeyRing {
  readonly #places: Readonly<Record<RingPart, Place>>
  readonly #kbpk: TestKey | undefined
  readonly #file: string
  exchanged = 0

  constructor({
    pin,
    mac,
    kbpk,
    file,
  }: { pin: TestKey; mac: TestKey; kbpk: TestKey | undefined; file: string }) {
    this.#kbpk = kbpk
    this.#file = file
    const saved = savedIn(file)
    this.#places = { pin: placeOf(pin, saved?.pin), mac: placeOf(mac, saved?.mac) }
  }

  seal(data: Uint8Array): Buffer {
    return seal(this.#places.mac.current, data)
  }

  sealHolds(data: Uint8Array, mac: Uint8Array): boolean {
    return this.#honoured('mac').some((key) => sealHolds(key, data, mac))
  }

  /** A test network may try: who relays PINs for others must not. */
  decryptPin(sealed: { block: Uint8Array; pan: string }): string | undefined {
    for (const key of this.#honoured('pin')) {
      const pin = decryptPin(key, sealed)
      if (pin !== undefined) return pin
    }
    return undefined
  }

  /** A new key for the peer; the same again until the peer has said that it has it. undefined: there is nothing to send it under. */
  offer(part: RingPart): Offer | undefined {
    const place = this.#places[part]
    if (this.#kbpk === undefined) return undefined
    place.offered ??= freshKey(place.current)
    this.#save()
    const usage = part === 'pin' ? 'P0' : place.offered.algorithm.startsWith('AES') ? 'M6' : 'M3'
    const block = keyBlock(this.#kbpk, place.offered, { usage, mode: part === 'pin' ? 'B' : 'C' })
    return { part, block, kcv: kcvOf(place.offered) }
  }

  /** The peer has it: from here on it is the key. */
  taken(part: RingPart): void {
    const place = this.#places[part]
    if (place.offered === undefined) return
    place.previous = place.current
    place.previousUntilMs = Date.now() + graceMs
    place.current = place.offered
    place.offered = undefined
    this.exchanged++
    this.#save()
  }

  /** The peer will not have it. */
  refused(part: RingPart): void {
    this.#places[part].offered = undefined
    this.#save()
  }

  /** Out of step on purpose: a key that the peer has never heard of. */
  lose(part: RingPart): void {
    const place = this.#places[part]
    place.current = freshKey(place.current)
    place.previous = undefined
    this.#save()
  }

  /** Check values of what is in use, for whoever compares. */
  get kcvs(): Readonly<Record<RingPart, string>> {
    return { pin: kcvOf(this.#places.pin.current), mac: kcvOf(this.#places.mac.current) }
  }

  get offered(): readonly RingPart[] {
    return ringParts.filter((part) => this.#places[part].offered !== undefined)
  }

  #honoured(part: RingPart): TestKey[] {
    const { current, previous, previousUntilMs, offered } = this.#places[part]
    const older = previousUntilMs > Date.now() ? previous : undefined
    return [current, offered, older].flatMap((key) => key ?? [])
  }

  #save(): void {
    const text = JSON.stringify({ pin: written(this.#places.pin), mac: written(this.#places.mac) })
    writeFileSync(`${this.#file}.new`, text, { mode: 0o600, flush: true })
    renameSync(`${this.#file}.new`, this.#file)
  }
}

interface Written {
  readonly current: string
  readonly previous?: string
  readonly previousUntilMs: number
  readonly offered?: string
}

function written({ current, previous, previousUntilMs, offered }: Place): Written {
  const hex = (key: TestKey): string => key.value.toString('hex')
  return {
    ...{ current: hex(current), previousUntilMs },
    ...(previous && { previous: hex(previous) }),
    ...(offered && { offered: hex(offered) }),
  }
}

function placeOf(first: TestKey, saved: Written | undefined): Place {
  const key = (hex: string): TestKey => ({ ...first, value: Buffer.from(hex, 'hex') })
  if (saved === undefined)
    return { current: first, previous: undefined, previousUntilMs: 0, offered: undefined }
  const { current, previous, previousUntilMs, offered } = saved
  return {
    ...{ current: key(current), previousUntilMs },
    previous: previous === undefined ? undefined : key(previous),
    offered: offered === undefined ? undefined : key(offered),
  }
}

function savedIn(file: string): Record<RingPart, Written> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<RingPart, Written>
  } catch {
    return undefined
  }
}

function freshKey(like: TestKey): TestKey {
  const value = randomBytes(like.value.length)
  return { ...like, value: like.algorithm.startsWith('DES') ? oddParity(value) : value }
}
