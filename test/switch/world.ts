import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSystem, type System, type SystemOptions } from '../../bin/environment/system.ts'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { type DatabasePool, openPool } from '../../kernel/database.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import type { WireMessage } from '../../simulators/terminals/wire.ts'
import { Terminal, type TerminalKeys } from '../../simulators/terminals/terminal.ts'
import { type Life, transactionLife } from '../../switch/switch.ts'

/** The whole of Mafraq, as `npm start` runs it, with terminals that do as a test tells them. */
export interface SwitchWorld {
  readonly system: System
  readonly pool: DatabasePool
  readonly keys: TerminalKeys
  /** A terminal with a line of its own. */
  terminal(options?: { readonly timeoutMs?: number }): Promise<Terminal>
  /** How the network behaves from now on. */
  network(behaviour: Readonly<Record<string, unknown>>): Promise<void>
  /** The journal's account of the one transaction with this RRN. */
  life(rrn: string): Promise<Life>
  /** All with this RRN, the oldest first. */
  lives(rrn: string): Promise<Life[]>
  /** Waits until the transaction is as wished. */
  lifeUntil(rrn: string, wished: (life: Life) => boolean): Promise<Life>
  /** The entries of a transaction in order, `net USD 4068`: the kind of account, currency and amount, credits below zero. */
  entriesOf(id: string): Promise<string[]>
  close(): Promise<void>
}

export async function openSwitchWorld(
  special: Pick<SystemOptions, 'members' | 'networks' | 'rules' | 'timeouts'> = {},
): Promise<SwitchWorld> {
  const stateFolder = mkdtempSync(join(tmpdir(), 'mafraq-test-'))
  chmodSync(stateFolder, 0o711)
  // A machine that is busy with the other tests is slower than any HSM may be; no test here is of that.
  const system = await startSystem({ stateFolder, hsmDeadlineMs: 2_000, ...special })
  const { endpoints } = system
  const keyFile = await readKeyFile(endpoints.keyFile)
  const keys = { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') }
  const pool = openPool({
    databaseUrl: endpoints.database.readerUrl,
    applicationName: 'test',
    connectionsMax: 2,
  })
  const terminals: Terminal[] = []
  let nextTerminal = 1

  const world: SwitchWorld = {
    system,
    pool,
    keys,
    async terminal({ timeoutMs = 15_000 } = {}) {
      const terminalId = `X${String(nextTerminal++).padStart(7, '0')}`
      const merchantId = '000000000000901'
      const terminal = await Terminal.open({
        ...endpoints.switch.iso8583,
        terminalId,
        merchantId,
        keys,
        timeoutMs,
      })
      terminals.push(terminal)
      return terminal
    },
    async network(behaviour) {
      const { host, port } = endpoints.networks['knet']!.control
      const answer = await fetch(`http://${host}:${port}/behaviour`, {
        method: 'POST',
        body: JSON.stringify(behaviour),
      })
      if (!answer.ok) throw new Error(`the network refuses to behave so: ${answer.status}`)
    },
    async life(rrn) {
      // A reversal of what never came has the number of what it was meant for.
      const all = await transactionLife(pool, rrn)
      const [life, ...others] = all.length > 1 ? all.filter(({ state }) => state !== 'tombstone') : all
      if (life === undefined || others.length > 0)
        throw new Error(`${others.length + 1} transactions for the RRN`)
      return life
    },
    lives: (rrn) => transactionLife(pool, rrn),
    async lifeUntil(rrn, wished) {
      for (let tries = 0; ; tries++) {
        const life = await world.life(rrn).catch(() => undefined)
        if (life !== undefined && wished(life)) return life
        if (tries > 300) throw new Error(`it did not come to that; it is ${life?.state ?? 'not there'}`)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    },
    async entriesOf(id) {
      const { rows } = await pool.query<{ entry: string }>(
        `SELECT split_part(a.path, ':', 1) || ' ' || e.currency || ' ' || e.amount AS entry
           FROM ledger.posting p JOIN ledger.entry e ON e.posting_id = p.id JOIN ledger.account a ON a.id = e.account_id
          WHERE p.reference LIKE $1 || ':%' ORDER BY p.id, e.seq`,
        [id],
      )
      return rows.map(({ entry }) => entry)
    },
    async close() {
      for (const terminal of terminals) terminal.close()
      await pool.end()
      await system.close()
      rmSync(stateFolder, { recursive: true, force: true })
    },
  }
  return world
}

/** A reversal that names a completion and not its authorization. */
export function reversalOfCompletion(
  { fields }: WireMessage,
  change: WireMessage['fields'] = {},
): WireMessage {
  const unsaid = ['35', '52', '64', '71', '72']
  const said = Object.fromEntries(Object.entries(fields).filter(([de]) => !unsaid.includes(de)))
  const stan = String(700_000 + Number(fields[11]))
  const original = `0220${fields[11] ?? ''}${fields[7] ?? ''}`.padEnd(42, '0')
  return { mti: '0420', fields: { ...said, 11: stan, 90: original, ...change } }
}

/** The three books of everything a world did. Acceptance terminals keep no book, so theirs is empty. */
export function reconciled(world: SwitchWorld): ReturnType<typeof runReconcile> {
  return runReconcile({ stateFolder: world.system.stateFolder, settleMs: 60_000, final: true })
}
