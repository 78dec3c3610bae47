import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { runReconcile } from '../../bin/commands/reconcile.ts'
import { ask } from '../../bin/environment/control.ts'
import { startSystem, type System } from '../../bin/environment/system.ts'
import { TestAuthority } from '../../bin/environment/test-authority.ts'
import { openPool } from '../../kernel/database.ts'
import { keyExchangeHistory } from '../../switch/switch.ts'
import type { Goal } from './goal.ts'

const networks = ['knet', 'visa', 'mastercard', 'issuer-host'] as const
const names = ['switch', 'terminals', ...networks]
/** Purchases a second: every line is TLS, and everything shares two cores. */
const rate = 40
const mafraq = join(import.meta.dirname, '../../bin/mafraq.ts')

/**
 * `npm run trust:smoke -- keys`: while purchases run over mutual TLS to four networks, each network sends a new key for
 * seals and one for PINs, is then asked for both, and the switch's certificate is replaced twice. Nothing fails.
 */
export const keys: Goal = async ({ stateFolder, say }) => {
  const certificates = issueAll(join(stateFolder, 'tls'))
  const system = await startSystem({ stateFolder, tls: true, networks })
  const pool = openPool({
    databaseUrl: system.endpoints.database.readerUrl,
    applicationName: 'trust',
    connectionsMax: 1,
  })
  const wrong: string[] = []
  try {
    await system.startTerminals({ rate, mix: { approve: 1 } })
    await sleep(8_000)
    for (const part of ['mac', 'pin'] as const) {
      const told = await Promise.all(networks.map((network) => send(system, network, part)))
      for (const [index, { responseCode }] of told.entries()) {
        if (responseCode !== '00' && responseCode !== '800')
          wrong.push(`${networks[index]!} ${part} ${responseCode ?? 'silence'}`)
      }
      say(`each network has sent a new key (${part})`)
    }
    wrong.push(...(await renewed(system, certificates)))
    say('the certificate was replaced')
    for (const network of networks) {
      const words = ['keys', 'ask', network, '--by', 'drill', '--why', 'drill', '--state', stateFolder]
      await promisify(execFile)(process.execPath, [mafraq, ...words])
    }
    // Two by their own will and two because they were asked.
    wrong.push(...(await untilExchanged(system, 4)))
    say('asked, the networks have sent them again')
    wrong.push(...(await renewed(system, certificates)))
    await sleep(2_000)
    const history = await keyExchangeHistory(pool, 1_000)
    const activated = new Set(history.flatMap(({ event, key }) => (event === 'activated' ? [key] : []))).size
    if (activated !== networks.length * 4) wrong.push(`activated ${activated}`)
    const { approved, declined, sent, unanswered } = await system.stopTerminals(60_000)
    await system.settle(60_000)
    const { ok, lines } = await runReconcile({ stateFolder, final: true, settleMs: 60_000 })
    const failed = sent - approved
    const said = Object.entries(declined).map(([code, count]) => `${code}: ${count}`)
    if (failed > 0) wrong.push(`${failed} purchases failed`)
    return {
      ok: ok && wrong.length === 0,
      figures: `purchases ${sent}  approved ${approved}  declined (${said.join(', ')})  unanswered ${unanswered}  failed ${failed}  keys exchanged ${activated}  certificates replaced 2`,
      lines: wrong.length === 0 ? lines : [...lines.slice(0, -1), `RESULT ${wrong.join(', ')}`],
    }
  } finally {
    await pool.end()
    await system.close()
  }
}

interface NetworkStatus {
  readonly responseCode?: string | null
  readonly keys: { readonly exchanged: number }
  readonly badSeals: number
}

function send(system: System, network: string, part: string): Promise<NetworkStatus> {
  const { control } = system.endpoints.networks[network]!
  return ask<NetworkStatus>(control, 'POST', '/keys', 90_000, { send: part })
}

async function untilExchanged(system: System, many: number): Promise<string[]> {
  const wrong: string[] = []
  for (const network of networks) {
    for (let tries = 0; ; tries++) {
      const { keys: ring, badSeals } = await ask<NetworkStatus>(
        system.endpoints.networks[network]!.control,
        'GET',
        '/status',
      )
      if (badSeals > 0) wrong.push(`${network} saw ${badSeals} wrong seals`)
      if (ring.exchanged === many || badSeals > 0) break
      if (tries > 300) {
        wrong.push(`${network} exchanged ${ring.exchanged} keys`)
        break
      }
      await sleep(200)
    }
  }
  return wrong
}

interface Certificates {
  readonly folder: string
  readonly authority: TestAuthority
}

function issueAll(folder: string): Certificates {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const certificates = { folder, authority: new TestAuthority() }
  for (const name of names) issue(certificates, name)
  writeFileSync(join(folder, 'ca.pem'), certificates.authority.certificate)
  return certificates
}

function issue({ folder, authority }: Certificates, name: string): string {
  const { key, certificate, fingerprint } = authority.issue({ name: `${name}.test` })
  for (const [file, text] of [
    [`${name}.key`, key],
    [`${name}.pem`, certificate],
  ] as const) {
    writeFileSync(join(folder, `${file}.new`), text, { mode: 0o600 })
    renameSync(join(folder, `${file}.new`), join(folder, file))
  }
  return fingerprint
}

/** A new certificate for the switch, which whoever connects afterwards is shown; those who are connected stay so. */
async function renewed(system: System, certificates: Certificates): Promise<string[]> {
  const fingerprint = issue(certificates, 'switch')
  process.kill((await system.pid('switch'))!, 'SIGHUP')
  for (let tries = 0; tries < 100; tries++) {
    if ((await shown(system, certificates)) === fingerprint) return []
    await sleep(100)
  }
  return ['the new certificate is not shown']
}

function shown({ endpoints }: System, { folder }: Certificates): Promise<string> {
  const read = (file: string): Buffer => readFileSync(join(folder, file))
  const { host, port } = endpoints.switch.iso8583
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        ...{ host, port, servername: 'switch.test' },
        ...{ key: read('terminals.key'), cert: read('terminals.pem'), ca: read('ca.pem') },
      },
      () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '')
        socket.destroy()
      },
    )
    socket.once('error', reject)
  })
}
