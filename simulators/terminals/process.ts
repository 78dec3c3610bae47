import { readFile } from 'node:fs/promises'
import { openBook } from '../book.ts'
import { loadCardsOf } from '../cards.ts'
import type { Config } from '../config.ts'
import { type Control, serveControl } from '../control.ts'
import { keyNamed, readKeyFile } from '../keys.ts'
import { Estate, type EstateOptions } from './estate.ts'
import type { LineTls } from './line.ts'
import { Numbering } from './numbering.ts'
import { recover } from './recovery.ts'
import { defaultMix, type Mix, scenarioNames } from './scenarios.ts'

export interface EstateProcess {
  readonly control: Control
  readonly estate: Estate
  /** How many purchases of an earlier life are being reversed. */
  readonly resumed: number
  readonly close: () => Promise<void>
}

const rates = { min: 0.01, max: 10_000 }
const waitMsMax = 600_000

/** Starts the estate that the configuration describes, its remote control first. */
export async function openEstate(config: Config): Promise<EstateProcess> {
  const bookPath = config.text('book')
  const options = await estateOptions(config)
  const numbering = new Numbering(Date.now())
  const unresolved = await recover(bookPath, numbering)
  const book = await openBook(bookPath, { gatherMs: bookGatherMs })
  const estate = new Estate(options, book, numbering)
  const control = await serveControl(config.needed('control').address(), {
    'GET /status': () => Promise.resolve(estate.status()),
    'POST /start': () => {
      estate.start()
      return Promise.resolve(estate.status())
    },
    'POST /window': () => Promise.resolve(estate.tally.takeWindow()),
    'POST /rate': ({ body: { rate } }) => {
      if (typeof rate !== 'number' || !(rate >= rates.min && rate <= rates.max))
        return Promise.resolve(undefined)
      estate.setRate(rate)
      return Promise.resolve(estate.status())
    },
    'POST /stop': async ({ query }) => {
      const waitMs = Number(query.get('waitMs') ?? waitMsMax)
      if (!(waitMs >= 0 && waitMs <= waitMsMax)) return undefined
      return { result: await estate.stop(waitMs), ...estate.status() }
    },
  })
  estate.resume(unresolved)
  estate.start()
  return {
    control,
    estate,
    resumed: unresolved.length,
    async close() {
      await control.close()
      await estate.close()
    },
  }
}

/** Lines are booked ahead of their time, so they can wait for each other and spare the disk. */
const bookGatherMs = 20

async function estateOptions(config: Config): Promise<EstateOptions> {
  const keys = await readKeyFile(config.text('keyFile'))
  const refs = config.needed('keys')
  const seconds = config.optionalNumber('seconds', { min: 0.1, max: 1e9 })
  const mix = config.section('mix')
  const tls = config.section('tls')
  return {
    ...config.address(),
    ...(config.names().includes('alternates') && {
      alternates: config.sections('alternates').map((each) => each.address()),
    }),
    ...(tls && { tls: await lineTlsOf(tls) }),
    keys: { pin: keyNamed(keys, refs.text('pin')), mac: keyNamed(keys, refs.text('mac')) },
    terminals: config.number('terminals', { min: 1, max: 100_000 }),
    rate: config.number('rate', rates),
    seed: config.number('seed', { min: 0, max: 2 ** 32 - 1, fallback: 1 }),
    timeoutMs: config.number('timeoutMs', { min: 1, max: 600_000, fallback: 30_000 }),
    connections: config.number('connections', { min: 1, max: 10_000, fallback: 4 }),
    outstandingMaxPerTerminal: config.number('outstandingMaxPerTerminal', { min: 1, max: 100, fallback: 4 }),
    reversalEveryMs: config.number('reversalEveryMs', { min: 10, max: 600_000, fallback: 3_000 }),
    repeatShare: config.number('repeatShare', { min: 0, max: 1, fallback: 0.3 }),
    mix: mix === undefined ? defaultMix : mixOf(mix),
    ...(seconds === undefined ? {} : { seconds }),
    ...(config.names().includes('networks') ? { networks: networksOf(config) } : {}),
  }
}

/** Files in PEM, read. */
export async function lineTlsOf(config: Config): Promise<LineTls> {
  const [key, certificate, ca] = await Promise.all(
    ['key', 'certificate', 'ca'].map((name) => readFile(config.text(name), 'utf8')),
  )
  return { key: key!, certificate: certificate!, ca: ca!, peer: config.text('peer') }
}

function networksOf(config: Config): readonly string[] {
  const names = config.texts('networks')
  for (const name of names) if (loadCardsOf(name).length === 0) config.unknown('networks')
  return names
}

/** A name that is no scenario is refused: a mix that is silently empty would prove nothing. */
function mixOf(mix: Config): Mix {
  const weights: Partial<Record<string, number>> = {}
  for (const name of scenarioNames) weights[name] = mix.number(name, { min: 0, max: 1e6, fallback: 0 })
  for (const name of mix.names()) if (!(name in weights)) mix.unknown(name)
  return weights
}
