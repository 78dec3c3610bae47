import type { Connector, LegIdentity } from '../../../connectors/connector.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { BusinessDays } from '../../../switch/business-days.ts'
import type { Journal } from '../../../switch/journal.ts'
import type { SimulatedDatabase } from '../database.ts'
import type { Rules } from '../../../switch/rules/rules.ts'
import type { Door } from '../door.ts'

/**
 * A mistake planted around the core and the shell: where they meet the journal, the database, the networks and the
 * sources. The simulation is worth nothing unless it finds each of them.
 */
export interface Bug {
  readonly journal?: (journal: Journal, clock: Clock) => Journal
  readonly connector?: (connector: Connector, clock: Clock) => Connector
  readonly clock?: (clock: Clock) => Clock
  /** Names legs of one life of a node, at a DE7. */
  readonly identify?: () => (transmittedAt: string) => LegIdentity
  /** What an answer must have in common with its leg. */
  readonly matchKey?: (identity: LegIdentity) => string
  /** What sources come in by. */
  readonly door?: (door: Door) => Door
  /** Whether what is new is taken in. */
  readonly takesNew?: () => boolean
  /** What it takes for the business dates. */
  readonly days?: (days: BusinessDays) => Pick<BusinessDays, 'today' | 'postingDays' | 'isClosed'>
  /** The rules that what comes in is decided by. */
  readonly pins?: (rules: { readonly current: Rules }) => Rules
  /** What a crash takes with it that it should not. */
  readonly crash?: (database: SimulatedDatabase) => void
  /** What the database does not look at when it commits. */
  readonly ignore?: 'versions' | 'fences' | 'exposures' | 'refunds'
}
