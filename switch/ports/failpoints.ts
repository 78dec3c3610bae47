import type { Connector } from '../../connectors/connector.ts'
import type { Hsm } from '../../hsm/hsm.ts'
import type { PinMover } from '../dispatch.ts'
import type { Journal, JournalUnit } from '../journal.ts'
import type { Waiter } from '../live.ts'
import type { Shell } from '../shell.ts'

/**
 * Places in a transaction's life where a drill can have the process die, throw, stand still or wait, from the outside:
 * `FAILPOINT=P8.after:kill@50` kills it right after the fiftieth outcome was committed. They are wrapped around the
 * ports, so neither the shell nor the core knows of them, and nothing is wrapped where none was asked for. Refused in
 * production.
 */
export const failpointNames = [
  'P2.after', // a request was read, nothing was asked about it
  'P3.before', // commit 1: the intent
  'P3.after',
  'P4.after', // the PIN is in the destination's zone
  'P5.before', // the first byte to the destination
  'P5.after', // it has gone out; P6 is the wait from here on
  'P7.after', // the answer is here, and nobody has heard of it
  'P8.before', // commit 2: outcome, entries, what is owed
  'P8.after',
  'P9.after', // the answer was given to the source's socket
  'P10.after', // its delivery is on record
  'P11.before', // a reversal goes out
  'P11.after',
  'P12.before', // its acknowledgement is put on record
  'P12.after',
] as const

type FailpointName = (typeof failpointNames)[number]

interface Failpoint {
  readonly name: FailpointName
  readonly action: 'kill' | 'throw' | 'stall' | 'delay'
  /** Of `stall` and `delay`. */
  readonly ms: number
  /** The passing at which it acts; `delay` acts at every one from there on. */
  readonly nth: number
}

export class FailpointError extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'FailpointError'
  }
}

type AskedHsm = Pick<Hsm, 'verifyThenTokenise'> & PinMover

/** `NAME:ACTION`, where the action is `kill`, `throw`, `stall=MS` or `delay=MS`, and may end in `@N`. */
function parseFailpoint(text: string, environment: string): Failpoint {
  if (environment === 'production') throw new FailpointError('failpoints are refused in production')
  const match = /^(P\d+\.(?:before|after)):(kill|throw|stall|delay)(?:=(\d{1,6}))?(?:@(\d{1,6}))?$/.exec(text)
  const name = failpointNames.find((known) => known === match?.[1])
  if (match === null || name === undefined) {
    throw new FailpointError(
      `FAILPOINT: not NAME:kill|throw|stall=MS|delay=MS, with NAME of ${failpointNames.join(' ')}`,
    )
  }
  const action = match[2] as Failpoint['action']
  if ((action === 'stall' || action === 'delay') !== (match[3] !== undefined)) {
    throw new FailpointError('FAILPOINT: stall and delay take =MS, kill and throw do not')
  }
  return { name, action, ms: Number(match[3] ?? 0), nth: Number(match[4] ?? 1) }
}

type Door = Pick<Shell, 'request' | 'reversal' | 'completion'>

/** Ports with one failpoint in them. */
export class Failpoints {
  readonly #failpoint: Failpoint
  #passed = 0

  /** Throws `FailpointError`. */
  constructor(text: string, environment: string) {
    this.#failpoint = parseFailpoint(text, environment)
  }

  journal(journal: Journal): Journal {
    return around(journal, {
      commit: async (unit) => {
        const point = pointOf(unit)
        if (point !== undefined) await this.#pass(`${point}.before`)
        const outcome = await journal.commit(unit)
        if (point !== undefined) await this.#pass(`${point}.after`)
        return outcome
      },
    } satisfies Partial<Journal>)
  }

  hsm<Port extends AskedHsm>(hsm: Port): Port {
    const methods: AskedHsm = {
      verifyThenTokenise: async (request) => {
        await this.#pass('P2.after')
        return hsm.verifyThenTokenise(request)
      },
      translatePin: async (request) => {
        const block = await hsm.translatePin(request)
        await this.#pass('P4.after')
        return block
      },
      movePin: async (request) => {
        const block = await hsm.movePin(request)
        await this.#pass('P4.after')
        return block
      },
    }
    return around<AskedHsm>(hsm, methods) as Port
  }

  connectors(connectors: ReadonlyMap<string, Connector>): ReadonlyMap<string, Connector> {
    return new Map([...connectors].map(([name, connector]) => [name, this.#connector(connector)]))
  }

  #connector(connector: Connector): Connector {
    return around(connector, {
      send: async (prepared, deadline) => {
        const point = prepared.leg.mti[1] === '4' ? 'P11' : 'P5'
        await this.#pass(`${point}.before`)
        const sending = connector.send(prepared, deadline)
        // The write is behind us when the loop has turned.
        await new Promise((resolve) => setImmediate(resolve))
        await this.#pass(`${point}.after`)
        const outcome = await sending
        if (point === 'P5' && outcome.kind === 'answered') await this.#pass('P7.after')
        return outcome
      },
    } satisfies Partial<Connector>)
  }

  door(shell: Door): Door {
    const told = (waiter: Waiter): Waiter => {
      const wrapped: Waiter = async (answer) => {
        const outcome = await waiter(answer)
        await this.#pass('P9.after')
        return outcome
      }
      if (waiter.prepare !== undefined) wrapped.prepare = (answer) => waiter.prepare?.(answer)
      return wrapped
    }
    return {
      request: (inbound, file, waiter) => shell.request(inbound, file, told(waiter)),
      reversal: (reversal, waiter) => shell.reversal(reversal, waiter),
      completion: (completion, file, waiter) => shell.completion(completion, file, waiter),
    }
  }

  async #pass(name: string): Promise<void> {
    const { action, ms, nth } = this.#failpoint
    if (name !== this.#failpoint.name || ++this.#passed < nth) return
    if (action === 'delay') return void (await new Promise((resolve) => setTimeout(resolve, ms)))
    if (this.#passed > nth) return
    switch (action) {
      case 'kill':
        process.kill(process.pid, 'SIGKILL')
        // Nothing else runs before the signal has done its work.
        for (;;);
      case 'throw':
        // Out of everybody's hands, as a bug would be.
        setImmediate(() => {
          throw new FailpointError(`failpoint ${name}`)
        })
        return
      case 'stall': {
        const until = performance.now() + ms
        while (performance.now() < until);
      }
    }
  }
}

/** Methods in the place of an object's own; the others stay what they are, private fields and all. */
function around<Port extends object>(port: Port, methods: Partial<Port>): Port {
  return new Proxy(port, {
    get(target, key) {
      const own = methods[key as keyof Port] ?? Reflect.get(target, key, target)
      return typeof own === 'function' ? (own as (...values: unknown[]) => unknown).bind(target) : own
    },
  })
}

function pointOf({ event }: JournalUnit): string | undefined {
  switch (event.kind) {
    case 'request':
      return 'P3'
    case 'legEnded':
      return 'P8'
    case 'delivery':
      return 'P10'
    case 'obligationAnswered':
      return 'P12'
    default:
      return undefined
  }
}
