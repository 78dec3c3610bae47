import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Clock } from '../kernel/clock.ts'
import { type CredentialsFault, LinkError } from './link.ts'

/** Our own certificate and whom we believe, in PEM. */
export interface TlsMaterial {
  readonly key: string
  /** Our certificate, then those between it and its authority. */
  readonly certificate: string
  /** The authorities of our peers, and no others. */
  readonly ca: string
  /** What those authorities have revoked; a list of each of them. */
  readonly crl?: string
}

export interface TlsFiles {
  readonly key: string
  readonly certificate: string
  readonly ca: string
  readonly crl?: string
}

/** Reads the files as they are now. Throws `LinkError`. */
export function readTlsMaterial({ key, certificate, ca, crl }: TlsFiles): TlsMaterial {
  return {
    key: read(key),
    certificate: read(certificate),
    ca: read(ca),
    ...(crl !== undefined && { crl: read(crl) }),
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new LinkError({ kind: 'credentials', why: 'unreadable' })
  }
}

/** TLS 1.2 is for a peer that can't do better, and then with authenticated encryption and forward secrecy only. */
const suites13 = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']
const suites12 = ['AES256-GCM-SHA384', 'CHACHA20-POLY1305', 'AES128-GCM-SHA256'].flatMap((cipher) => [
  `ECDHE-ECDSA-${cipher}`,
  `ECDHE-RSA-${cipher}`,
])

/**
 * What links show of themselves and demand of others under TLS. It can be replaced while links are open: those keep
 * what they have, and every later handshake uses the new.
 */
export class TlsCredentials {
  readonly #clock: Pick<Clock, 'wallMs'>
  #material: TlsMaterial
  #expiresAt: number
  readonly #contexts = new Map<boolean, SecureContext>()
  readonly #listeners = new Set<() => void>()

  /** Throws `LinkError` for what no handshake could use. */
  constructor(material: TlsMaterial, clock: Pick<Clock, 'wallMs'>) {
    this.#clock = clock
    this.#material = material
    this.#expiresAt = this.#checked(material)
  }

  /** When the first certificate ends of those that we show and those that we believe, in ms since 1970. */
  get expiresAt(): number {
    return this.#expiresAt
  }

  /** Throws `LinkError` for what no handshake could use; then all stays as it was. */
  replace(material: TlsMaterial): void {
    this.#expiresAt = this.#checked(material)
    this.#material = material
    this.#contexts.clear()
    for (const listener of this.#listeners) listener()
  }

  /** Called after each replacement, until the returned function is. */
  onReplaced(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  context(tls12: boolean): SecureContext {
    let context = this.#contexts.get(tls12)
    if (context === undefined) {
      context = createSecureContext(this.contextOptions(tls12))
      this.#contexts.set(tls12, context)
    }
    return context
  }

  contextOptions(tls12: boolean): SecureContextOptions {
    const { key, certificate, ca, crl } = this.#material
    return {
      key,
      cert: certificate,
      ca,
      ...(crl !== undefined && { crl }),
      minVersion: tls12 ? 'TLSv1.2' : 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: [...suites13, ...suites12, '@SECLEVEL=2'].join(':'),
      honorCipherOrder: true,
      // Every session begins with both certificates: none is renegotiated, and none resumed by a ticket.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
    }
  }

  #checked(material: TlsMaterial): number {
    const now = this.#clock.wallMs()
    const chain = certificatesIn(material.certificate)
    const authorities = certificatesIn(material.ca)
    const [own] = chain
    if (own === undefined || authorities.length === 0) throw credentialsError('unreadable')
    if (!own.checkPrivateKey(privateKeyOf(material.key))) throw credentialsError('keyMismatch')
    if (own.validFromDate.getTime() > now) throw credentialsError('notYetValid')
    if (own.validToDate.getTime() <= now) throw credentialsError('expired')
    return Math.min(...[...chain, ...authorities].map(({ validToDate }) => validToDate.getTime()))
  }
}

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem
    .split(/(?=-----BEGIN CERTIFICATE-----)/)
    .filter((block) => block.startsWith('-----BEGIN'))
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    throw credentialsError('unreadable')
  }
}

function privateKeyOf(pem: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem)
  } catch {
    throw credentialsError('unreadable')
  }
}

function credentialsError(why: CredentialsFault): LinkError {
  return new LinkError({ kind: 'credentials', why })
}
