import type { Bug } from './bugs/bug.ts'
import { check } from './checks/checks.ts'
import { words } from './edges/words.ts'
import { noFaults } from './faults/faults.ts'
import { type HistorySize, sceneOf } from './history.ts'
import type { Scene } from './scene.ts'
import type { Told } from './terminals.ts'
import { World } from './world.ts'

/**
 * A scene in which nothing goes wrong by chance, for one failure at a time: `around` stands between the switch and its
 * ports as a planted bug would.
 */
export interface Stage extends Scene {
  /** A terminal buys now. */
  buy(): Told
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>
  /** What was posted of a purchase, and what its issuer holds. */
  booksOf(told: Told): { readonly ledger: bigint; readonly issuer: bigint }
  violations(): readonly string[]
}

export async function stage(
  options: {
    readonly around?: Bug
    readonly size?: Partial<HistorySize>
    /** Issuers may be stood in for. */
    readonly standIn?: boolean
  } = {},
): Promise<Stage> {
  const world = new World(1, { tell: true })
  const size = { purchases: 0, nodes: 1, networks: 1, ...options.size }
  const scene = sceneOf({
    world,
    rates: () => ({ ...noFaults, standIn: options.standIn === true ? 1 : 0 }),
    size,
    bug: options.around,
    edge: words,
  })
  for (const node of scene.nodes) node.start()
  await world.run(100)
  return {
    ...scene,
    buy: () => scene.terminals.buy(scene.terminals.book.length),
    pass: (ms) => world.run(world.monotonicMs() + ms),
    booksOf({ rrn, sourceKey }) {
      const stored = [...scene.database.transactions.values()]
      const found = stored.find(({ transaction }) => transaction.sourceKey === sourceKey)
      return {
        ledger: found === undefined ? 0n : scene.database.books.net(found.transaction.id),
        issuer: scene.networks.reduce((sum, { issuer }) => sum + issuer.net(rrn), 0n),
      }
    },
    violations: () => check(scene),
  }
}
