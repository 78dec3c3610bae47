import { setTimeout as sleep } from 'node:timers/promises'
import { startSystem } from '../../bin/environment/system.ts'
import { openPool } from '../../kernel/database.ts'
import { cardNamed } from '../../simulators/cards.ts'
import { keyNamed, readKeyFile } from '../../simulators/keys.ts'
import { responseCodeOf, Terminal } from '../../simulators/terminals/terminal.ts'
import type { Goal } from './goal.ts'

const openRows = 100_000
const readyWithinSeconds = 10
const watchedMs = 15_000

/**
 * A switch that died with a hundred thousand payments under way: how long until it serves the next one, and
 * how fast the others are taken up behind it. The rows are copies of one real payment, written while it is down.
 */
export const restart: Goal = async ({ stateFolder, say }) => {
  const system = await startSystem({ stateFolder })
  const { endpoints } = system
  const pool = openPool({
    databaseUrl: endpoints.database.writerUrl,
    applicationName: 'trust',
    connectionsMax: 2,
  })
  let terminal: Terminal | undefined
  try {
    const keyFile = await readKeyFile(endpoints.keyFile)
    const keys = { pin: keyNamed(keyFile, 'tpk.acq1.in'), mac: keyNamed(keyFile, 'tak.acq1.both') }
    const open = (): Promise<Terminal> =>
      Terminal.open({
        ...endpoints.switch.iso8583,
        terminalId: 'R0000001',
        merchantId: '000000000000902',
        keys,
      })
    terminal = await open()
    const card = cardNamed('knet')
    await terminal.purchase({ card, amountMinor: 5_000n })
    terminal.close()
    await system.kill('switch')
    await pool.query(copies)
    say(`${openRows} payments are open`)
    const startedAt = performance.now()
    const seconds = (): number => (performance.now() - startedAt) / 1_000
    await system.start('switch')
    const ready = seconds()
    terminal = await open()
    const { answer } = await terminal.purchase({ card, amountMinor: 5_000n })
    const served = seconds()
    say(
      `ready after ${ready.toFixed(1)} s, the next payment was answered ${responseCodeOf(answer)} after ${served.toFixed(1)} s`,
    )
    const left = async (): Promise<number> =>
      (
        await pool.query<{ left: number }>(
          "SELECT count(*)::int AS left FROM switch.transaction WHERE state = 'intent'",
        )
      ).rows[0]!.left
    const leftThen = await left()
    await sleep(watchedMs)
    const leftLater = await left()
    const rate = Math.round(((leftThen - leftLater) * 1_000) / watchedMs)
    const code = responseCodeOf(answer)
    const wrong = [
      ready <= readyWithinSeconds ? '' : `ready after ${ready.toFixed(1)} s`,
      code === '00' ? '' : `the next payment was answered ${code}`,
      leftLater < leftThen || leftThen === 0 ? '' : 'nothing more is taken up behind the requests',
    ].filter((what) => what !== '')
    return {
      ok: wrong.length === 0,
      figures: `open ${openRows}  ready ${ready.toFixed(1)} s  open then ${leftThen}  taken up behind the requests ${rate}/s`,
      lines: [`RESULT ${wrong.length === 0 ? 'ok' : wrong.join(', ')}`],
    }
  } finally {
    terminal?.close()
    await pool.end()
    await system.close()
  }
}

/** Whatever columns there are: those that make it an open payment are set, the others are as in the one that was real. */
const copies = `
  WITH ids AS MATERIALIZED (
    SELECT n, gen_random_uuid() AS id, gen_random_uuid() AS leg FROM generate_series(1, ${openRows}) AS n),
  payment AS (
    INSERT INTO switch.transaction
    SELECT copy.* FROM switch.transaction t, ids, jsonb_populate_record(t, jsonb_build_object(
      'id', ids.id, 'source_key', t.source_key || '|' || ids.n, 'version', 1, 'state', 'intent', 'delivery', 'none',
      'response_code', null, 'auth_id', null, 'reversal', 'none',
      'approvable_until', clock_timestamp() + interval '7 seconds')) AS copy),
  leg AS (
    INSERT INTO switch.leg
    SELECT copy.* FROM switch.leg l, ids, jsonb_populate_record(l, jsonb_build_object(
      'id', ids.leg, 'transaction_id', ids.id, 'state', 'intent', 'response_code', null, 'auth_id', null)) AS copy)
  INSERT INTO switch.event
  SELECT copy.* FROM switch.event e, ids, jsonb_populate_record(e, jsonb_build_object('transaction_id', ids.id)) AS copy
   WHERE e.sequence = 1`
