import { de, digits, extend, iso87Ascii, len, lllvar, priv, tagged, text } from '../../iso8583/iso8583.ts'

/**
 * Public facts of Mastercard's authorization interface on the generic ISO 8583:1987 layout in ASCII; the network's
 * specification is proprietary and confidential, and nothing here comes from it.
 *
 * - What was answered is named later by a trace identifier in DE48, subelement 63, made of DE63 and DE15 of the answer:
 *   published European rules text, as practitioners quote it. So DE48 is tagged here.
 * - Advices of stand-in carry a reason in DE60: docs.thredd.com.
 * - Merchant advice codes tell a merchant what to do about a decline: developer.cybersource.com.
 */
export const mastercardPublicFacts = extend(iso87Ascii, {
  name: 'mastercard-publicfacts',
  about: 'Generic ISO 8583:1987 in ASCII; DE48 tagged, with a trace identifier',
  fidelity: 'illustrative',
  notClaimed: [
    'framing on the wire, and any header',
    'the charset of text and the writing of bitmaps',
    'which elements are mandatory; DE48 beyond subelement 63, DE60, 61, 63, 120 to 127',
    'how messages are sealed, if they are; PIN block format and key scheme; how keys are exchanged',
    'network management codes, timers and sign-on',
    'reversal, store-and-forward, advice and stand-in rules, and their reason codes',
    'the list of response codes and merchant advice codes',
    'card ranges',
    'currency conversion, settlement times and reconciliation',
  ],
  fields: {
    48: de(
      'Additional data',
      priv(
        tagged(lllvar, {
          tag: digits(2),
          len: len(2),
          tags: { '63': text.upTo(15, { title: 'Trace identifier' }) },
        }),
      ),
    ),
    63: de('Network data', priv(lllvar(text.upTo(50)))),
  },
})
