import { bytes, de, extend, iso93Bcd, secret } from '../../iso8583/iso8583.ts'

/**
 * A bank's own authorization host, in ISO 8583:1993. Nobody's in particular: hosts of this edition agree in the
 * standard's table and in little else. The PIN block is the sixteen bytes of ISO 9564 format 4, under an AES key.
 */
export const issuerHostGeneric = extend(iso93Bcd, {
  name: 'issuer-host-generic',
  about: 'ISO 8583:1993 with packed digits; DE52 of 16 bytes, for PIN blocks of format 4',
  fidelity: 'illustrative',
  notClaimed: [
    'what a given host makes of DE24, 25, 48, 54, 56 and 72',
    'which elements it wants by message',
    'its action codes beyond the standard list',
    'its framing, seals and keys',
  ],
  fields: { 52: de('PIN block', secret(bytes(16))) },
})
