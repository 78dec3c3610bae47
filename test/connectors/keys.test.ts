import { describe, expect, test, vi } from 'vitest'
import { keyOf, type NetworkReply } from '../../connectors/connector.ts'
import { network as issuerHost } from '../../connectors/issuer-host/network.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import { network as mastercard } from '../../connectors/mastercard/network.ts'
import { network as visa } from '../../connectors/visa/network.ts'
import { lintNetwork } from '../../connectors/lint.ts'
import { compile } from '../../iso8583/iso8583.ts'
import { testSealer } from './scripted-peer.ts'
import { notSent, world } from './world.ts'

const bad = { sealer: testSealer('other') }

/** Three answers in a row under another key, and somebody who acts on that. */
async function outOfStep() {
  const rooms = await world()
  const { online, send, peer, connector } = rooms
  const told = vi.fn()
  connector.keys!.onOutOfStep(told)
  await online()
  peer.script = (request) => request.answer({ 39: '00' }, bad)
  const sent = [send(), send(), send()]
  await vi.waitFor(() => expect(connector.keys!.outOfStep).toBe(true))
  return { ...rooms, told, sent }
}

describe('X3: after three wrong seals in a row', () => {
  test('whoever sees to keys is told once, and nothing but network management is sent', async () => {
    const { connector, told, send, state } = await outOfStep()
    expect(told).toHaveBeenCalledTimes(1)
    await state('keySync')
    expect(connector.availability()).toBe('keySync')
    expect(await send().settled).toEqual(notSent('keySync'))
    expect((await connector.askNetwork({ code: '101' }))?.text(39)).toBe('00')
  })

  test('a new key opens the way again', async () => {
    const { connector, send, peer, online, available } = await outOfStep()
    const before = available()
    peer.script = (request) => request.answer({ 39: '00' })
    connector.keys!.renewed()
    await online()
    expect(available()).toBe(before + 1)
    expect(await send().settled).toMatchObject({ kind: 'answered' })
  })

  test('so does a right seal, of an answer that was under way', async () => {
    const { peer, online } = await outOfStep()
    await peer.of('0200')[0]!.answer({ 38: 'A00001', 39: '00' })
    await online()
  })
})

test('F10: a peer that says that keys are out of step is asked for new ones; what it refused is refused and goes nowhere again', async () => {
  const { online, send, peer, connector } = await world()
  const told = vi.fn()
  connector.keys!.onOutOfStep(told)
  await online()
  peer.script = (request) => request.answer({ 39: '81' })
  expect(await send().settled).toMatchObject({ kind: 'answered', answer: { responseCode: '81' } })
  expect(told).toHaveBeenCalledTimes(1)
  // Only seals that we find wrong stop the traffic.
  expect(connector.availability()).toBe('available')
  expect(peer.of('0200')).toHaveLength(1)
})

test('F40: what waits for the answer to a key happens when it has been written, and not before', async () => {
  const { online, peer, connector, heard } = await world()
  const order: string[] = []
  connector.onNetworkRequest('keyExchange', () => {
    order.push('taken')
    return Promise.resolve<NetworkReply>({ answered: () => void order.push('answered') })
  })
  await online()
  await peer.sendUnsealed('0800', { 7: '0115210000', 11: '900001', 48: 'KEYBLOCK', 70: '101' })
  await heard(1, '0810')
  await vi.waitFor(() => expect(order).toEqual(['taken', 'answered']))
  expect(peer.of('0810')[0]!.message.text(39)).toBe('00')
})

describe('a key block', () => {
  const block = 'D0032P0AB00N00000123456789ABCDEF'

  test.each([knet, visa, mastercard, issuerHost])('is read where $name has it', (network) => {
    const rules = network.keys!
    const codec = compile(network.dialect)
    const text = `${block}A1B2C3`.slice(0, block.length + rules.checkDigits)
    const value = rules.form === 'bytes' ? Buffer.from(text, 'latin1') : text
    const mti = network.session.mti ?? '0800'
    const code = { [network.session.codeElement ?? 70]: rules.askCode }
    const fields = { 7: '0115210000', 11: '900001', ...code, [rules.element]: value }
    const message = codec.decode(codec.encode({ mti, fields }))
    expect(keyOf(message, rules)).toEqual({ block, kcv: 'A1B2C3'.slice(0, rules.checkDigits) })
    // And is never told.
    expect(codec.describe(message)).not.toContain('0123456789ABCDEF')
    expect(lintNetwork(network)).toEqual([])
  })

  test.each([`${block}A1B2C`, block, `X${block.slice(1)}A1B2C3`, '', 'D9999'])(
    'that is not whole is none: %s',
    (text) => {
      const codec = compile(knet.dialect)
      const fields = { 7: '0115210000', 11: '900001', 70: '101', ...(text !== '' && { 48: text }) }
      expect(keyOf(codec.decode(codec.encode({ mti: '0800', fields })), knet.keys!)).toBeUndefined()
    },
  )

  test('must travel where no log shows it, and be asked for by a code of its own', () => {
    const wrong = { ...knet, keys: { ...knet.keys!, element: 37, askCode: '301', outOfStep: ['128'] } }
    expect(lintNetwork(wrong)).toEqual([
      'keys.element: DE37 would be shown in logs',
      'keys.askCode: 301 means something else',
      'keys: 128 is no code of 1987',
    ])
  })
})
