import Type, { type Static, type TSchema } from 'typebox'
import { currencies } from '../../kernel/money.ts'
import { outcomes } from '../results.ts'
import { kinds } from '../transaction/kinds.ts'

/** The forms of the rule files. Every scalar is a text (`document.ts`); what it must look like is said here. */

const text = (form: RegExp, wanted: string) =>
  Type.Refine(
    Type.String(),
    (value) => form.test(value),
    () => wanted,
  )
const oneOf = <Name extends string>(names: readonly Name[]) =>
  Type.Refine(
    Type.Unsafe<Name>({ type: 'string' }),
    (value) => names.includes(value),
    () => `one of ${names.join(', ')} is needed`,
  )
const whole = (min: number, max: number) =>
  Type.Refine(
    Type.String(),
    (value) => /^\d{1,12}$/.test(value) && Number(value) >= min && Number(value) <= max,
    () => `a whole number from ${min} to ${max} is needed`,
  )

const closed = { additionalProperties: false } as const
const object = <Properties extends Record<string, TSchema>>(properties: Properties) =>
  Type.Object(properties, closed)
const list = <Item extends TSchema>(item: Item) => Type.Array(item, { minItems: 1 })
const byName = <Value extends TSchema>(value: Value) => Type.Record(Type.String(), value)

const milliseconds = whole(1, 2_592_000_000)
const amount = text(/^(0|[1-9]\d{0,14})$/, 'an amount in minor units is needed, digits alone')
const name = text(/^[a-z][a-z0-9-]{0,31}$/, 'a name is needed: small letters, digits, hyphens')
const range = text(/^\d{1,19}$/, 'a card number or its leading digits are needed')
const kind = oneOf(Object.keys(kinds) as (keyof typeof kinds)[])
const currency = oneOf(Object.keys(currencies) as (keyof typeof currencies)[])
const outcome = oneOf(Object.keys(outcomes) as (keyof typeof outcomes)[])
const yesNo = oneOf(['yes', 'no'])
const digits = (from: number, to: number) =>
  text(
    new RegExp(`^\\d{${from},${to}}$`),
    from === to ? `${from} digits are needed` : `${from} to ${to} digits are needed`,
  )
const code = text(/^[0-9A-Z]{2,3}$/, 'a code of DE39 is needed')

const strategy = Type.Union([
  object({ kind: oneOf(['priority']), targets: list(name) }),
  object({
    kind: oneOf(['percent']),
    targets: list(object({ destination: name, percent: whole(0, 100) })),
  }),
  object({
    kind: oneOf(['leastCost']),
    targets: list(object({ destination: name, feeMinor: amount, feeBasisPoints: whole(0, 10_000) })),
  }),
  object({ kind: oneOf(['onUs']), sources: list(name), onUs: list(name), offUs: list(name) }),
])

const routesForm = object({
  softHealth: Type.Optional(
    object({
      windowMs: whole(1_000, 3_600_000),
      requestsMin: whole(1, 100_000),
      demotePercent: whole(1, 100),
    }),
  ),
  routes: Type.Array(
    object({
      low: range,
      high: range,
      priority: Type.Optional(whole(0, 1_000)),
      luhn: Type.Optional(yesNo),
      filters: Type.Optional(
        Type.Partial(
          object({
            kinds: list(kind),
            processingCodes: list(digits(1, 6)),
            merchantTypes: list(digits(4, 4)),
            entryModes: list(digits(1, 3)),
            conditionCodes: list(digits(1, 2)),
            sources: list(name),
            currencies: list(currency),
            amountMinorMin: amount,
            amountMinorMax: amount,
          }),
        ),
      ),
      strategy,
    }),
  ),
})

const limitsForm = object({
  sources: byName(
    object({
      takesPartialApprovals: yesNo,
      hearsBilling: Type.Optional(yesNo),
      feeInAmount: Type.Optional(yesNo),
      forcedPost: oneOf(['flag', 'refuse']),
      limits: Type.Array(object({ kind, currency, amountMinorMax: amount })),
    }),
  ),
})

const timersForm = object({
  sources: byName(object({ timeoutMs: milliseconds, terminalTimeoutMs: milliseconds })),
  destinations: byName(
    object({
      timeoutMs: milliseconds,
      remainingMinMs: Type.Optional(milliseconds),
      retryAfterMs: Type.Optional(list(milliseconds)),
      holdMsByMerchantType: Type.Optional(byName(milliseconds)),
    }),
  ),
})

const resultCodesForm = object({
  destinations: byName(byName(outcome)),
  sources: byName(byName(code)),
})

const standInForm = object({
  destinations: byName(
    object({
      settles: oneOf(['reversalThenAdvice', 'adviceOnly']),
      onOutcomes: Type.Array(outcome),
    }),
  ),
  ranges: Type.Array(
    object({
      bin: digits(4, 11),
      kinds: list(kind),
      currency,
      perTransactionMinorMax: amount,
      perCardMinorMax: amount,
      perCardCountMax: whole(1, 1_000),
      perEpisodeMinorMax: amount,
      perHourMinorMax: amount,
      merchantTypes: Type.Optional(list(digits(4, 4))),
      negative: Type.Optional(list(text(/^tok_[A-Za-z0-9_-]{1,60}$/, 'the token of a card is needed'))),
    }),
  ),
})

/** What the rules are, by file. Each must be there: one that is lost would take its limits with it. */
export const ruleForms = {
  'routes.yaml': routesForm,
  'limits.yaml': limitsForm,
  'timers.yaml': timersForm,
  'result-codes.yaml': resultCodesForm,
  'stand-in.yaml': standInForm,
} as const

export type RuleFileName = keyof typeof ruleForms
export const ruleFileNames = Object.keys(ruleForms) as RuleFileName[]

/** The rules as they were written, each file of its form. */
export type WrittenRules = { readonly [Name in RuleFileName]: Static<(typeof ruleForms)[Name]> }

/** Text by file name. */
export type RuleTexts = Readonly<Record<string, string>>
