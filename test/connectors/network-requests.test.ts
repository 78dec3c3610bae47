import { describe, expect, test, vi } from 'vitest'
import type { NetworkReply, NetworkRequest } from '../../connectors/connector.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import { silence, world } from './world.ts'

const cutover = { 7: '0115210000', 11: '900001', 15: '0116', 70: '201' }
const accepted = () => Promise.resolve<NetworkReply>('accepted')

describe('a cutover of the network’s', () => {
  test('is answered when whoever acts on it has done so, and not before', async () => {
    const { online, peer, connector, heard, send } = await world()
    const done = Promise.withResolvers<NetworkReply>()
    const requests: NetworkRequest[] = []
    connector.onNetworkRequest('cutover', (request) => {
      requests.push(request)
      return done.promise
    })
    await online()
    await peer.sendUnsealed('0800', cutover)
    await vi.waitFor(() => expect(requests).toHaveLength(1))
    expect(requests[0]).toMatchObject({ kind: 'cutover', code: '201', date: '0116' })
    expect(requests[0]!.described).toContain('15=0116')
    // A whole purchase goes there and back, and still there is no 0810.
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(peer.of('0810')).toEqual([])
    done.resolve('accepted')
    await heard(1, '0810')
    const { message } = peer.of('0810')[0]!
    expect([7, 11, 39, 70].map((de) => message.text(de))).toEqual(['0115210000', '900001', '00', '201'])
  })

  test('that comes again meanwhile is acted on once and answered twice', async () => {
    const { online, peer, connector, heard } = await world()
    const done = Promise.withResolvers<NetworkReply>()
    const handler = vi.fn(() => done.promise)
    connector.onNetworkRequest('cutover', handler)
    await online()
    await peer.sendUnsealed('0800', cutover)
    await peer.sendUnsealed('0801', cutover)
    await peer.sendUnsealed('0800', { ...cutover, 11: '900002', 70: '301' })
    await heard(1, '0810')
    done.resolve('accepted')
    await heard(3, '0810')
    expect(handler).toHaveBeenCalledTimes(1)
  })

  test.each<[string, () => Promise<NetworkReply>, string]>([
    ['refused', () => Promise.resolve('refused'), '05'],
    [
      'answered in its own words',
      () => Promise.resolve({ responseCode: '21', fields: { 15: '0116' } }),
      '21',
    ],
    ['a failure of ours', () => Promise.reject(new Error('database away')), '96'],
  ])('that is %s says so', async (_, handler, responseCode) => {
    const { online, peer, connector, heard } = await world()
    connector.onNetworkRequest('cutover', handler)
    await online()
    await peer.sendUnsealed('0800', cutover)
    await heard(1, '0810')
    expect(peer.of('0810')[0]!.message.text(39)).toBe(responseCode)
  })

  test('that nobody acts on is not supported', async () => {
    const { online, peer, heard } = await world()
    await online()
    await peer.sendUnsealed('0800', cutover)
    await heard(1, '0810')
    expect(peer.of('0810')[0]!.message.text(39)).toBe('12')
  })

  test('that takes longer than its answer may take has none, and may come again', async () => {
    const { online, peer, connector, heard, clock, texts } = await world()
    const handler = vi.fn(() => new Promise<NetworkReply>(silence))
    connector.onNetworkRequest('cutover', handler)
    await online()
    // More than are looked at together: the ninth is passed over.
    for (let n = 0; n < 9; n++) await peer.sendUnsealed('0800', { ...cutover, 11: `90000${n}` })
    await vi.waitFor(() => expect(handler).toHaveBeenCalledTimes(8))
    await clock.pass(10_000)
    expect(texts('error')).toHaveLength(8)
    handler.mockImplementation(accepted)
    await peer.sendUnsealed('0801', { ...cutover, 11: '900008' })
    await heard(1, '0810')
    expect(peer.of('0810')[0]!.message.text(11)).toBe('900008')
  })

  test('must be sealed where the network seals it, and so must its answer be', async () => {
    const session = { ...knet.session, sealedCodes: ['201'] }
    const { online, peer, connector, heard, log } = await world({ profile: { session } })
    const handler = vi.fn(accepted)
    connector.onNetworkRequest('cutover', handler)
    await online()
    await peer.sendUnsealed('0800', cutover)
    await vi.waitFor(() =>
      expect(log.at(-1)).toMatchObject({ text: 'anomaly', details: { kind: 'badSeal' } }),
    )
    expect(handler).not.toHaveBeenCalled()
    await peer.sendSealed('0800', cutover)
    await heard(1, '0810')
    expect(peer.of('0810')[0]!.sealed).toBe(true)
    // An echo goes on without.
    await peer.sendUnsealed('0800', { ...cutover, 70: '301' })
    await heard(2, '0810')
    expect(peer.of('0810')[1]!.sealed).toBe(false)
  })
})

describe('a key exchange', () => {
  const keyElement = { 48: 'KEYBLOCK' }

  test('of the network’s reaches its handler with the element that the key is in', async () => {
    const { online, peer, connector, heard } = await world()
    const asked: unknown[] = []
    connector.onNetworkRequest('keyExchange', ({ message }) => {
      asked.push(message.reveal(48))
      return Promise.resolve('accepted')
    })
    await online()
    await peer.sendUnsealed('0800', { ...cutover, 70: '101', ...keyElement })
    await heard(1, '0810')
    expect(asked).toEqual(['KEYBLOCK'])
  })

  test('can be asked for by us, and the answer is what the network said', async () => {
    const { online, peer, connector } = await world()
    expect(await connector.askNetwork({ code: '101' })).toBeUndefined()
    await online()
    const answer = await connector.askNetwork({ code: '101', fields: keyElement })
    expect(answer?.text(39)).toBe('00')
    expect(peer.of('0800', '101')[0]!.message.reveal(48)).toBe('KEYBLOCK')
  })
})

test('network management can have another type, another element for its code, and other answers', async () => {
  const session = {
    ...knet.session,
    mti: '0804',
    codeElement: 24,
    codes: { signOn: '801', signOff: '802', echo: '831', cutover: ['821'] },
    refusals: { refused: '50', unsupported: '51', malfunction: '52' },
  }
  const { online, peer, connector, heard, send } = await world({ profile: { session } })
  connector.onNetworkRequest('cutover', () => Promise.resolve('refused'))
  await online()
  expect(peer.of('0804')[0]!.message.text(24)).toBe('801')
  const ask = (code: string) => peer.sendUnsealed('0804', { 7: '0115210000', 11: `900${code}`, 24: code })
  for (const code of ['821', '822', '831']) await ask(code)
  await heard(3, '0814')
  const told = peer.of('0814').map(({ message }) => [message.text(24), message.text(39)])
  expect(told.toSorted()).toEqual([
    ['821', '50'],
    ['822', '51'],
    ['831', '00'],
  ])
  expect(await send().settled).toMatchObject({ kind: 'answered' })
})
