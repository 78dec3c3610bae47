/**
 * What became of a request, in our own words (§4.12): between what a network says in its codes and what a source is told
 * in its own there is always one of these, so that nothing raw passes through. Three tables: the words, what each code
 * of an edition means, and how each word is said in an edition.
 */
export type Outcome = keyof typeof outcomes

export interface OutcomeTraits {
  readonly approved?: boolean
  /** The same request may be approved a little later. */
  readonly retryable?: boolean
  /** Whose doing it is. */
  readonly fault?: 'cardholder' | 'merchant' | 'issuer' | 'network' | 'us'
  /** Said by a front end that could not ask its issuer: where the rules allow it, we may approve in its place. */
  readonly standIn?: boolean
}

const ofCardholder = { fault: 'cardholder' } as const
const ofIssuer = { fault: 'issuer' } as const
const ofMerchant = { fault: 'merchant' } as const
const away = { fault: 'network', retryable: true, standIn: true } as const

export const outcomes = {
  approved: { approved: true },
  approvedWithId: { approved: true },
  approvedPartial: { approved: true },
  approvedVip: { approved: true },
  /** Of a card that was looked at, never of money. */
  noReasonToDecline: { approved: true },
  referToIssuer: ofIssuer,
  invalidMerchant: ofMerchant,
  pickUp: ofIssuer,
  /** What everything unknown is, too. */
  doNotHonour: ofIssuer,
  invalidTransaction: ofMerchant,
  invalidAmount: ofMerchant,
  invalidCard: ofCardholder,
  noSuchIssuer: ofCardholder,
  customerCancel: ofCardholder,
  reEnter: { fault: 'network', retryable: true },
  /** A reversal had nothing to do. */
  noAction: {},
  notFound: ofMerchant,
  formatError: { fault: 'us' },
  unsupported: ofMerchant,
  lost: ofIssuer,
  stolen: ofIssuer,
  insufficientFunds: ofCardholder,
  expired: ofCardholder,
  wrongPin: { fault: 'cardholder', retryable: true },
  notPermittedCard: ofCardholder,
  notPermittedTerminal: ofMerchant,
  suspectedFraud: ofIssuer,
  amountLimit: ofCardholder,
  restricted: ofIssuer,
  security: { fault: 'us' },
  countLimit: ofCardholder,
  late: away,
  pinTries: ofCardholder,
  pinKeySync: { fault: 'us', retryable: true },
  cutover: { fault: 'network', retryable: true },
  unavailable: away,
  noRoute: { fault: 'network' },
  legal: ofIssuer,
  duplicate: ofMerchant,
  outOfBalance: { fault: 'us' },
  system: away,
} as const satisfies Readonly<Record<string, OutcomeTraits>>

export type Edition = '1987' | '1993'

/** What is told until it is acknowledged had come before, and was done: a duplicate, in the codes of 1987 and of 1993. */
export const hadItAlready: readonly string[] = ['94', '913']

/** Since 1993 an undoing that was done has a code of its own. */
export const reversalAccepted1993 = '400'

/** What a code of DE39 means where a network says nothing else: the generic lists of ISO 8583. */
export const meanings: Readonly<Record<Edition, Readonly<Record<string, Outcome>>>> = {
  '1987': {
    '00': 'approved',
    '08': 'approvedWithId',
    '10': 'approvedPartial',
    '11': 'approvedVip',
    '85': 'noReasonToDecline',
    '01': 'referToIssuer',
    '02': 'referToIssuer',
    '03': 'invalidMerchant',
    '04': 'pickUp',
    '07': 'pickUp',
    '33': 'pickUp',
    '34': 'pickUp',
    '35': 'pickUp',
    '36': 'pickUp',
    '37': 'pickUp',
    '38': 'pickUp',
    '67': 'pickUp',
    '05': 'doNotHonour',
    '12': 'invalidTransaction',
    '13': 'invalidAmount',
    '14': 'invalidCard',
    '15': 'noSuchIssuer',
    '17': 'customerCancel',
    '19': 'reEnter',
    '21': 'noAction',
    '25': 'notFound',
    '30': 'formatError',
    '40': 'unsupported',
    '41': 'lost',
    '43': 'stolen',
    '51': 'insufficientFunds',
    '54': 'expired',
    '55': 'wrongPin',
    '57': 'notPermittedCard',
    '58': 'notPermittedTerminal',
    '59': 'suspectedFraud',
    '61': 'amountLimit',
    '62': 'restricted',
    '63': 'security',
    '65': 'countLimit',
    '68': 'late',
    '75': 'pinTries',
    '90': 'cutover',
    '91': 'unavailable',
    '92': 'noRoute',
    '93': 'legal',
    '94': 'duplicate',
    '95': 'outOfBalance',
    '96': 'system',
  },
  '1993': {
    '000': 'approved',
    '001': 'approvedWithId',
    '002': 'approvedPartial',
    '003': 'approvedVip',
    '107': 'referToIssuer',
    '108': 'referToIssuer',
    '109': 'invalidMerchant',
    '200': 'pickUp',
    '201': 'pickUp',
    '202': 'pickUp',
    '203': 'pickUp',
    '204': 'pickUp',
    '205': 'pickUp',
    '206': 'pickUp',
    '207': 'pickUp',
    '100': 'doNotHonour',
    '902': 'invalidTransaction',
    '110': 'invalidAmount',
    '111': 'invalidCard',
    '903': 'reEnter',
    '914': 'notFound',
    '904': 'formatError',
    '115': 'unsupported',
    '208': 'lost',
    '209': 'stolen',
    '116': 'insufficientFunds',
    '101': 'expired',
    '117': 'wrongPin',
    '119': 'notPermittedCard',
    '120': 'notPermittedTerminal',
    '102': 'suspectedFraud',
    '121': 'amountLimit',
    '104': 'restricted',
    '122': 'security',
    '916': 'security',
    '123': 'countLimit',
    '911': 'late',
    '106': 'pinTries',
    '128': 'pinKeySync',
    '906': 'cutover',
    '907': 'unavailable',
    '910': 'unavailable',
    '912': 'unavailable',
    '908': 'noRoute',
    '124': 'legal',
    '913': 'duplicate',
    '915': 'outOfBalance',
    '909': 'system',
  },
}

/** How a source of the edition of 1987 is told of an outcome, where it wants nothing else. */
export const told1987: Readonly<Record<Outcome, string>> = {
  approved: '00',
  approvedWithId: '08',
  approvedPartial: '10',
  approvedVip: '11',
  noReasonToDecline: '85',
  referToIssuer: '01',
  invalidMerchant: '03',
  pickUp: '04',
  doNotHonour: '05',
  invalidTransaction: '12',
  invalidAmount: '13',
  invalidCard: '14',
  noSuchIssuer: '15',
  customerCancel: '17',
  reEnter: '19',
  noAction: '21',
  notFound: '25',
  formatError: '30',
  unsupported: '40',
  lost: '41',
  stolen: '43',
  insufficientFunds: '51',
  expired: '54',
  wrongPin: '55',
  notPermittedCard: '57',
  notPermittedTerminal: '58',
  suspectedFraud: '59',
  amountLimit: '61',
  restricted: '62',
  security: '63',
  countLimit: '65',
  late: '68',
  pinTries: '75',
  // 1987 has no code for it, and the cardholder can do nothing about it.
  pinKeySync: '96',
  cutover: '90',
  unavailable: '91',
  noRoute: '92',
  legal: '93',
  duplicate: '94',
  outOfBalance: '95',
  system: '96',
}

/** A source's own way of saying outcomes, where it is not that of its edition. `timeout`: the destination was silent. */
export type Told = Readonly<Partial<Record<Outcome | 'timeout', string>>>

/** What a source is told. */
export function toldOf(told: Told | undefined, outcome: Outcome | 'timeout'): string {
  return told?.[outcome] ?? told1987[outcome === 'timeout' ? 'unavailable' : outcome]
}

/** How a destination's answers are read. */
export interface Reading {
  readonly edition: Edition
  /** What its codes mean otherwise than those of the edition. */
  readonly meanings?: Readonly<Record<string, Outcome>>
  /** The codes that approve, and those that approve a part: closed lists. */
  readonly approvals: readonly string[]
  readonly partialApprovals: readonly string[]
}

export interface Read {
  readonly outcome: Outcome
  /**
   * `unknown`: a code that no table has. `unlisted`: elsewhere it approves, but this destination is not known to say it; it
   * may have taken the money.
   */
  readonly strange?: 'unknown' | 'unlisted'
}

/**
 * What a code of a destination means. `alsoApprovals`: what approves of this kind of request beside the list. What is
 * not known is a decline, and somebody hears of it.
 */
export function readCode(reading: Reading, code: string, alsoApprovals: readonly string[] = []): Read {
  const { approvals, partialApprovals } = reading
  const outcome = reading.meanings?.[code] ?? meanings[reading.edition][code]
  if (partialApprovals.includes(code)) return { outcome: 'approvedPartial' }
  if (approvals.includes(code) || alsoApprovals.includes(code))
    return { outcome: outcome !== undefined && isApproval(outcome) ? outcome : 'approved' }
  // No reason to decline is no money either.
  if (outcome === undefined || outcome === 'noReasonToDecline')
    return { outcome: 'doNotHonour', strange: 'unknown' }
  if (isApproval(outcome)) return { outcome: 'doNotHonour', strange: 'unlisted' }
  return { outcome }
}

/** It says that the issuer could not be asked, so that somebody may decide in its place. */
export function isOutOfReach(outcome: Outcome): boolean {
  const traits: OutcomeTraits = outcomes[outcome]
  return traits.standIn === true
}

export function isApproval(outcome: Outcome): boolean {
  const traits: OutcomeTraits = outcomes[outcome]
  return traits.approved === true
}
