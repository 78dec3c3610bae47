import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions, createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { binary2Frame } from '../../iso8583/frame-formats.ts'
import { codeOf, type Link } from '../../iso8583/link.ts'
import { type ClientTls, connectLink } from '../../iso8583/link-client.ts'
import { type ExpiryAlarm, watchExpiry } from '../../iso8583/link-expiry.ts'
import { listenLinks, type ListenOptions, type RefusedConnection } from '../../iso8583/link-server.ts'
import { readTlsMaterial, TlsCredentials, type TlsMaterial } from '../../iso8583/link-tls.ts'
import { systemClock } from '../../kernel/clock.ts'
import { TestAuthority, type Wanted } from '../../bin/environment/test-authority.ts'
import { ManualClock } from '../support/manual-clock.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const authority = new TestAuthority()
const stranger = new TestAuthority('another authority')
const host = '127.0.0.1'
const peer = { name: 'acquirer one', dnsName: 'acquirer-1.test' }

function credentials(wanted: Wanted, of = authority): TlsCredentials {
  return new TlsCredentials(of.material(wanted, authority), systemClock)
}

/** A listener with TLS that answers every message with `re:` and the message, and keeps what it turned away. */
async function world(options: Partial<ListenOptions> = {}) {
  const refused: RefusedConnection[] = []
  const links: Link[] = []
  const own = credentials({ name: 'switch.test', use: 'server' })
  const server = await listenLinks(
    {
      host,
      port: 0,
      frame: binary2Frame,
      clock: systemClock,
      tls: { credentials: own },
      peers: [{ ...peer, connectionsMax: 10 }],
      onRefused: (refusal) => refused.push(refusal),
      ...options,
    },
    (link) => {
      links.push(link)
      return {
        onMessage: (body) => void link.send(Buffer.from(`re:${body.toString()}`)),
        onClose: () => undefined,
      }
    },
  )
  cleanups.push(() => server.close())
  return { server, own, refused, links, clientOf: (tls?: Partial<ClientTls>) => clientOf(server.port, tls) }
}

async function clientOf(port: number, tls: Partial<ClientTls> = {}) {
  const received: string[] = []
  const closed = Promise.withResolvers<unknown>()
  const link = await connectLink(
    {
      host,
      port,
      frame: binary2Frame,
      clock: systemClock,
      tls: {
        credentials: credentials({ name: peer.dnsName, use: 'client' }),
        dnsName: 'switch.test',
        ...tls,
      },
    },
    () => ({ onMessage: (body) => received.push(body.toString()), onClose: closed.resolve }),
  )
  cleanups.push(() => link.close('test ends'))
  return { link, received, closed: closed.promise }
}

async function echoed({ link, received }: { link: Link; received: string[] }, text: string): Promise<void> {
  await link.send(Buffer.from(text))
  await vi.waitFor(() => expect(received.at(-1)).toBe(`re:${text}`))
}

/** A TLS client that does whatever its options say, to the bitter end. */
async function rawTls(
  port: number,
  options: ConnectionOptions,
): Promise<{ protocol: string; failed: string }> {
  const socket = connectTls({ port, host, rejectUnauthorized: false, ...options })
  let [protocol, failed] = ['', '']
  socket.on('secureConnect', () => (protocol = socket.getProtocol() ?? ''))
  socket.on('error', (error: Error) => {
    failed = codeOf(error)
  })
  socket.on('data', () => undefined)
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return { protocol, failed }
}

describe('under TLS', () => {
  test('both ends show a certificate, and messages go both ways', async () => {
    const { clientOf, links, refused } = await world()
    const client = await clientOf()
    await echoed(client, 'one')
    expect(links[0]!.peerName).toBe('acquirer one')
    expect(refused).toEqual([])
  })

  const strangers: [string, () => TlsMaterial, object][] = [
    [
      'expired',
      () => authority.material({ name: peer.dnsName, untilDays: -0.5 }),
      { code: 'CERT_HAS_EXPIRED' },
    ],
    [
      'not yet valid',
      () => authority.material({ name: peer.dnsName, fromDays: 1 }),
      { code: 'CERT_NOT_YET_VALID' },
    ],
    [
      'of another authority',
      () => stranger.material({ name: peer.dnsName }, authority),
      { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
    ],
    [
      'for servers only',
      () => authority.material({ name: peer.dnsName, use: 'server' }),
      { code: 'INVALID_PURPOSE' },
    ],
    [
      'too weak',
      () => authority.material({ name: peer.dnsName, key: 'rsa1024' }),
      // Node has no name of its own for a key that is too small.
      { code: 'UNSPECIFIED' },
    ],
    ['of another name', () => authority.material({ name: 'acquirer-2.test' }), { why: 'unknownPeer' }],
    [
      'that has the name only as its subject',
      () => authority.material({ name: peer.dnsName, dnsNames: [] }),
      { why: 'unknownPeer' },
    ],
  ]
  test.each(strangers)(
    'F05: a client whose certificate is %s is refused, with the reason',
    async (_, material, why) => {
      const { server, links, refused, clientOf } = await world()
      const { key, certificate } = material()
      // Below Node's default: what a careless peer would send.
      await rawTls(server.port, {
        key,
        cert: certificate,
        ciphers: 'DEFAULT:@SECLEVEL=0',
        servername: 'switch.test',
      })
      await vi.waitFor(() => expect(refused).toHaveLength(1))
      expect(refused[0]).toMatchObject({ address: host, why: 'certificate', ...why })
      expect(links).toEqual([])
      await echoed(await clientOf(), 'the others go on')
    },
  )

  test('F05: a client without a certificate is refused, and so is one that speaks no TLS', async () => {
    const { server, links, refused } = await world()
    await rawTls(server.port, {})
    await vi.waitFor(() => expect(refused).toMatchObject([{ why: 'certificate', code: 'NO_CERTIFICATE' }]))
    const plain = createConnection(server.port, host)
    plain.on('error', () => undefined).write(Buffer.from('\0\u0004ping'))
    await new Promise((resolve) => plain.once('close', resolve))
    await vi.waitFor(() => expect(refused[1]).toMatchObject({ address: host, why: 'handshake' }))
    expect(refused[1]!.code).toMatch(/^ERR_SSL_/)
    expect(links).toEqual([])
  })

  test('a certificate that its authority has revoked is refused', async () => {
    const good = authority.issue({ name: peer.dnsName })
    const bad = authority.issue({ name: peer.dnsName })
    const material = { ...authority.material({ name: 'switch.test' }), crl: authority.revoking(bad.serial) }
    const { server, refused, clientOf } = await world({
      tls: { credentials: new TlsCredentials(material, systemClock) },
    })
    await rawTls(server.port, { key: bad.key, cert: bad.certificate })
    await vi.waitFor(() => expect(refused).toMatchObject([{ why: 'certificate', code: 'CERT_REVOKED' }]))
    const ours = new TlsCredentials({ ...good, ca: authority.certificate }, systemClock)
    await echoed(await clientOf({ credentials: ours }), 'not this one')
  })

  test('F05: a pinned certificate is the only one that its peer may show', async () => {
    const pinned = authority.issue({ name: peer.dnsName })
    const { server, refused, clientOf } = await world({
      peers: [{ ...peer, fingerprints: [pinned.fingerprint.replaceAll(':', '').toLowerCase()] }],
    })
    const other = authority.issue({ name: peer.dnsName })
    await rawTls(server.port, { key: other.key, cert: other.certificate })
    await vi.waitFor(() => expect(refused).toMatchObject([{ why: 'unknownPeer' }]))
    const ours = new TlsCredentials({ ...pinned, ca: authority.certificate }, systemClock)
    await echoed(await clientOf({ credentials: ours }), 'the pinned one')
  })

  test('a peer comes from where it may, or not at all', async () => {
    const { server, refused } = await world({ peers: [{ ...peer, addresses: ['10.1.2.0/24'] }] })
    const { key, certificate } = authority.issue({ name: peer.dnsName })
    await rawTls(server.port, { key, cert: certificate })
    await vi.waitFor(() => expect(refused).toMatchObject([{ why: 'addressOfPeer' }]))
  })

  test('an old protocol is refused, unless an exception names its reason, and then only with good suites', async () => {
    const { key, certificate } = authority.issue({ name: peer.dnsName })
    const old = { key, cert: certificate, maxVersion: 'TLSv1.2' } as const
    const strict = await world()
    expect(await rawTls(strict.server.port, old)).toMatchObject({ protocol: '' })
    await vi.waitFor(() => expect(strict.refused).toMatchObject([{ why: 'handshake' }]))
    expect(strict.refused[0]!.code).toMatch(/UNSUPPORTED_PROTOCOL/)

    const kind = await world({
      tls: {
        credentials: credentials({ name: 'switch.test' }),
        tls12: 'the peer’s front end is older than 1.3',
      },
      limits: { firstByteMs: 50 },
    })
    expect(await rawTls(kind.server.port, old)).toMatchObject({ protocol: 'TLSv1.2' })
    const poor = { ...old, ciphers: 'ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256:@SECLEVEL=0' }
    expect(await rawTls(kind.server.port, poor)).toMatchObject({ protocol: '' })
    await vi.waitFor(() => expect(kind.refused).toMatchObject([{ why: 'handshake' }]))
    expect(kind.refused[0]!.code).toMatch(/NO_SHARED_CIPHER/)
  })

  test('no session is taken up again without its certificates', async () => {
    const { server, clientOf } = await world({ limits: { firstByteMs: 100 } })
    const { key, certificate } = authority.issue({ name: peer.dnsName })
    const sessions: Buffer[] = []
    const socket = connectTls({ port: server.port, host, key, cert: certificate, rejectUnauthorized: false })
    socket.on('session', (session) => sessions.push(session)).on('error', () => undefined)
    await new Promise((resolve) => socket.resume().once('close', resolve))
    for (const session of sessions) {
      const again = connectTls({
        port: server.port,
        host,
        key,
        cert: certificate,
        session,
        rejectUnauthorized: false,
      })
      again.on('error', () => undefined)
      await new Promise((resolve) => again.once('secureConnect', resolve))
      expect(again.isSessionReused()).toBe(false)
      again.destroy()
    }
    await echoed(await clientOf(), 'fresh')
  })

  test('a handshake that is not finished in ten seconds is not waited for', async () => {
    const clock = new ManualClock()
    const { server, refused } = await world({ clock })
    const silent = createConnection(server.port, host)
    silent.on('error', () => undefined)
    await vi.waitFor(() => expect(clock.waiting).toBe(1))
    clock.advance(9_999)
    expect(refused).toEqual([])
    clock.advance(1)
    await vi.waitFor(() =>
      expect(refused).toEqual([{ address: host, why: 'handshakeTimeout', code: 'ETIMEDOUT' }]),
    )
    expect(clock.waiting).toBe(0)
  })
})

describe('a client', () => {
  /** A TLS server that is not one of ours. */
  async function peerWith(material: { key: string; certificate: string }, options: object = {}) {
    const server = createTlsServer(
      { key: material.key, cert: material.certificate, ...options },
      (socket) => {
        socket.on('error', () => undefined)
      },
    )
    server.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    cleanups.push(() => server.close())
    return (server.address() as { port: number }).port
  }

  test.each<[string, () => { key: string; certificate: string }, object, string]>([
    ['expired', () => authority.issue({ name: 'switch.test', untilDays: -0.5 }), {}, 'CERT_HAS_EXPIRED'],
    ['not yet valid', () => authority.issue({ name: 'switch.test', fromDays: 1 }), {}, 'CERT_NOT_YET_VALID'],
    [
      'of another authority',
      () => stranger.issue({ name: 'switch.test' }),
      {},
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    ['of another name', () => authority.issue({ name: 'elsewhere.test' }), {}, 'PEER_NAME'],
    [
      'for clients only',
      () => authority.issue({ name: 'switch.test', use: 'client' }),
      {},
      'INVALID_PURPOSE',
    ],
    [
      'good, over an old protocol',
      () => authority.issue({ name: 'switch.test' }),
      { maxVersion: 'TLSv1.2' },
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    ],
  ])('does not speak to a server whose certificate is %s', async (_, material, options, code) => {
    const port = await peerWith(material(), options)
    await expect(clientOf(port)).rejects.toMatchObject({ fault: { kind: 'handshake', code } })
  })

  test('that pins a fingerprint speaks to no other', async () => {
    const port = await peerWith(authority.issue({ name: 'switch.test' }))
    await expect(clientOf(port, { fingerprints: ['00'.repeat(32)] })).rejects.toMatchObject({
      fault: { kind: 'handshake', code: 'PEER_FINGERPRINT' },
    })
  })

  test('F43: gives up a handshake after ten seconds', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)))
    await new Promise<void>((resolve) => silent.listen(0, host, resolve))
    cleanups.push(() => silent.close())
    const clock = new ManualClock()
    const tls = { credentials: credentials({ name: peer.dnsName }), dnsName: 'switch.test' }
    const { port } = silent.address() as { port: number }
    const connecting = connectLink({ host, port, frame: binary2Frame, clock, tls }, () => {
      throw new Error('never')
    })
    const failed = expect(connecting).rejects.toMatchObject({ fault: { kind: 'handshakeTimeout' } })
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    await clock.pass(1)
    clock.advance(10_000)
    await failed
    expect(clock.waiting).toBe(0)
  })
})

describe('without TLS', () => {
  const plain = { frame: binary2Frame, clock: systemClock, port: 1 }
  const never = () => {
    throw new Error('never')
  }

  test.each(['10.0.0.1', '192.0.2.1', 'network.test', '::', '0.0.0.0', '128.0.0.1', 'localhost.test'])(
    'nothing is said to or heard at %s',
    async (away) => {
      const refused = { fault: { kind: 'plaintextRefused' } }
      await expect(connectLink({ ...plain, host: away }, never)).rejects.toMatchObject(refused)
      await expect(listenLinks({ ...plain, host: away }, never)).rejects.toMatchObject(refused)
      for (const plaintext of [
        { allowPlaintext: true, privateLink: false },
        { allowPlaintext: false, privateLink: true },
      ]) {
        await expect(listenLinks({ ...plain, host: away, plaintext }, never)).rejects.toMatchObject(refused)
      }
    },
  )

  test.each(['127.0.0.1', '127.8.9.1', 'localhost'])(
    'this machine itself is listened to at %s',
    async (own) => {
      const server = await listenLinks({ ...plain, host: own, port: 0 }, never)
      await server.close()
    },
  )

  test('a line that is said twice to be private may be used', async () => {
    const plaintext = { allowPlaintext: true, privateLink: true }
    const server = await listenLinks({ ...plain, host: '0.0.0.0', port: 0, plaintext }, never)
    await server.close()
  })
})

describe('credentials', () => {
  test('are replaced while links are open: old links stay, new handshakes show the new certificate', async () => {
    const { own, clientOf, links } = await world()
    const ours = credentials({ name: peer.dnsName })
    const before = await clientOf({ credentials: ours })
    await echoed(before, 'before')
    const next = authority.issue({ name: 'switch.test', untilDays: 10 })
    own.replace({ ...next, ca: authority.certificate })
    ours.replace(authority.material({ name: peer.dnsName }))
    // Only the new certificate has this fingerprint.
    const after = await clientOf({ credentials: ours, fingerprints: [next.fingerprint] })
    await echoed(after, 'after')
    await echoed(before, 'still here')
    expect(links).toHaveLength(2)
    expect(links.every(({ open }) => open)).toBe(true)
  })

  test.each<[string, TlsMaterial]>([
    ['keyMismatch', { ...authority.material({ name: 'a' }), key: authority.issue({ name: 'b' }).key }],
    ['expired', authority.material({ name: 'a', untilDays: -0.5 })],
    ['notYetValid', authority.material({ name: 'a', fromDays: 0.5 })],
    ['unreadable', { ...authority.material({ name: 'a' }), certificate: 'no certificate' }],
    ['unreadable', { ...authority.material({ name: 'a' }), key: 'no key' }],
    ['unreadable', { ...authority.material({ name: 'a' }), ca: '-----BEGIN CERTIFICATE-----\nAAAA' }],
  ])('that are %s replace nothing', (why, material) => {
    const own = credentials({ name: 'a', untilDays: 10 })
    const { expiresAt } = own
    expect(() => own.replace(material)).toThrow(
      expect.objectContaining({ fault: { kind: 'credentials', why } }),
    )
    expect(own.expiresAt).toBe(expiresAt)
  })

  test('are read from files, and a missing one is named as unreadable', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mafraq-tls-'))
    cleanups.push(() => rmSync(folder, { recursive: true }))
    const material = authority.material({ name: 'a' })
    const files = {
      key: join(folder, 'key'),
      certificate: join(folder, 'certificate'),
      ca: join(folder, 'ca'),
    }
    writeFileSync(files.key, material.key)
    writeFileSync(files.certificate, material.certificate)
    writeFileSync(files.ca, material.ca)
    expect(readTlsMaterial(files)).toEqual(material)
    expect(() => readTlsMaterial({ ...files, crl: join(folder, 'crl') })).toThrow(
      'link: credentials (unreadable)',
    )
  })
})

describe('the end of a certificate', () => {
  const dayMs = 86_400_000

  function watched(untilDays: number) {
    const clock = new ManualClock(Date.now())
    const own = new TlsCredentials(authority.material({ name: 'a', untilDays }), clock)
    const alarms: ExpiryAlarm[] = []
    const watch = watchExpiry({ credentials: own, clock, onAlarm: (alarm) => alarms.push(alarm) })
    return { clock, own, alarms, watch, days: () => alarms.map(({ daysLeft }) => daysLeft) }
  }

  test('F43: is told 30, 14, 7 and 1 days ahead, and when it is there, once each', () => {
    const { clock, days, own, alarms, watch } = watched(40)
    const told: Record<number, number> = {}
    for (let hour = 0; hour < 41 * 24; hour++) {
      clock.advance(3_600_000)
      for (const mark of days())
        told[mark] ??= Math.max(0, Math.ceil((own.expiresAt - clock.wallMs()) / dayMs))
    }
    expect(days()).toEqual([30, 14, 7, 1, 0])
    expect(told).toEqual({ 30: 30, 14: 14, 7: 7, 1: 1, 0: 0 })
    expect(alarms[0]!.expiresAt).toBe(own.expiresAt)
    watch.stop()
    expect(clock.waiting).toBe(0)
  })

  test('is told at once when it is near at the start, by its nearest mark only', () => {
    expect(watched(5).days()).toEqual([7])
  })

  test('is no longer told when the certificate was replaced, until the new one ends', () => {
    const { clock, days, own } = watched(5)
    own.replace(authority.material({ name: 'a', untilDays: 40 }))
    clock.advance(9 * dayMs)
    expect(days()).toEqual([7])
    clock.advance(2 * dayMs)
    expect(days()).toEqual([7, 30])
  })
})
