/**
 * `npm run bench:hsm [-- --json] [--seconds S]`: operations per second on a scratch SoftHSM token (or the twin),
 * through the client over the socket with 16 in flight, and by the same command in one process; p50 and p99 are of
 * single calls through an idle client. `-- --memory N`: N operations instead, and the resident memory on the way.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { commands } from '../../hsm/commands/commands.ts'
import type { Context } from '../../hsm/commands/context.ts'
import { Request } from '../../hsm/commands/request.ts'
import { openHsm } from '../../hsm/hsm.ts'
import type { Hsm, IssuerHsm } from '../../hsm/hsm.ts'
import { KeyTable } from '../../hsm/key-table.ts'
import { readKeyFile } from '../../hsm/keys.ts'
import { objectsOf } from '../../hsm/objects.ts'
import { findSofthsm, scratchToken } from '../../hsm/pkcs11/scratch.ts'
import { openPkcs11Token } from '../../hsm/pkcs11/token.ts'
import { openTwin } from '../../hsm/twin/token.ts'
import type { Fields } from '../../hsm/wire.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    seconds: { type: 'string', default: '3' },
    driver: { type: 'string' },
    memory: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const driver = values.driver === 'twin' || findSofthsm() === undefined ? 'twin' : 'pkcs11'

// The published example keys of the standards; blocks are of PIN 1234.
const keys = [
  { ref: 'tpk.acq1.in', algorithm: 'DES2', value: '0123456789ABCDEFFEDCBA9876543210' },
  { ref: 'zpk.knet.out', algorithm: 'DES2', value: '1123456789ABCDEFFEDCBA987654321F' },
  { ref: 'tak.acq1.both', algorithm: 'DES2', value: '0123456789ABCDEFFEDCBA9876543210' },
  { ref: 'zak.knet.both', algorithm: 'AES-128', value: '2B7E151628AED2A6ABF7158809CF4F3C' },
  { ref: 'zpk.acq4.in', algorithm: 'AES-128', value: '00112233445566778899AABBCCDDEEFF' },
  { ref: 'zpk.net4.out', algorithm: 'AES-128', value: '2B7E151628AED2A6ABF7158809CF4F3C' },
]
const pan = '5555555551234567'
const data = Buffer.alloc(200, 0x31)
const work: Readonly<Record<string, { command: keyof typeof commands; fields: Fields }>> = {
  pinTranslate: {
    command: 'translatePin',
    fields: {
      from: 'tpk.acq1.in',
      to: 'zpk.knet.out',
      pinBlock: Buffer.from('230B4C43B8BA2C5C', 'hex'),
      pan,
    },
  },
  cmac200: { command: 'generateMac', fields: { key: 'zak.knet.both', data } },
  retail200: { command: 'generateMac', fields: { key: 'tak.acq1.both', data } },
  format4: {
    command: 'translatePin',
    fields: {
      ...{ from: 'zpk.acq4.in', fromFormat: 4, to: 'zpk.net4.out', toFormat: 4, pan },
      pinBlock: Buffer.from('210BA56623F039D6CEA7762451EB7ACE', 'hex'),
    },
  },
}

interface Figures {
  readonly client: number
  readonly process: number
  readonly p50us: number
  readonly p99us: number
  /** Of a single call, what the socket and the queue add to the command itself. */
  readonly overheadUs: number
}

const scratch = driver === 'pkcs11' ? scratchToken() : undefined
const folder = scratch?.folder ?? mkdtempSync(join(tmpdir(), 'mafraq-bench-'))
const keyFile = join(folder, 'keys.json')
writeFileSync(keyFile, JSON.stringify({ keys }), { mode: 0o600 })
if (scratch !== undefined) process.env['SOFTHSM2_CONF'] = scratch.softhsmConf
const specs = readKeyFile(keyFile).flatMap(objectsOf)
const token = scratch === undefined ? openTwin(specs) : await openPkcs11Token(scratch)
if (scratch !== undefined) for (const spec of specs) token.create(spec)
const context: Context = {
  token,
  keys: new KeyTable(token.objects()),
  random: (output) => token.random(output),
}
const hsm = await openHsm({
  driver,
  ...(scratch === undefined
    ? {}
    : {
        module: scratch.module,
        tokenLabel: scratch.tokenLabel,
        pinFile: scratch.pinFile,
        softhsmConf: scratch.softhsmConf,
      }),
  keyFile,
  vaultDatabaseUrl: 'postgres://nobody@127.0.0.1:1/none',
  socketFolder: join(folder, 'socket'),
  processFile: join(import.meta.dirname, '../../bin/hsm.ts'),
  environment: 'bench',
  deadlineMs: 10_000,
  log: { info: () => undefined, warn: () => undefined, error: (line) => console.error(line) },
})

const results: Record<string, Figures> = {}
if (values.memory !== undefined) await memory(Number(values.memory))
else
  for (const [name, { command, fields }] of Object.entries(work)) {
    const inProcess = alone(command, fields)
    const call = callOf(hsm, command, fields)
    await loaded(call, 1.5)
    const client = await loaded(call, seconds)
    const single = await idle(call)
    results[name] = {
      client,
      process: inProcess.perSecond,
      ...single,
      overheadUs: single.p50us - inProcess.p50us,
    }
  }
await hsm.close()
token.close()
rmSync(folder, { recursive: true, force: true })

if (values.memory !== undefined) {
  // It has said what there is to say.
} else if (values.json === true) console.log(JSON.stringify(results))
else {
  console.log(`driver ${driver}`)
  console.table(results)
}
process.exit(0)

/** Plain objects as callers have them: the client's own work is part of what is measured. */
function callOf(client: Hsm & IssuerHsm, command: string, fields: Fields): () => Promise<unknown> {
  const { from, ...rest } = fields
  const request = { ...rest, key: from ?? fields['key'] } as never
  return command === 'translatePin' ? () => client.movePin(request) : () => client.generateMac(request)
}

function alone(command: keyof typeof commands, fields: Fields): { perSecond: number; p50us: number } {
  const request = new Request(fields)
  for (let warm = 0; warm < 2_000; warm++) commands[command](context, request)
  const taken: number[] = []
  const start = performance.now()
  while (performance.now() - start < seconds * 1_000) {
    const before = performance.now()
    commands[command](context, request)
    taken.push(performance.now() - before)
  }
  return { perSecond: Math.round(taken.length / seconds), p50us: quantile(taken, 0.5) }
}

async function loaded(call: () => Promise<unknown>, forSeconds: number): Promise<number> {
  let done = 0
  const end = performance.now() + forSeconds * 1_000
  const lane = async (): Promise<void> => {
    for (; performance.now() < end; done++) await call()
  }
  await Promise.all(Array.from({ length: 16 }, lane))
  return Math.round(done / forSeconds)
}

async function idle(call: () => Promise<unknown>): Promise<{ p50us: number; p99us: number }> {
  const taken: number[] = []
  for (let index = 0; index < 3_000; index++) {
    const before = performance.now()
    await call()
    taken.push(performance.now() - before)
  }
  return { p50us: quantile(taken, 0.5), p99us: quantile(taken, 0.99) }
}

/** Every kind of work in turn, 16 in flight, with the memory of both processes at each quarter. */
async function memory(operations: number): Promise<void> {
  const calls = Object.values(work).map(({ command, fields }) => callOf(hsm, command, fields))
  const pid = hsm.status().pids![0]!
  const megabytes = (of: number): string => `${Math.round(residentBytes(of) / 1e6)} MB`
  let done = 0
  const lane = async (until: number): Promise<void> => {
    while (done < until) await calls[done++ % calls.length]!()
  }
  const run = (until: number): Promise<unknown> => Promise.all(Array.from({ length: 16 }, () => lane(until)))
  const told = (): void =>
    console.log(`${done} operations  HSM process ${megabytes(pid)}  client ${megabytes(process.pid)}`)
  told()
  for (const part of [0.05, 0.25, 0.5, 0.75, 1]) {
    await run(operations * part)
    told()
  }
}

function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line![1]) * 1_024
}

function quantile(ms: number[], part: number): number {
  const sorted = [...ms].sort((a, b) => a - b)
  return Math.round(sorted[Math.floor(sorted.length * part)]! * 1_000)
}
