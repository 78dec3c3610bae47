import { answerMti, type Dialect, type FieldValue, type MessageBody } from '../iso8583/iso8583.ts'
import type { NetworkProfile } from './network.ts'
import { usualStored } from './connector.ts'

/**
 * What can be known to be wrong with a network's profile before anything is sent: one sentence for each mistake. That no
 * sensitive element is shown, `compile` sees to.
 */
export function lintNetwork(network: NetworkProfile): readonly string[] {
  const mistakes: string[] = []
  const wrong = (what: string): void => void mistakes.push(what)
  checkElements(network, wrong)
  checkMessages(network, wrong)
  checkWording(network, wrong)
  checkCodes(network, wrong)
  checkTimers(network, wrong)
  checkKeys(network, wrong)
  checkFees(network, wrong)
  return mistakes
}

type Wrong = (what: string) => void

/** Nothing may be looked for that the dialect has not, and a STAN alone names no request. */
function checkElements({ dialect, correlation, rules }: NetworkProfile, wrong: Wrong): void {
  const places = { ...correlation }
  for (const [place, elements] of Object.entries(places)) {
    for (const de of elements) {
      if (!(de in dialect.fields)) wrong(`correlation.${place}: the dialect has no DE${de}`)
      else if (place !== 'echoCheck' && dialect.fields[de]?.sensitive !== undefined)
        wrong(`correlation.${place}: DE${de} is sensitive, and keys are kept in memory for long`)
    }
  }
  if (!correlation.key.some((de) => de !== 11))
    wrong('correlation.key: DE11 alone is used again within the day')
  for (const path of rules.traceElements ?? []) {
    const field = dialect.fields[Number(path.split('.')[0])]
    if (field === undefined) wrong(`rules.traceElements: the dialect has no ${path}`)
    else if (field.sensitive !== undefined && field.sensitive !== 'private')
      wrong(`rules.traceElements: ${path} is card data and may not be kept`)
  }
}

/** Each message we send has an answer of its own type. */
function checkMessages({ dialect, wording, rules, session }: NetworkProfile, wrong: Wrong): void {
  const asked = ['0100', '0200', '0220', rules.reversalMti].map((mti) => said({ mti, fields: {} }, wording))
  for (const mti of [...asked, session.mti ?? '0800']) {
    if (answerMti(dialect, mti) === undefined) wrong(`answers.mti: nothing answers ${mti}`)
    if (mti[0] !== versionDigits[dialect.version])
      wrong(`wording: ${mti} is not of the edition of ${dialect.version}`)
  }
}

/** What the words are put in must be there to be written. */
function checkWording({ dialect, wording, rules }: NetworkProfile, wrong: Wrong): void {
  const fields = { 3: '000000', 7: '0101000000', 11: '000001', 12: '000000', 13: '0101', 22: '051', 25: '00' }
  const original = { mti: '0200', stan: '000001', transmittedAt: '0101000000', acquirerId: '1' }
  const asked = { mti: '0200', fields }
  const undone = { mti: rules.reversalMti, fields: { ...fields, 4: 1n, 90: original } }
  const missing = new Set<string>()
  for (const body of [asked, undone]) {
    const { fields: spoken } = wording?.say(body, 0) ?? body
    for (const de of Object.keys(spoken)) if (!(de in dialect.fields)) missing.add(de)
  }
  for (const de of missing) wrong(`wording: the dialect has no DE${de}`)
}

/** DE39 has two characters in 1987 and three digits since. */
function checkCodes({ dialect, rules, session }: NetworkProfile, wrong: Wrong): void {
  const { acknowledged, retry, spoiled = [] } = rules.reversalAnswers
  const form = dialect.version === '1987' ? /^[0-9A-Z]{2}$/ : /^[0-9]{3}$/
  const lists = {
    'rules.approvals': rules.approvals,
    'rules.reversalAnswers.acknowledged': acknowledged,
    'rules.reversalAnswers.retry': retry,
    'session.approved': session.approved,
  }
  for (const [place, codes] of Object.entries(lists)) {
    if (codes.length === 0) wrong(`${place}: is empty`)
    for (const code of codes)
      if (!form.test(code)) wrong(`${place}: ${code} is no code of ${dialect.version}`)
  }
  for (const code of acknowledged)
    if (retry.includes(code) || spoiled.includes(code))
      wrong(`rules.reversalAnswers: ${code} can't both end a reversal and repeat it`)
  for (const code of rules.approvals) {
    if (rules.partialApprovals?.includes(code))
      wrong(`rules.approvals: ${code} approves a part, and would be taken for the whole`)
    // No reason to decline: of a card that was looked at, never of money (§4.10).
    if (code === '85') wrong('rules.approvals: 85 approves no money')
  }
  const { signOn, signOff, echo } = session.codes
  if (new Set([signOn, signOff, echo]).size < 3)
    wrong('session.codes: sign-on, sign-off and echo must differ')
}

/** What waits for another waits longer than it (§4.4). */
function checkTimers({ rules, session, lateMs, inFlightMax }: NetworkProfile, wrong: Wrong): void {
  const shorter = (place: string, one: number, other: string, than: number): void => {
    if (one >= than) wrong(`${place}: ${one} ms must be less than ${other}, ${than} ms`)
  }
  shorter('rules.remainingMinMs', rules.remainingMinMs, 'rules.timeoutMs', rules.timeoutMs)
  shorter('rules.timeoutMs', rules.timeoutMs, 'lateMs', lateMs)
  shorter('session.answerMs', session.answerMs, 'session.echoAfterMs', session.echoAfterMs)
  if (rules.retryAfterMs.some((wait, index) => wait < (rules.retryAfterMs[index - 1] ?? 1)))
    wrong('rules.retryAfterMs: waits must be there and must not become shorter')
  const stored = { ...usualStored, ...rules.stored }
  for (const place of ['lanes', 'perSecondMax', 'refusalsMax'] as const) {
    if (!Number.isInteger(stored[place]) || stored[place] < 1) wrong(`rules.stored.${place}: at least 1`)
  }
  if (stored.lanes > 256) wrong('rules.stored.lanes: at most 256')
  if (!Number.isInteger(inFlightMax) || inFlightMax < 3) wrong('inFlightMax: at least 3, two are reserved')
}

/** A key travels in an element that no log shows, and is asked for by a code that nothing else has. */
function checkKeys({ dialect, keys, session }: NetworkProfile, wrong: Wrong): void {
  if (keys === undefined) return
  const { element, askCode, answers, outOfStep } = keys
  const field = dialect.fields[element]
  if (field === undefined) wrong(`keys.element: the dialect has no DE${element}`)
  else if (field.sensitive === undefined) wrong(`keys.element: DE${element} would be shown in logs`)
  const { signOn, signOff, echo, cutover = ['201'] } = session.codes
  if ([signOn, signOff, echo, ...cutover].includes(askCode))
    wrong(`keys.askCode: ${askCode} means something else`)
  const form = dialect.version === '1987' ? /^[0-9A-Z]{2}$/ : /^[0-9]{3}$/
  for (const code of [answers.kcvDiffers, answers.refused, ...outOfStep])
    if (!form.test(code)) wrong(`keys: ${code} is no code of ${dialect.version}`)
}

/** What DE4 has not in it must be said elsewhere, or the cardholder would be charged less than was agreed. */
function checkFees({ dialect, rules, wording }: NetworkProfile, wrong: Wrong): void {
  if (rules.fees?.inAmount !== false) return
  const fields = { 4: 2n, 28: { sign: 'D', amount: 1n }, 49: '414' }
  const body = { mti: '0200', fields }
  const spoken = Object.keys((wording?.say(body, 0) ?? body).fields)
  const de = spoken.find((each) => each === '28' || each === '46')
  if (de === undefined) wrong('rules.fees.inAmount: the wording has no element for what DE4 is without')
  else if (!(de in dialect.fields)) wrong(`rules.fees.inAmount: the dialect has no DE${de} to say it in`)
}

const versionDigits: Readonly<Record<Dialect['version'], string>> = { '1987': '0', '1993': '1', '2003': '2' }

function said(
  body: MessageBody<Readonly<Record<number, FieldValue>>>,
  wording: NetworkProfile['wording'],
): string {
  return (wording?.say(body, 0) ?? body).mti
}
