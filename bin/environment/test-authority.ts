import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import type { TlsMaterial } from '../../iso8583/iso8583.ts'

export interface Wanted {
  readonly name: string
  /** The DNS names in the certificate; the name itself unless stated. */
  readonly dnsNames?: readonly string[]
  /** Days from now. */
  readonly fromDays?: number
  readonly untilDays?: number
  readonly use?: 'server' | 'client' | 'both'
  readonly key?: 'ec' | 'rsa1024'
}

export interface Issued {
  readonly key: string
  readonly certificate: string
  readonly fingerprint: string
  readonly serial: Buffer
}

/** A certificate authority for tests and simulators: X.509 written by hand, so that no tool is needed and any date can be had. */
export class TestAuthority {
  readonly certificate: string
  readonly #name: string
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  constructor(name = 'test authority', untilDays = 3_650) {
    this.#name = name
    const own = { name, dnsNames: [], fromDays: -1_000, untilDays }
    this.certificate = pem('CERTIFICATE', this.#certificate(own, this.#keys.publicKey, newSerial(), true))
  }

  issue(wanted: Wanted): Issued {
    const keys =
      wanted.key === 'rsa1024'
        ? generateKeyPairSync('rsa', { modulusLength: 1_024 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const serial = newSerial()
    const certificate = pem('CERTIFICATE', this.#certificate(wanted, keys.publicKey, serial, false))
    return {
      key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificate,
      fingerprint: new X509Certificate(certificate).fingerprint256,
      serial,
    }
  }

  /** What a link needs: one of our certificates, and trust in `authority`, ourselves unless stated. */
  material(wanted: Wanted, authority: TestAuthority = this): TlsMaterial {
    const { key, certificate } = this.issue(wanted)
    return { key, certificate, ca: authority.certificate }
  }

  /** A list of revoked certificates, good for a day. */
  revoking(...serials: readonly Buffer[]): string {
    const revoked = serials.map((serial) => sequence(integer(serial), time(-1)))
    const list = sequence(
      integer(Buffer.of(1)),
      ecdsaWithSha256,
      nameOf(this.#name),
      time(-1),
      time(1),
      ...(revoked.length > 0 ? [sequence(...revoked)] : []),
    )
    return pem('X509 CRL', this.#signed(list))
  }

  #certificate(wanted: Wanted, subjectKey: KeyObject, serial: Buffer, isAuthority: boolean): Buffer {
    const { name, dnsNames = [name], fromDays = -1, untilDays = 90, use = 'both' } = wanted
    const uses = { server: [serverUse], client: [clientUse], both: [serverUse, clientUse] }[use]
    const extensions = isAuthority
      ? [extension('551d13', sequence(tlv(0x01, Buffer.of(0xff))), true)]
      : [
          ...(dnsNames.length > 0
            ? [extension('551d11', sequence(...dnsNames.map((dns) => tlv(0x82, Buffer.from(dns)))))]
            : []),
          extension('551d25', sequence(...uses)),
        ]
    return this.#signed(
      sequence(
        tlv(0xa0, integer(Buffer.of(2))),
        integer(serial),
        ecdsaWithSha256,
        nameOf(this.#name),
        sequence(time(fromDays), time(untilDays)),
        nameOf(name),
        subjectKey.export({ type: 'spki', format: 'der' }),
        tlv(0xa3, sequence(...extensions)),
      ),
    )
  }

  #signed(data: Buffer): Buffer {
    const signature = sign('sha256', data, this.#keys.privateKey)
    return sequence(data, ecdsaWithSha256, tlv(0x03, Buffer.of(0), signature))
  }
}

function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  const length =
    content.length < 0x80
      ? Buffer.of(content.length)
      : Buffer.of(0x82, content.length >> 8, content.length & 0xff)
  return Buffer.concat([Buffer.of(tag), length, content])
}

function sequence(...contents: readonly Uint8Array[]): Buffer {
  return tlv(0x30, ...contents)
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

/** Its first byte is neither zero, which DER would not write, nor that of a negative number. */
function newSerial(): Buffer {
  const serial = randomBytes(8)
  serial[0] = (serial[0]! & 0x3f) | 0x40
  return serial
}

/** Positive: a zero stands before a first bit that would make it negative. */
function integer(bytes: Buffer): Buffer {
  return bytes[0]! < 0x80 ? tlv(0x02, bytes) : tlv(0x02, Buffer.of(0), bytes)
}

function nameOf(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(commonName)))))
}

/** GeneralizedTime, so many days from now. */
function time(days: number): Buffer {
  const text = new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tlv(0x18, Buffer.from(text))
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [tlv(0x01, Buffer.of(0xff))] : []), tlv(0x04, value))
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`
}

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const serverUse = oid('2b06010505070301')
const clientUse = oid('2b06010505070302')
