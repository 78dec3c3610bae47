import { createPool } from 'generic-pool'
import { describe, expect, test, vi } from 'vitest'
import { maybeSent, silence, world } from './world.ts'

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 2 })
const profile = { connections: 'halfDuplex', inFlightMax: 10 } as const

describe('a peer that takes one request on a connection at a time', () => {
  test('gets as many connections as there are requests, uses each again, and hears no sign-on', async () => {
    const { online, peer, send, heard, connector } = await world({ profile })
    await online()
    peer.script = silence
    const together = [send(), send(), send()]
    await heard(3, '0200')
    expect(new Set(peer.of('0200').map(({ link }) => link)).size).toBe(3)
    for (const request of peer.of('0200')) await request.answer({ 39: '00' })
    for (const { settled } of together) expect(await settled).toMatchObject({ kind: 'answered' })
    peer.script = (request) => request.answer({ 39: '00' })
    for (let n = 0; n < 5; n++) expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(peer.links).toHaveLength(3)
    expect(peer.of('0800')).toEqual([])
    expect(connector.status().sessions).toEqual([{ state: 'online', inFlight: 0 }])
  })

  test('and has closed an idle connection gets its next request over another', async () => {
    const { online, peer, send, connector, texts } = await world({ profile })
    await online()
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    const { link } = peer
    link.close('idle for too long')
    await until(() => expect(texts('info')).toContain('connection closed'))
    expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(peer.of('0200').map((request) => request.link === link)).toEqual([true, false])
    expect(connector.status().breaker).toBe('closed')
  })

  test('and closes after each answer gets a new connection for each request', async () => {
    const { online, peer, send } = await world({ profile: { ...profile, connections: 'oneShot' } })
    await online()
    peer.script = async (request) => {
      await request.answer({ 39: '00' })
      request.link.close('one is enough')
    }
    for (let n = 0; n < 5; n++) expect(await send().settled).toMatchObject({ kind: 'answered' })
    expect(new Set(peer.of('0200').map(({ link }) => link)).size).toBe(5)
  })

  test('and is silent loses the connection, on which a late answer would meet the next request', async () => {
    const { online, peer, send, heard, clock } = await world({ profile })
    await online()
    peer.script = silence
    const sending = send()
    await heard(1, '0200')
    await clock.pass(25_000)
    expect(sending.outcome).toEqual(maybeSent('deadline'))
    const { link } = peer.of('0200')[0]!
    await until(() => expect(link.open).toBe(false))
    peer.script = (request) => request.answer({ 39: '00' })
    expect(await send().settled).toMatchObject({ kind: 'answered' })
  })

  test('and is away is asked for again and again with waits between, by us, until it is there', async () => {
    const { peer, state, clock, connector, log, online } = await world({ profile, listening: false })
    await state('down')
    const attempts = () => log.filter(({ text }) => text === 'no connection').length
    for (let turn = 0; turn < 50; turn++) await clock.pass(20)
    // The pool alone made tens of thousands in a second.
    expect(attempts()).toBeLessThanOrEqual(10)
    expect(connector.availability()).toBe('offline')
    await peer.listen()
    await vi.waitFor(async () => {
      await clock.pass(100)
      expect(connector.status().session).toBe('online')
    })
    await online()
    await peer.close()
  })

  test('can be drained: what is lent is given up, and nothing is left', async () => {
    const { online, peer, send, heard, connector, clock } = await world({ profile })
    await online()
    peer.script = silence
    const sending = send()
    await heard(1, '0200')
    const drained = connector.drain(clock.monotonicMs())
    await clock.pass(1)
    expect(await sending.settled).toEqual(maybeSent('draining'))
    await clock.pass(1_000)
    await drained
    await until(() => expect(peer.links.every(({ open }) => !open)).toBe(true))
    expect(connector.status().session).toBe('closed')
  })
})

describe('without our door, generic-pool', () => {
  const factory = { create: () => Promise.resolve({ open: true }), destroy: () => Promise.resolve() }

  test('hands out what died while it was idle', async () => {
    const pool = createPool(factory, { max: 1 })
    const socket = await pool.acquire()
    await pool.release(socket)
    socket.open = false
    expect((await pool.acquire()).open).toBe(false)
  })

  test('does not come back to a factory that failed when nobody waits', async () => {
    let calls = 0
    const create = () => {
      calls++
      return Promise.reject(new Error('no'))
    }
    const pool = createPool({ ...factory, create }, { max: 2, min: 2 })
    pool.on('factoryCreateError', silence)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([calls, pool.size]).toEqual([2, 0])
  })
})
