import Type, { type Static, type TSchema } from 'typebox'
import {
  bundledDialects,
  bundledFrames,
  compile,
  type Dialect,
  dialectFromJson,
  type FrameFormat,
  IsoCodecError,
} from '../iso8583/iso8583.ts'
import { hasForm, mistakesOf } from '../kernel/form.ts'
import { type KeyExchangeRules, usualKeyExchange } from './key-exchange.ts'
import { lintNetwork } from './lint.ts'
import type { HoldRules } from './connector.ts'
import { edition1993 } from './edition-1993.ts'
import type { NetworkProfile } from './network.ts'
import { usualReconciliation } from './usual.ts'
import { dualMessage, singleMessage, type Wording } from './wording.ts'

/**
 * A member's own specification of a network: what it says otherwise than a network of this repository, as JSON outside it.
 * Read whole or refused whole, with every mistake and none of the values.
 */
export function networkFromJson(json: unknown, find: FindNetwork): NetworkProfile {
  if (!hasForm(networkForm, json)) throw new NetworkFileError(mistakesOf(networkForm, json))
  const base = find(json.extends)
  if (base === undefined) throw new NetworkFileError([`extends: no network is called so`])
  const dialect = dialectOf(json.dialect, base.dialect)
  const {
    connections,
    responseAffinity,
    correlation,
    wording,
    mac,
    pin,
    session,
    inFlightMax,
    lateMs,
    rules,
    keys,
  } = json
  const { fees, holds, stored, ...ruled } = rules ?? {}
  const network: NetworkProfile = {
    ...base,
    dialect,
    ...given('frame', frameOf(json.frame)),
    ...given('wording', wording && wordings[wording]),
    ...given('sealedClasses', mac?.classes),
    ...given('macPadding', mac?.padding),
    ...given('connections', connections),
    ...given('responseAffinity', responseAffinity),
    ...given('inFlightMax', inFlightMax),
    ...given('lateMs', lateMs),
    ...given('keys', keysOf(keys, base.keys)),
    correlation: { ...base.correlation, ...correlation },
    session: {
      ...base.session,
      ...session,
      ...given('sealedCodes', mac?.codes),
      codes: { ...base.session.codes, ...session?.codes },
    },
    rules: {
      ...base.rules,
      ...ruled,
      ...given('pinFormat', pin?.format),
      ...given('fees', layered(base.rules.fees, fees)),
      ...given('stored', layered(base.rules.stored, stored)),
      ...given('holds', holdsOf(holds, base.rules.holds)),
      reversalAnswers: { ...base.rules.reversalAnswers, ...rules?.reversalAnswers },
    },
  }
  const mistakes = lintNetwork(network)
  if (mistakes.length > 0) throw new NetworkFileError(mistakes)
  return network
}

type FindNetwork = (name: string) => NetworkProfile | undefined

/** What is wrong with a member's file, one sentence each, with its path. */
export class NetworkFileError extends Error {
  readonly mistakes: readonly string[]

  /** `file` where there is one. */
  constructor(mistakes: readonly string[], file = 'the network file') {
    super([`${file} is refused:`, ...mistakes].join('\n  '))
    this.name = 'NetworkFileError'
    this.mistakes = mistakes
  }
}

const closed = { additionalProperties: false } as const
const object = <Properties extends Record<string, TSchema>>(properties: Properties) =>
  Type.Partial(Type.Object(properties), closed)
const milliseconds = Type.Integer({ minimum: 1, maximum: 86_400_000 })
/** Ninety days. */
const holdMs = Type.Integer({ minimum: 1_000, maximum: 7_776_000_000 })
/** DE18. */
const merchantType = Type.String({ pattern: '^[0-9]{4}$' })
const element = Type.Integer({ minimum: 2, maximum: 192 })
const elements = Type.Array(element)
const responseCode = Type.String({ pattern: '^[0-9A-Z]{2,3}$' })
const responseCodes = Type.Array(responseCode)
const managementCode = Type.String({ pattern: '^[0-9]{3}$' })
const managementCodes = Type.Array(managementCode)
const hex = Type.String({ pattern: '^([0-9A-Fa-f]{2})*$' })

const frameForm = Type.Object(
  {
    encoding: Type.Union([Type.Literal('binary'), Type.Literal('ascii'), Type.Literal('bcd')]),
    lengthBytes: Type.Integer({ minimum: 1, maximum: 4 }),
    counts: Type.Union([Type.Literal('body'), Type.Literal('self+body')]),
    zeroLength: Type.Union([Type.Literal('refused'), Type.Literal('keepAlive')]),
    header: Type.Optional(
      Type.Object(
        {
          sent: hex,
          counted: Type.Boolean(),
          expected: Type.Array(
            Type.Object(
              {
                at: Type.Integer({ minimum: 0 }),
                byte: Type.Integer({ minimum: 0, maximum: 255 }),
              },
              closed,
            ),
          ),
        },
        closed,
      ),
    ),
  },
  closed,
)

const sessionForm = object({
  mti: Type.String({ pattern: '^[0-9]{4}$' }),
  codeElement: element,
  codes: object({
    signOn: managementCode,
    signOff: managementCode,
    echo: managementCode,
    cutover: managementCodes,
    keyExchange: managementCodes,
  }),
  signOn: Type.Union([Type.Literal('ours'), Type.Literal('peer'), Type.Literal('none')]),
  approved: responseCodes,
  refusals: Type.Object(
    { refused: responseCode, unsupported: responseCode, malfunction: responseCode },
    closed,
  ),
  answerMs: milliseconds,
  echoAfterMs: milliseconds,
  unansweredMax: Type.Integer({ minimum: 1, maximum: 100 }),
  reconnectMs: milliseconds,
  reconnectMsMax: milliseconds,
  steadyMs: milliseconds,
  refusedMs: milliseconds,
  refusedMsMax: milliseconds,
})

const rulesForm = object({
  reversalMti: Type.Union([Type.Literal('0400'), Type.Literal('0420')]),
  timeoutMs: milliseconds,
  remainingMinMs: milliseconds,
  acquirerId: Type.String({ pattern: '^[0-9]{1,11}$' }),
  approvals: responseCodes,
  partialApprovals: responseCodes,
  reversalAnswers: object({ acknowledged: responseCodes, retry: responseCodes, spoiled: responseCodes }),
  retryAfterMs: Type.Array(milliseconds),
  reconciliation: Type.Object(
    {
      mti: Type.Union([Type.Literal('0500'), Type.Literal('0520')]),
      elements: Type.Partial(
        Type.Object(
          Object.fromEntries(Object.keys(usualReconciliation.elements).map((name) => [name, element])),
        ),
        closed,
      ),
    },
    closed,
  ),
  traceElements: Type.Array(Type.String({ pattern: '^[0-9]{1,3}(\\.[A-Za-z0-9]{1,8})?$' })),
  rateBasis: Type.Union([Type.Literal('major'), Type.Literal('minor')]),
  /** Whether DE4 has DE28 in it, and whether the undoing of the whole gives the network's fees back. */
  fees: object({ inAmount: Type.Boolean(), reversed: Type.Boolean() }),
  stored: object({
    lanes: Type.Integer({ minimum: 1, maximum: 256 }),
    order: Type.Union([Type.Literal('card'), Type.Literal('strict')]),
    perSecondMax: Type.Integer({ minimum: 1, maximum: 100_000 }),
    refusalsMax: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  }),
  holds: object({
    authorizationMs: holdMs,
    preauthorizationMs: holdMs,
    byMerchantType: Type.Record(merchantType, holdMs, closed),
    tolerancePercent: Type.Record(merchantType, Type.Integer({ minimum: 0, maximum: 100 }), closed),
  }),
})

const keysForm = object({
  element,
  form: Type.Union([Type.Literal('text'), Type.Literal('bytes')]),
  checkDigits: Type.Union([Type.Literal(0), Type.Literal(4), Type.Literal(6)]),
  askCode: managementCode,
  answers: Type.Object({ kcvDiffers: responseCode, refused: responseCode }, closed),
  outOfStep: responseCodes,
  graceSeconds: Type.Integer({ minimum: 0, maximum: 86_400 }),
  renew: object({
    afterSeconds: Type.Integer({ minimum: 300, maximum: 31_536_000 }),
    afterSeals: Type.Integer({ minimum: 16, maximum: 1_000_000_000 }),
  }),
})

const networkForm = Type.Object(
  {
    extends: Type.String(),
    /** In the words of a dialect's file; `extends` is the network's own dialect where it isn't said. */
    dialect: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    frame: Type.Optional(Type.Union([Type.String(), frameForm])),
    correlation: Type.Optional(
      object({ key: elements, networkManagementKey: elements, echoCheck: elements }),
    ),
    /** How what the switch says is put into the network's words. */
    wording: Type.Optional(
      Type.Union([Type.Literal('singleMessage'), Type.Literal('dualMessage'), Type.Literal('edition1993')]),
    ),
    /** The algorithm is the key's (its usage says it), the element DE64 or DE128, the range what stands before that. */
    mac: Type.Optional(
      object({
        classes: Type.Array(Type.String({ pattern: '^[1-8]$' })),
        codes: managementCodes,
        padding: Type.Union([Type.Literal(1), Type.Literal(2), Type.Literal(3)]),
      }),
    ),
    pin: Type.Optional(object({ format: Type.Union([Type.Literal(0), Type.Literal(4)]) })),
    session: Type.Optional(sessionForm),
    connections: Type.Optional(
      Type.Union([Type.Literal('sessions'), Type.Literal('halfDuplex'), Type.Literal('oneShot')]),
    ),
    responseAffinity: Type.Optional(Type.Union([Type.Literal('session'), Type.Literal('group')])),
    inFlightMax: Type.Optional(Type.Integer({ minimum: 3, maximum: 10_000 })),
    lateMs: Type.Optional(milliseconds),
    rules: Type.Optional(rulesForm),
    keys: Type.Optional(keysForm),
  },
  closed,
)

type NetworkFile = Static<typeof networkForm>

function dialectOf(json: NetworkFile['dialect'], base: Dialect): Dialect {
  if (json === undefined) return base
  try {
    const dialect = dialectFromJson({ extends: base.name, ...json }, (name) =>
      name === base.name ? base : bundledDialects[name],
    )
    // What only the compiler sees: an element of card data that is not said to be one, lengths that can't be written.
    compile(dialect)
    return dialect
  } catch (error) {
    if (!(error instanceof IsoCodecError)) throw error
    throw new NetworkFileError(
      (error.mistakes.length > 0 ? error.mistakes : [error.message]).map((mistake) => `dialect.${mistake}`),
    )
  }
}

/** A network's own may differ from all of these; it holds where the file says none. */
const wordings: Readonly<Record<NonNullable<NetworkFile['wording']>, Wording>> = {
  singleMessage,
  dualMessage,
  edition1993,
}

/** The two times are said together where the network's folder says neither. */
function holdsOf(
  holds: NonNullable<NetworkFile['rules']>['holds'],
  base: HoldRules | undefined,
): HoldRules | undefined {
  if (holds === undefined) return base
  const { authorizationMs = base?.authorizationMs, preauthorizationMs = base?.preauthorizationMs } = holds
  if (authorizationMs === undefined || preauthorizationMs === undefined)
    throw new NetworkFileError(['rules.holds: authorizationMs and preauthorizationMs are needed'])
  return {
    ...base,
    ...{ authorizationMs, preauthorizationMs },
    ...given('byMerchantType', layered(base?.byMerchantType, holds.byMerchantType)),
    ...given('tolerancePercent', layered(base?.tolerancePercent, holds.tolerancePercent)),
  }
}

function layered<Whole extends object>(base: Whole | undefined, over: Whole | undefined): Whole | undefined {
  return over === undefined ? base : { ...base, ...over }
}

/** A member may say part of it where the network's folder says the rest, and must say the element where it says none. */
function keysOf(keys: NetworkFile['keys'], base: KeyExchangeRules | undefined): KeyExchangeRules | undefined {
  if (keys === undefined) return undefined
  const { element: place = base?.element } = keys
  if (place === undefined) throw new NetworkFileError(['keys.element: where does the key travel?'])
  return { ...usualKeyExchange, ...base, ...keys, element: place }
}

function frameOf(frame: NetworkFile['frame']): FrameFormat | undefined {
  if (typeof frame !== 'string') return frame
  const named = bundledFrames[frame]
  if (named !== undefined) return named
  throw new NetworkFileError([`frame: there are ${Object.keys(bundledFrames).join(', ')}`])
}

function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in Name]?: Value })
}
