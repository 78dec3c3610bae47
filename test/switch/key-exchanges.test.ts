import { describe, expect, test } from 'vitest'
import type { Connector, NetworkQuestion, NetworkReply, NetworkRequest } from '../../connectors/connector.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import { HsmError, type HsmStatus } from '../../hsm/hsm.ts'
import { JournalUnavailable } from '../../switch/journal.ts'
import { type KeyExchangeRecord, KeyExchanges } from '../../switch/key-exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

const key = { ref: 'zak.knet.both', version: 2, kcv: 'A1B2C3' }
const block = 'D0032M6AC00N00000123456789ABCDEFA1B2C3'

/** A network, an HSM and a book that do as the test says. */
function world() {
  const clock = new ManualClock()
  const state = {
    /** Of the key's version, in the inventory. */
    is: 'pending' as 'pending' | 'arriving' | 'active',
    hsmIsAway: false,
    bookIsAway: false,
    refuses: undefined as 'kcvDiffers' | 'oldKey' | undefined,
    mayAsk: true,
    session: 'online',
    outOfStep: false,
    ageSeconds: 0,
    seals: 0,
    renew: undefined as { afterSeconds?: number; afterSeals?: number } | undefined,
    /** What the network puts into its answer to our asking. */
    given: undefined as string | undefined,
  }
  const done: string[] = []
  const records: KeyExchangeRecord[] = []
  const alarms: string[] = []
  let handler: ((request: NetworkRequest) => Promise<NetworkReply>) | undefined
  let onOutOfStep = (): void => undefined
  const connector = {
    name: 'knet',
    keys: {
      get rules() {
        return { ...knet.keys, ...(state.renew && { renew: state.renew }) }
      },
      get seals() {
        return state.seals
      },
      get outOfStep() {
        return state.outOfStep
      },
      agrees: (responseCode: string) => responseCode === '00',
      onOutOfStep: (listener: () => void) => {
        onOutOfStep = listener
      },
      renewed: () => void done.push('renewed'),
    },
    onNetworkRequest: (_: string, asked: typeof handler) => {
      handler = asked
    },
    status: () => ({ session: state.session }),
    askNetwork: ({ code }: NetworkQuestion) => {
      done.push(`asked ${code}`)
      return Promise.resolve({ text: () => '00', reveal: () => state.given })
    },
  } as unknown as Connector
  const exchanges = new KeyExchanges({
    clock,
    node: 'node-1',
    connectors: new Map([['knet', connector]]),
    keys: new Map([['knet', { pin: 'zpk.knet.out', mac: 'zak.knet.both', kbpk: 'kbpk.knet.both' }]]),
    observer: { alarm: (what) => void alarms.push(what) },
    hsm: {
      receiveKey: () => {
        if (state.refuses !== undefined)
          return Promise.reject(new HsmError({ kind: 'refused', why: state.refuses }))
        return Promise.resolve({ ...key, state: state.is })
      },
      advanceKey: (_, to) => {
        if (state.hsmIsAway) return Promise.reject(new HsmError({ kind: 'unavailable' }))
        done.push(to)
        state.is = to
        return Promise.resolve()
      },
      status: () =>
        ({
          keys: [{ label: 'zak.knet.both.v002', id: '', state: state.is, ageSeconds: state.ageSeconds }],
        }) as unknown as HsmStatus,
    },
    book: {
      record: (record) => {
        if (state.bookIsAway) return Promise.reject(new JournalUnavailable())
        records.push(record)
        return Promise.resolve()
      },
      claimAsk: (_, __, why) => Promise.resolve(state.mayAsk && why !== undefined),
    },
  })
  const message = { reveal: () => block, text: () => undefined }
  const send = (): Promise<NetworkReply> => {
    const replying = handler!({ kind: 'keyExchange', code: '101', message, described: '' } as never)
    void (async () => {
      for (let turn = 0; turn < 5; turn++) await clock.pass(500)
    })()
    return replying
  }
  return { clock, state, done, records, alarms, exchanges, send, outOfStep: () => onOutOfStep() }
}

const events = (records: readonly KeyExchangeRecord[]): string[] => records.map(({ event }) => event)
const answered = (reply: NetworkReply): void => {
  if (typeof reply === 'object') reply.answered?.()
}

describe('a key of the network’s', () => {
  test('is honoured before it is answered, and used after', async () => {
    const { send, done, records, exchanges } = world()
    const reply = await send()
    expect([done, events(records)]).toEqual([['arriving'], ['taken']])
    answered(reply)
    // Once, though a sweep comes while that is being done.
    await exchanges.sweep()
    expect(done).toEqual(['arriving', 'active', 'renewed'])
    expect(events(records)).toEqual(['taken', 'activated'])
    expect(records.at(-1)).toMatchObject({ event: 'activated', key: 'zak.knet.both.v002', kcv: 'A1B2C3' })
  })

  test('that is in use is acknowledged again, and nothing is done', async () => {
    const { send, state, done, records } = world()
    state.is = 'active'
    expect(await send()).toBe('accepted')
    expect([done, records]).toEqual([[], []])
  })

  test.each([
    ['kcvDiffers', '63'],
    ['oldKey', '30'],
  ] as const)(
    'F40: that is refused (%s) is answered %s, told to people, and changes nothing',
    async (why, code) => {
      const { send, state, done, records, alarms } = world()
      state.refuses = why
      expect(await send()).toEqual({ responseCode: code })
      expect(done).toEqual([])
      expect(records).toMatchObject([{ event: 'refused', why }])
      expect(alarms).toHaveLength(1)
    },
  )

  test('that nobody could put on record is not answered for: the network asks again, and it is the same one', async () => {
    const { send, state, records } = world()
    state.bookIsAway = true
    await expect(send()).rejects.toThrow(JournalUnavailable)
    state.bookIsAway = false
    expect(await send()).toMatchObject({ answered: expect.any(Function) as unknown })
    expect(events(records)).toEqual(['taken'])
  })
})

describe('F40: a change of keys that is cut short', () => {
  test('after the answer is gone through with, as soon as the HSM can', async () => {
    const { send, state, done, exchanges } = world()
    const reply = await send()
    state.hsmIsAway = true
    answered(reply)
    await exchanges.sweep()
    expect(done).toEqual(['arriving'])
    state.hsmIsAway = false
    await exchanges.sweep()
    expect(done).toEqual(['arriving', 'active', 'renewed'])
    await exchanges.sweep()
    expect(done).toHaveLength(3)
  })

  test('by a crash, so that nobody knows which key the network has, is settled by asking for another after ten seconds', async () => {
    const { clock, state, done, exchanges } = world()
    state.is = 'arriving'
    await exchanges.sweep()
    await clock.pass(9_000)
    await exchanges.sweep()
    expect(done).toEqual([])
    await clock.pass(1_500)
    await exchanges.sweep()
    expect(done).toEqual(['asked 101'])
  })
})

describe('K6: the network is asked', () => {
  test('when keys are out of step, and not again before a minute is over', async () => {
    const { outOfStep, state, done, alarms, exchanges } = world()
    outOfStep()
    await Promise.resolve()
    await exchanges.sweep()
    expect(done).toEqual(['asked 101'])
    expect(alarms).toEqual(['keys are out of step'])
    state.mayAsk = false
    outOfStep()
    await exchanges.sweep()
    expect(done).toHaveLength(1)
    state.mayAsk = true
    await exchanges.sweep()
    expect(done).toHaveLength(2)
  })

  test('again as long as its seals are wrong, and only where there is a session to ask on', async () => {
    const { state, done, exchanges } = world()
    state.outOfStep = true
    state.session = 'down'
    await exchanges.sweep()
    expect(done).toEqual([])
    state.session = 'keySync'
    await exchanges.sweep()
    await exchanges.sweep()
    expect(done).toEqual(['asked 101', 'asked 101'])
  })
})

describe('K5: the network is asked of our own accord', () => {
  test('when a key has been in use for long enough, until there is a new one', async () => {
    const { state, done, exchanges } = world()
    Object.assign(state, { is: 'active', renew: { afterSeconds: 3_600 }, ageSeconds: 3_599 })
    await exchanges.sweep()
    expect(done).toEqual([])
    state.ageSeconds = 3_600
    await exchanges.sweep()
    expect(done).toEqual(['asked 101'])
    state.ageSeconds = 1
    await exchanges.sweep()
    expect(done).toHaveLength(1)
  })

  test('when enough was sealed with it', async () => {
    const { state, done, exchanges } = world()
    Object.assign(state, { is: 'active', renew: { afterSeals: 256 }, seals: 255 })
    await exchanges.sweep()
    expect(done).toEqual([])
    state.seals = 256
    await exchanges.sweep()
    expect(done).toEqual(['asked 101'])
  })

  test('never where nothing is said of it', async () => {
    const { state, done, exchanges } = world()
    Object.assign(state, { is: 'active', ageSeconds: 10_000_000, seals: 10_000_000 })
    await exchanges.sweep()
    expect(done).toEqual([])
  })
})

describe('a key that the network puts into its answer', () => {
  test('is honoured, put on record and used: with its answer the network has our word', async () => {
    const { outOfStep, state, done, records, exchanges } = world()
    state.given = block
    outOfStep()
    await exchanges.sweep()
    await Promise.resolve()
    await exchanges.sweep()
    expect(done.slice(0, 4)).toEqual(['asked 101', 'arriving', 'active', 'renewed'])
    expect(events(records).slice(0, 2)).toEqual(['taken', 'activated'])
  })

  test('and that is refused leaves the old one in use, with people told', async () => {
    const { outOfStep, state, done, records, alarms, exchanges } = world()
    Object.assign(state, { given: block, refuses: 'kcvDiffers' })
    outOfStep()
    await exchanges.sweep()
    await Promise.resolve()
    expect(done.filter((deed) => deed !== 'asked 101')).toEqual([])
    expect(records[0]).toMatchObject({ event: 'refused', why: 'kcvDiffers' })
    expect(alarms).toContain('a key of the network was refused')
  })
})
