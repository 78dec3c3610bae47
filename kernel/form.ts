import type { Static, TSchema } from 'typebox'
import { Settings } from 'typebox/system'
import Value from 'typebox/value'

// All of a person's mistakes at once: its own limit is eight.
Settings.Set({ maxErrors: 1_000 })

/**
 * The mistakes of a value that should have a form (a JSON Schema made with typebox): each with its path, none with what
 * stands there, since a settings file may hold what no log should.
 */
export function mistakesOf(form: TSchema, value: unknown): readonly string[] {
  return Value.Errors(form, value).flatMap(({ keyword, instancePath, message }) => {
    // Said again, and better, for each property that should not be there.
    if (keyword === 'additionalProperties') return []
    const path = instancePath.slice(1).replaceAll('/', '.')
    if (keyword === 'boolean') return [`${path}: is not known here`]
    return [`${path === '' ? 'file' : path}: ${message}`]
  })
}

/** Whether the value has the form. */
export function hasForm<Form extends TSchema>(form: Form, value: unknown): value is Static<Form> {
  return Value.Check(form, value)
}
