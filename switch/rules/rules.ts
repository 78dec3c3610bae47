import type { DestinationRules } from '../../connectors/connector.ts'
import type { Edition, Outcome, Reading } from '../results.ts'
import type { RoutingTable } from '../routing.ts'
import type { SoftHealthRules } from '../soft-health.ts'
import type { SourceRules } from './source-rules.ts'
import type { StandInRule } from './stand-in-rules.ts'

/**
 * Everything that people decide about traffic and may change while it runs: where cards go, how long anybody waits, what
 * may be asked for, what codes mean, where we approve in an issuer's place. One object, never changed; a reload puts
 * another in its place, and what is being served keeps the one it began with.
 */
export interface Rules {
  readonly version: RulesVersion
  readonly routes: RoutingTable
  /** Absent: no destination is ever demoted. */
  readonly softHealth?: SoftHealthRules
  /** The longest range first. */
  readonly standIn: readonly StandInRule[]
  readonly sources: ReadonlyMap<string, SourceRules>
  readonly destinations: ReadonlyMap<string, DestinationTerms>
}

/** Which rules: the number grows with each set there has not been before; the same set has the same number again. */
export interface RulesVersion {
  readonly number: number
  /** SHA-256 of what the files say, comments and order of names apart; hexadecimal. */
  readonly hash: string
}

/** What stands of a destination in the rules. */
export interface DestinationTerms {
  readonly rules: DestinationRules
  readonly edition: Edition
  /** What its codes mean otherwise than those of its edition. */
  readonly meanings: Readonly<Record<string, Outcome>>
  readonly standIn: StandInTerms
}

export interface StandInTerms {
  /**
   * What it may have is undone before it is told of our approval (P5), or it nets the two itself and hears the advice alone.
   */
  readonly settles: 'reversalThenAdvice' | 'adviceOnly'
  /** Answers of a front end that could not ask its issuer, on which we approve in its place. */
  readonly onOutcomes: readonly Outcome[]
}

export const noStandIn: StandInTerms = { settles: 'reversalThenAdvice', onOutcomes: [] }

/** How a destination's codes are read. */
export function readingOf({ edition, meanings, rules }: DestinationTerms): Reading {
  return { edition, meanings, approvals: rules.approvals, partialApprovals: rules.partialApprovals ?? [] }
}

/** `7-3fa9c1d2`, for people and for the record. */
export function versionText({ number, hash }: RulesVersion): string {
  return `${number}-${hash.slice(0, 8)}`
}

/** What the rules are about, which they cannot change: who asks, and who is asked. */
export interface KnownToRules {
  readonly sources: ReadonlyMap<string, Pick<SourceRules, 'name' | 'keys'>>
  readonly destinations: ReadonlyMap<string, { readonly rules: DestinationRules; readonly edition: Edition }>
}
