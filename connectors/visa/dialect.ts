import { bitmapped, bytes, de, digits, extend, iso87Ebcdic, lllvar, priv } from '../../iso8583/iso8583.ts'

/**
 * Public facts of Visa's authorization interface on the generic ISO 8583:1987 layout in its mainframe profile; the
 * network's specification is confidential, and nothing here comes from it.
 *
 * - It has a dual-message system (BASE I) and a single-message one (SMS), and stands in for issuers: said by Visa and
 *   by processors in public. This folder is of the first kind: what is asked is an authorization, and clearing is
 *   elsewhere.
 * - A reversal is matched by DE2, DE37, DE38 and a transaction identifier in DE62.2: support.forte.net, page on
 *   reversals. So DE62 is a bitmapped element here, and its second part travels on from answer to reversal.
 */
export const visaPublicFacts = extend(iso87Ebcdic, {
  name: 'visa-publicfacts',
  about: 'Generic ISO 8583:1987 in EBCDIC and packed digits; DE62 bitmapped, with a transaction identifier',
  fidelity: 'illustrative',
  notClaimed: [
    'the header of 22 bytes beyond its first, which says its size',
    'which elements are mandatory, and how each is written',
    'the use of DE44, 48, 60, 62 and 63 beyond part 2 of DE62',
    'how messages are sealed, if they are; PIN block format and key scheme; how keys are exchanged',
    'network management codes, timers and sign-on',
    'reversal, store-and-forward, advice and stand-in rules, and their reason codes',
    'the list of response codes, and which of them may be tried again',
    'card ranges',
    'currency conversion, settlement times and reconciliation',
  ],
  fields: {
    62: de(
      'Payment service fields',
      priv(
        bitmapped(lllvar(bytes.upTo(255), { bytes: 1 }), {
          bitmapBytes: 8,
          fields: {
            1: de('Authorization characteristics', bytes(1)),
            2: de('Transaction identifier', digits(15)),
          },
        }),
      ),
    ),
  },
})
