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
import type { NetworkProfile } from './network.ts'
import { usualReconciliation } from './usual.ts'

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
    sealedClasses,
    session,
    inFlightMax,
    lateMs,
    rules,
    keys,
  } = json
  const network: NetworkProfile = {
    ...base,
    dialect,
    ...given('frame', frameOf(json.frame)),
    ...given('sealedClasses', sealedClasses),
    ...given('connections', connections),
    ...given('responseAffinity', responseAffinity),
    ...given('inFlightMax', inFlightMax),
    ...given('lateMs', lateMs),
    ...given('keys', keysOf(keys, base.keys)),
    correlation: { ...base.correlation, ...correlation },
    session: {
      ...base.session,
      ...session,
      codes: { ...base.session.codes, ...session?.codes },
    },
    rules: {
      ...base.rules,
      ...rules,
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

  constructor(mistakes: readonly string[]) {
    super(['the network file is refused:', ...mistakes].join('\n  '))
    this.name = 'NetworkFileError'
    this.mistakes = mistakes
  }
}

const closed = { additionalProperties: false } as const
const object = <Properties extends Record<string, TSchema>>(properties: Properties) =>
  Type.Partial(Type.Object(properties), closed)
const milliseconds = Type.Integer({ minimum: 1, maximum: 86_400_000 })
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
  sealedCodes: managementCodes,
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
  pinFormat: Type.Union([Type.Literal(0), Type.Literal(4)]),
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
    sealedClasses: Type.Optional(Type.Array(Type.String({ pattern: '^[1-8]$' }))),
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
