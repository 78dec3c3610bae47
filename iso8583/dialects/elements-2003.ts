/**
 * The data elements of ISO 8583:2003, as far as they are public: the year keeps most of 1993, gives amounts their
 * currency and exponent, widens codes to four digits, and carries structured data as datasets. What could not be
 * checked against a public source is left as it was in 1993.
 */
import {
  alnum,
  bertlv,
  bytes,
  datasets,
  de,
  digits,
  llllvar,
  llvar,
  lllvar,
  positional,
  priv,
  secret,
  text,
} from '../fields.ts'
import { elements1993 } from './elements-1993.ts'
import { emvTags } from './emv-tags.ts'

/** An amount with its currency (ISO 4217) and the number of its decimals. */
const currencyAmount = () => positional({ currency: digits(3), exponent: digits(1), amount: digits(12) })

const composite = () => llllvar(bytes.upTo(9999))

export const elements2003 = {
  ...elements1993,
  4: de('Amount, transaction', currencyAmount()),
  5: de('Amount, reconciliation', currencyAmount()),
  6: de('Amount, cardholder billing', currencyAmount()),
  12: de('Date and time, local transaction', digits(14)),
  13: de('Date, effective', digits(6)),
  15: de('Date, settlement', digits(8)),
  22: de('Point of service data code', bytes(16)),
  25: de('Message reason code', digits(4)),
  34: de('Electronic commerce data', datasets(composite(), { tags: {} })),
  39: de('Action code', digits(4)),
  43: de('Card acceptor name and location', datasets(composite(), { tags: {} })),
  48: de('Additional data, private', priv(llllvar(bytes.upTo(9999)))),
  49: de('Verification data', datasets(composite(), { tags: {} })),
  50: de('Currency code, reconciliation', alnum(3)),
  53: de('Security related control information', secret(llvar(bytes.upTo(48)))),
  55: de('ICC data', bertlv(lllvar(bytes.upTo(255)), { tags: emvTags })),
  56: de('Original data elements', llvar(digits.upTo(41))),
  72: de('Data record', priv(llllvar(text.upTo(9999)))),
} as const
