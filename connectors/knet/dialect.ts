import { extend, iso87Bcd } from '../../iso8583/iso8583.ts'

/**
 * A placeholder for KNET's host interface, which is not public. Its message format is the generic ISO 8583:1987
 * layout in its BCD profile; only what is listed here is known of the network, each with where it was said.
 *
 * - Amounts are in Kuwaiti dinar, 414, with three decimals: ISO 4217. So DE4 counts fils.
 * - It is a debit scheme of the local banks, founded in 1992, with terminals since 1994: Central Bank of Kuwait,
 *   cbk.gov.kw, pages on payment systems.
 * - The PIN is relayed to the issuer and not kept on the way: KNET's own service page, read from a mirror. So DE52
 *   travels, under a zone key.
 * - A contactless purchase below KD 25 needs no PIN, up to KD 25 a day: terms of one member bank, cbk.com. Not
 *   enforced here; issuers do that.
 * - 8888880000000001 is a card of the test gateway: developers.tap.company. It says nothing of real card ranges.
 */
export const knetPlaceholder = extend(iso87Bcd, {
  name: 'knet-placeholder',
  about: 'Generic ISO 8583:1987 in place of a specification that is not public; public facts only.',
  fidelity: 'illustrative',
  notClaimed: [
    'the version of ISO 8583 that KNET speaks, its headers and its bitmap encoding',
    'framing on the wire',
    'which elements are mandatory, and the use of DE48, 60, 62 and 63',
    'how messages are sealed, and over what',
    'PIN block format and key scheme, and how keys are exchanged',
    'network management codes, timers, and whether there is a sign-on',
    'reversal, store-and-forward and stand-in rules',
    'the list of response codes',
    'card ranges',
    'cutover, settlement times and reconciliation',
  ],
})
