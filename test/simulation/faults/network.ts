import { type Fault, times, upTo } from './fault.ts'

/** Between the switch and its networks, and behind them. */
export const networkFaults = {
  /** Of messages, in either direction. */
  drop: upTo(0.3),
  slow: upTo(0.3),
  duplicate: upTo(0.3),
  /** Of sealed messages as bytes, in either direction: one bit arrives as the other. */
  garbled: upTo(0.2),
  /** The link to the network breaks under a leg. */
  linkLost: upTo(0.3),
  /** The network can't be reached when a leg is to be sent. */
  networkAway: upTo(0.3),
  /** One network is away for up to half a minute. */
  networkOutages: times(1, 2),
  /** A leg does not leave: the line refused it before the first byte. */
  notSent: upTo(0.3),
  /** Of the issuer's decisions: no, and yes to another amount. */
  decline: upTo(0.3),
  /** A reversal that is answered with a malfunction however often it comes. */
  poison: upTo(0.3),
  wrongAmount: upTo(0.3),
  /** No fault: in these histories we approve in the place of issuers that are out of reach. */
  standIn: upTo(1),
  partialApproval: upTo(0.3),
  /** Of purchases, those whose reversal the issuer will not have. */
  reversalRefused: upTo(0.3),
  /** A network's business date turns; the cutover is told twice, or one of a date that has passed. */
  cutovers: times(1, 4),
  cutoverTwice: upTo(1),
  cutoverBackward: upTo(1),
  /** Of its answers: they carry the date before. */
  oldDate: upTo(0.3),
} as const satisfies Readonly<Record<string, Fault>>
