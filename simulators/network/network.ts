import { access, readFile } from 'node:fs/promises'
import { type Dialect, compile, type FrameFormat, type Link } from '../../iso8583/iso8583.ts'
import { openBook, readBook } from '../book.ts'
import type { Config } from '../config.ts'
import { type Control, serveControl } from '../control.ts'
import { keyNamed, readKeyFile } from '../keys.ts'
import type { KeySpeech } from './asking.ts'
import { changed, goodBehaviour } from './behaviour.ts'
import type { NetworkLine } from './book-lines.ts'
import { readConversions } from './conversion.ts'
import { noCounts } from './counts.ts'
import { BusinessDates } from './day.ts'
import { Desk } from './desk.ts'
import { changedTerms, type FeeTerms } from './fees.ts'
import { dualMessages, messagesOf1993, singleMessage } from './hearing.ts'
import { Issuer } from './issuer.ts'
import { KeyRing, ringParts } from './key-ring.ts'
import { openLines } from './lines.ts'
import { type Rule, Rules, readRules } from './rules.ts'

/** What a network speaks. It comes from outside: the simulators know no network's dialect. */
export interface Speech {
  readonly dialect: Dialect
  readonly frame: FrameFormat
  /** How it asks for money: at once, or first for an authorization. Editions since 1993 have a way of their own. */
  readonly messages?: 'single' | 'dual'
  /** How keys are exchanged in messages, where they are. */
  readonly exchange?: KeySpeech
  /** Whether DE4 has DE28 in it, and whether undoings give its fees back. */
  readonly fees?: Partial<Readonly<FeeTerms>>
}

export interface NetworkProcess {
  readonly host: string
  readonly port: number
  readonly control: Control
  /** Lines of an earlier life from which balances and memory were rebuilt. */
  readonly replayed: number
  readonly close: () => Promise<void>
}

/** Starts the network that the configuration describes: first its memory, then its book, control and listener. */
export async function openNetwork(
  config: Config,
  { dialect, frame, messages, exchange, fees: agreed }: Speech,
): Promise<NetworkProcess> {
  const name = config.text('name')
  const bookPath = config.text('book')
  const keys = await readKeyFile(config.text('keyFile'))
  const refs = config.needed('keys')
  const seed = config.number('seed', { min: 0, max: 2 ** 32 - 1, fallback: 1 })
  const conversions = readConversions(config)
  const fees = { inAmount: true, reversed: false, ...agreed }
  const issuer = new Issuer(seed, name, conversions.settlement, fees)
  const dates = new BusinessDates(Date.now(), fees)
  const replayed = await replay(bookPath, issuer, dates)
  const book = await openBook(bookPath)
  const counts = noCounts()
  const ring = new KeyRing({
    ...{ pin: keyNamed(keys, refs.text('pin')), mac: keyNamed(keys, refs.text('mac')) },
    kbpk: refs.names().includes('kbpk') ? keyNamed(keys, refs.text('kbpk')) : undefined,
    file: `${bookPath}.keys`,
  })
  const desks = new Set<Desk>()
  const links = new Set<Link>()
  let behaviour = goodBehaviour
  let rules = new Rules(await configuredRules(config), seed)
  const network = {
    name,
    codec: compile(dialect),
    hearing: dialect.version !== '1987' ? messagesOf1993 : messages === 'dual' ? dualMessages : singleMessage,
    keys: ring,
    exchange,
    issuer,
    book,
    dates,
    counts,
    conversions,
    fees,
    lateMs: config.number('lateMs', { min: 0, max: 600_000, fallback: 6_000 }),
    otherLink: (link: Link) => [...links].find((other) => other !== link && other.open) ?? link,
    behaviour: () => behaviour,
    rules: () => rules,
  }
  const server = await openLines(config, frame, (link) => {
    const desk = new Desk(network, link)
    desks.add(desk)
    links.add(link)
    return {
      // A book that cannot be written ends the process: the rejection is nobody's to handle.
      onMessage: (body) => void desk.receive(body),
      onClose: () => {
        desks.delete(desk)
        links.delete(link)
        desk.closed()
      },
    }
  })
  const status = (): object => ({
    name,
    dialect: dialect.name,
    links: desks.size,
    signedOn: [...desks].filter(({ signedOn }) => signedOn).length,
    ...counts,
    debitedMinor: issuer.debitedMinor.toString(),
    behaviour,
    keys: { exchanged: ring.exchanged, offered: ring.offered, kcvs: ring.kcvs },
  })
  const control = await serveControl(config.needed('control').address(), {
    'GET /status': () => Promise.resolve(status()),
    'POST /behaviour': async ({ body }) => {
      const change = changed(behaviour, body)
      if (change === undefined) return undefined
      behaviour = change.behaviour
      if (change.once.signOff) for (const desk of desks) await desk.signOff()
      if (change.once.disconnect) for (const desk of desks) desk.disconnect('asked for')
      return status()
    },
    /** `{"send": "mac"}` tells one peer of a new key, `wrongKcv` with it; `{"lose": "mac"}` uses one that nobody was told of. */
    'POST /keys': async ({ body: { send, lose, wrongKcv = false } }) => {
      const [sent, lost] = [send, lose].map((named) => ringParts.find((part) => part === named))
      if (lost !== undefined) ring.lose(lost)
      else if (sent === undefined) return undefined
      const desk = [...desks].find(({ signedOn }) => signedOn)
      const responseCode =
        sent === undefined ? undefined : await desk?.asking.tellKey(sent, { wrongKcv: wrongKcv === true })
      return { ...status(), responseCode: responseCode ?? null }
    },
    /** `cutover`: the date that begins, which every peer is told; `misbookMinor`: a debit that no peer knows of, in each currency that is told. */
    'POST /day': async ({ body: { cutover, misbookMinor } }) => {
      if (typeof misbookMinor === 'string' && /^\d{1,12}$/.test(misbookMinor))
        for (const currency of new Set(['414', conversions.settlement?.currency ?? '414']))
          dates.misbook(currency, BigInt(misbookMinor))
      let responseCode: string | undefined
      if (typeof cutover === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(cutover)) {
        dates.begin(cutover)
        for (const desk of desks) responseCode = await desk.cutover(cutover.slice(5, 7) + cutover.slice(8))
      }
      return { date: dates.date, ...counts.totals, responseCode: responseCode ?? null }
    },
    /** `{"inAmount": false, "reversed": true}`: how it has it with fees from now on. */
    'POST /fees': ({ body }) => {
      const terms = changedTerms(fees, body)
      return Promise.resolve(terms && Object.assign(fees, terms))
    },
    'GET /rules': () => Promise.resolve({ rules: rules.list() }),
    /** In the place of those that held; they count from nothing. */
    'POST /rules': ({ body: { rules: text, file = '(rules)' } }) => {
      if (typeof text !== 'string' || typeof file !== 'string') return Promise.resolve(undefined)
      rules = new Rules(readRules(text, file), seed)
      return Promise.resolve({ rules: rules.list() })
    },
  })
  return {
    host: config.text('host', '127.0.0.1'),
    port: server.port,
    control,
    replayed,
    close: async () => {
      await control.close()
      await server.close()
      await book.close()
    },
  }
}

/** Of the file that the configuration names, if it names one. */
async function configuredRules(config: Config): Promise<readonly Rule[]> {
  if (!config.names().includes('rules')) return []
  const file = config.text('rules')
  return readRules(await readFile(file, 'utf8'), file)
}

async function replay(path: string, issuer: Issuer, dates: BusinessDates): Promise<number> {
  const exists = await access(path).then(
    () => true,
    () => false,
  )
  let lines = 0
  if (!exists) return lines
  for await (const line of readBook(path)) {
    issuer.replay(line as unknown as NetworkLine)
    dates.count(line as unknown as NetworkLine)
    lines++
  }
  return lines
}
