import type { FieldValue } from '../message.ts'

const wire = Symbol('wire')

/**
 * The bytes a nested value was read from travel with the value, unseen and unchangeable like the value itself, so
 * that what comes in goes out again byte for byte: order of tags, forms of lengths and all.
 */
export function withWire<T extends object>(value: T, bytes: Uint8Array): T {
  Object.defineProperty(value, wire, { value: bytes })
  return Object.freeze(value)
}

export function wireOf(value: object): Uint8Array | undefined {
  return (value as { [wire]?: Uint8Array })[wire]
}

/** Names of tags and parts come from outside: an object without a prototype has no name to collide with. */
export function nestedObject(): Record<string, FieldValue> {
  return Object.create(null) as Record<string, FieldValue>
}

/** A tag that is there again gets `#2`, `#3` after its name. */
export function put(into: Record<string, FieldValue>, tag: string, value: FieldValue): void {
  let name = tag
  for (let nth = 2; name in into; nth++) name = `${tag}#${nth}`
  into[name] = value
}

export function tagOf(name: string): string {
  const at = name.indexOf('#')
  return at < 0 ? name : name.slice(0, at)
}

export function isParts(value: FieldValue | null): value is { readonly [part: string]: FieldValue } {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
}
