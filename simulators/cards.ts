/**
 * Every card the simulators know and every amount that makes the network misbehave: one table for the network, the
 * terminals, the command line and the documents. Published test numbers only, and the one place where a clear card
 * number may stand; books, logs and control answers carry `maskedPan`.
 */
export interface TestCard {
  readonly name: string
  readonly pan: string
  readonly pin: string
  /** DE14: YYMM. */
  readonly expiry: string
  readonly openingBalanceMinor: bigint
  /** Behind which network its account is; `none` has no route here and is for the answer 15. */
  readonly network: string
  /** The most one purchase may take (answer 61 above it). */
  readonly limitMinor?: bigint
  /** Answered whatever is asked. */
  readonly always?: string
  readonly purpose: string
}

/**
 * The prefix of KNET's public gateway test card. It says nothing about real KNET cards: their prefixes are not
 * public.
 */
const knetTestPrefix = '888888'

const named: readonly TestCard[] = [
  {
    name: 'knet',
    // The gateway test card that payment providers publish (developers.tap.company and others), with PIN 1234.
    pan: '8888880000000001',
    pin: '1234',
    expiry: '3009',
    openingBalanceMinor: 100_000_000_000n,
    network: 'knet',
    purpose: 'approves',
  },
  {
    name: 'refused',
    pan: '8888880000000002',
    pin: '1234',
    expiry: '3005',
    openingBalanceMinor: 100_000_000_000n,
    network: 'knet',
    always: '05',
    purpose: 'always declined, 05',
  },
  {
    name: 'poor',
    pan: '8888880000000051',
    pin: '5151',
    expiry: '3009',
    openingBalanceMinor: 250n,
    network: 'knet',
    purpose: 'holds KWD 0.250: insufficient funds, 51',
  },
  {
    name: 'expired',
    pan: '8888880000000054',
    pin: '5454',
    expiry: '2001',
    openingBalanceMinor: 100_000_000_000n,
    network: 'knet',
    purpose: 'expired, 54',
  },
  {
    name: 'limited',
    pan: '8888880000000061',
    pin: '6161',
    expiry: '3009',
    openingBalanceMinor: 100_000_000_000n,
    network: 'knet',
    limitMinor: 5_000n,
    purpose: 'above KWD 5.000: over the limit, 61',
  },
  // Numbers that card processors publish for testing (docs.stripe.com/testing, docs.adyen.com, and others), of those with
  // few zeros: zeros in packed decimal are everywhere on a disk, and a search for card numbers would find them by chance.
  ...foreign('visa', [
    ...['4242424242424242', '4000056655665556', '4012888888881881', '4166676667666746'],
    ...['4444333322221111', '4646464646464644', '4977949494949497', '4988438843884305'],
  ]),
  ...foreign('mastercard', [
    ...['5105105105105100', '2223520443560010', '5136333333333335', '5200828282828210'],
    ...['5454545454545454', '5555341244441115', '5577000055770004', '5585558555855583'],
  ]),
  // A part of the test prefix that stands for a bank whose own host answers.
  ...foreign(
    'issuer-host',
    Array.from({ length: 8 }, (_, index) => `${knetTestPrefix}77000000${77 + index}`),
  ),
  // More of the published ones. Nothing routes them here.
  unrouted('visa', '4111111111111111'),
  unrouted('mastercard', '5555555555554444'),
  unrouted('discover', '6011111111111117'),
]

function foreign(network: string, pans: readonly string[]): TestCard[] {
  return pans.map((pan, index) => ({
    name: index === 0 ? `${network}-approved` : `${network}-${index + 1}`,
    pan,
    pin: '1234',
    expiry: '3009',
    openingBalanceMinor: 100_000_000_000n,
    network,
    purpose: `approves, behind ${network}`,
  }))
}

function unrouted(name: string, pan: string): TestCard {
  return {
    name,
    pan,
    pin: '1234',
    expiry: '3009',
    openingBalanceMinor: 0n,
    network: 'none',
    purpose: 'no such issuer here, 15',
  }
}

/** Cards of the test prefix for load, each with its own PIN, so that no single account is a bottleneck. */
export const loadCards: readonly TestCard[] = Array.from({ length: 64 }, (_, index) => ({
  name: `load-${index}`,
  pan: `${knetTestPrefix}000000${1_000 + index}`,
  pin: String(1_000 + ((index * 7_919 + 1_237) % 9_000)),
  expiry: '3009',
  openingBalanceMinor: 100_000_000_000n,
  network: 'knet',
  purpose: 'approves; for load',
}))

export const testCards: readonly TestCard[] = [...named, ...loadCards]

/** The cards behind a network that approve whatever is asked of them: for load. */
export function loadCardsOf(network: string): readonly TestCard[] {
  const own = loadCards.filter((card) => card.network === network)
  if (own.length > 0) return own
  return testCards.filter((card) => card.network === network && card.purpose.startsWith('approves'))
}

/** A named card of the table; a name that is not there is our bug. */
export function cardNamed(name: string): TestCard {
  const card = testCards.find((candidate) => candidate.name === name)
  if (card === undefined) throw new Error(`no test card is called ${name}`)
  return card
}

/** First six and last four digits. In this table the mask still names one card. */
export function maskedPan(pan: string): string {
  return pan.length < 13
    ? '*'.repeat(pan.length)
    : `${pan.slice(0, 6)}${'*'.repeat(pan.length - 10)}${pan.slice(-4)}`
}

const byMask: ReadonlyMap<string, TestCard> = new Map(testCards.map((card) => [maskedPan(card.pan), card]))

/** The card behind a mask in a book. */
export function cardOfMask(mask: string): TestCard | undefined {
  return byMask.get(mask)
}

/** What the network does with a purchase of a certain amount, beside what the card decides. */
export interface AmountOutcome {
  /** The last three digits of the amount: fils. Real prices in Kuwait end in 0 or 5. */
  readonly endsWith: string
  /** What the issuer decides; `00` debits the account. undefined: the request never reaches it. */
  readonly decision: string | undefined
  readonly answer: AnswerManner
  /** How much of what is asked is granted; all of it when absent. */
  readonly grants?: 'half'
  readonly reversals?: ReversalManner
  /** What the network charges us for it, or pays us. */
  readonly charge?: { readonly sign: 'C' | 'D'; readonly minor: bigint }
  /** The response codes a terminal may see behind the switch. */
  readonly terminalSees: readonly string[]
  readonly purpose: string
}

type AnswerManner =
  | 'once'
  | 'never'
  | 'late'
  | 'twice'
  | 'twiceDiffering'
  | 'disconnectBefore'
  | 'disconnectAfter'
  | 'badSeal'
  | 'withoutResponseCode'
  | 'higherAmount'
  | 'otherReference'

type ReversalManner = 'unansweredTwice' | 'retryOnce' | 'refused'

/** The network did not answer as it should: the switch says so, and reverses. */
const unanswered = ['91', '68'] as const

export const amountOutcomes: readonly AmountOutcome[] = [
  declinedWith('905', '05', 'do not honour'),
  declinedWith('941', '41', 'lost card'),
  declinedWith('943', '43', 'stolen card'),
  declinedWith('951', '51', 'insufficient funds'),
  declinedWith('954', '54', 'expired card'),
  declinedWith('955', '55', 'wrong PIN, whatever the PIN'),
  declinedWith('957', '57', 'not permitted to this cardholder'),
  declinedWith('959', '59', 'suspected fraud'),
  declinedWith('961', '61', 'over the limit'),
  declinedWith('962', '62', 'restricted card'),
  declinedWith('965', '65', 'too many times'),
  declinedWith('975', '75', 'PIN tried too often'),
  declinedWith('991', '91', 'issuer down'),
  declinedWith('996', '96', 'system malfunction'),
  misbehaved('901', 'never', 'debited, never answered', unanswered),
  misbehaved('902', 'late', 'debited, approval comes late', unanswered),
  { ...misbehaved('903', 'late', 'decline comes late', unanswered), decision: '51' },
  misbehaved('904', 'twice', 'the same answer twice', ['00']),
  misbehaved('906', 'twiceDiffering', 'an approval, then a decline', ['00']),
  misbehaved('907', 'disconnectBefore', 'debited, line cut instead of an answer', unanswered),
  misbehaved('908', 'disconnectAfter', 'line cut just after the answer', ['00', ...unanswered]),
  { ...misbehaved('909', 'never', 'request lost before the issuer', unanswered), decision: undefined },
  misbehaved('911', 'badSeal', 'approval with a wrong seal', unanswered),
  misbehaved('912', 'withoutResponseCode', 'answer without DE39', unanswered),
  misbehaved('913', 'higherAmount', 'approval for a higher amount', ['96', ...unanswered]),
  misbehaved('914', 'otherReference', "answer with another purchase's DE37", unanswered),
  { ...misbehaved('916', 'once', 'half of it approved', ['10', '51']), grants: 'half' },
  {
    ...misbehaved('917', 'once', 'the network charges 25 for it (DE30)', ['00']),
    charge: { sign: 'D', minor: 25n },
  },
  {
    ...misbehaved('918', 'once', 'the network pays 10 for it (DE30)', ['00']),
    charge: { sign: 'C', minor: 10n },
  },
  { ...misbehaved('921', 'once', 'reversals unanswered twice', ['00']), reversals: 'unansweredTwice' },
  { ...misbehaved('922', 'once', 'first reversal answered 96', ['00']), reversals: 'retryOnce' },
  { ...misbehaved('923', 'once', 'reversals answered 12', ['00']), reversals: 'refused' },
]

function declinedWith(endsWith: string, decision: string, purpose: string): AmountOutcome {
  return { endsWith, decision, answer: 'once', terminalSees: [decision], purpose }
}

function misbehaved(
  endsWith: string,
  answer: AnswerManner,
  purpose: string,
  terminalSees: readonly string[],
): AmountOutcome {
  return { endsWith, decision: '00', answer, terminalSees, purpose }
}

const byEnding: ReadonlyMap<string, AmountOutcome> = new Map(
  amountOutcomes.map((outcome) => [outcome.endsWith, outcome]),
)

/** The outcome an amount asks for; undefined for an ordinary one. */
export function outcomeOfAmount(amountMinor: bigint): AmountOutcome | undefined {
  return byEnding.get((amountMinor % 1_000n).toString().padStart(3, '0'))
}
