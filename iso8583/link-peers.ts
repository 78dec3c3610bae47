import { BlockList, isIP } from 'node:net'
import type { X509Certificate } from 'node:crypto'

/** A peer that may connect, and how it is known: by its certificate, its address, or both. */
export interface Peer {
  /** The participant; what a link's `peerName` says. */
  readonly name: string
  /** A DNS name among the certificate's alternative names. */
  readonly dnsName?: string
  /** SHA-256 of the certificate in hexadecimal, colons or not. Two while it is being renewed. */
  readonly fingerprints?: readonly string[]
  /** Where it may come from: addresses, or networks such as 10.1.2.0/24. */
  readonly addresses?: readonly string[]
  /** One, unless stated. */
  readonly connectionsMax?: number
}

/** Why a certificate is not the one that is expected: neither name nor fingerprint, or one of the two. */
export function pinFault(certificate: X509Certificate, peer: Pin): 'name' | 'fingerprint' | undefined {
  const { dnsName, fingerprints } = peer
  if (dnsName !== undefined && certificate.checkHost(dnsName, { subject: 'never' }) === undefined)
    return 'name'
  if (fingerprints === undefined) return dnsName === undefined ? 'name' : undefined
  const shown = plain(certificate.fingerprint256)
  return fingerprints.some((pinned) => plain(pinned) === shown) ? undefined : 'fingerprint'
}

export type Pin = Pick<Peer, 'dnsName' | 'fingerprints'>

/** The peers of one listener. */
export class Peers {
  readonly #peers: readonly { readonly peer: Peer; readonly addresses: BlockList | undefined }[]

  constructor(peers: readonly Peer[]) {
    this.#peers = peers.map((peer) => ({ peer, addresses: peer.addresses && listOf(peer.addresses) }))
  }

  /** Who this is, or why it is nobody. `certificate` is one whose chain was verified; undefined on plain TCP. */
  known(address: string, certificate: X509Certificate | undefined): Peer | 'unknownPeer' | 'addressOfPeer' {
    const named = this.#peers.filter(({ peer, addresses }) =>
      certificate === undefined
        ? addresses !== undefined && peer.dnsName === undefined && peer.fingerprints === undefined
        : pinFault(certificate, peer) === undefined,
    )
    if (named.length === 0) return 'unknownPeer'
    const found = named.find(({ addresses }) => addresses === undefined || isListed(addresses, address))
    if (found !== undefined) return found.peer
    return certificate === undefined ? 'unknownPeer' : 'addressOfPeer'
  }
}

const loopback = listOf(['127.0.0.0/8', '::1'])

/** `localhost` or an address of this machine's own; any other name may be anywhere. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || isListed(loopback, host)
}

function isListed(list: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

/** Throws `RangeError` for what is neither an address nor a network. */
function listOf(addresses: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of addresses) {
    const [address = '', prefix] = text.split('/')
    const family = isIP(address)
    if (family === 0) throw new RangeError('an allow-list holds addresses and networks')
    const kind = family === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, kind)
    else list.addSubnet(address, Number(prefix), kind)
  }
  return list
}

function plain(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase()
}
