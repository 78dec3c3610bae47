import assert from 'node:assert'
import { compile, iso87Ascii, type Link } from '../../../iso8583/iso8583.ts'
import { currencies } from '../../../kernel/money.ts'
import { FrameReader, framed } from '../../../simulators/terminals/frames.ts'
import { decode, encode, type WireMessage } from '../../../simulators/terminals/wire.ts'
import type { InboundCompletion, InboundRequest, InboundReversal } from '../../../switch/arrivals.ts'
import type { Waiter } from '../../../switch/live.ts'
import type { Shell } from '../../../switch/shell.ts'
import { sourceDesk } from '../../../switch/source.ts'
import type { Answer } from '../../../switch/transaction/transaction.ts'
import type { Door, DoorPorts } from '../door.ts'
import { simulatedSource } from '../rules.ts'
import { silent } from '../silent.ts'
import { macOf } from './mac.ts'

const codec = compile(iso87Ascii)
const macKey = simulatedSource.keys.mac

/**
 * The way in with everything on it: a terminal writes what it wants in its own codec, the switch's listener reads it with
 * its own and serves it, and the terminal reads the answer. Each message has a line of its own.
 */
export function bytesDoor(shell: Shell, { clock, hsm, rules }: DoorPorts): Door {
  const desk = sourceDesk({
    name: simulatedSource.name,
    rules: {
      get current() {
        return rules()
      },
    },
    codec,
    hsm,
    shell,
    clock,
    observer: silent,
  })
  const send = (message: WireMessage, waiter: Waiter): Promise<void> => {
    const handlers = desk.attach(lineOf(message, waiter))
    const sealed = encode(message, 'binary', (data) => macOf(macKey, data))
    for (const body of asRead(sealed)) handlers.onMessage(body)
    return Promise.resolve()
  }
  return {
    request: (request, waiter) => send(requestMessage(request), waiter),
    reversal: (reversal, waiter) => send(reversalMessage(reversal), waiter),
    completion: (completion, waiter) => send(completionMessage(completion), waiter),
  }
}

/** As it comes out at the other end of a line that cuts frames where it likes. */
function asRead(body: Buffer): Buffer[] {
  const frame = framed(body)
  const reader = new FrameReader()
  return [frame.subarray(0, 3), frame.subarray(3)].flatMap((piece) => reader.push(piece))
}

/** A line on which one message went in; what comes back is its answer, or the terminal is wrong about everything. */
function lineOf(sent: WireMessage, waiter: Waiter): Link {
  return {
    id: 'line',
    peer: 'terminal',
    open: true,
    quietMs: 0,
    send(body) {
      const [read] = asRead(Buffer.from(body))
      return waiter(answerOf(sent, read!))
    },
    close: () => undefined,
  }
}

function answerOf(sent: WireMessage, body: Buffer): Answer {
  const read = decode(body, 'binary')
  assert(read.kind === 'message', 'a terminal reads the answer')
  const { message, sealed } = read
  assert(sealed !== undefined && macOf(macKey, sealed.bytes).equals(sealed.mac), 'the answer is sealed')
  const isOfIt = message.fields[7] === sent.fields[7] && message.fields[11] === sent.fields[11]
  assert(isOfIt && message.mti.slice(0, 2) === sent.mti.slice(0, 2), 'the answer is of what was asked')
  const { 4: amount, 38: authId, 39: responseCode, 54: additionalAmounts } = message.fields
  const isPart = amount !== undefined && amount !== sent.fields[4]
  return {
    responseCode: responseCode!,
    ...(authId === undefined ? {} : { authId }),
    // With a part of it comes what was asked for.
    ...(additionalAmounts === undefined || isPart ? {} : { additionalAmounts }),
    ...(isPart ? { amountMinor: BigInt(amount) } : {}),
  }
}

function requestMessage({ repeat, names, request, ...inbound }: InboundRequest): WireMessage {
  const mti = repeat ? `${request.mti.slice(0, 3)}1` : request.mti
  return { mti, fields: { ...cardFields({ request, ...inbound }), ...naming(names?.originalKey) } }
}

function completionMessage(completion: InboundCompletion): WireMessage {
  const { originalKey, part, request, sourceKey } = completion
  const number = / (\d+)$/.exec(sourceKey)?.[1] ?? '0'
  return {
    mti: request.mti,
    fields: {
      ...cardFields(completion),
      11: numbered(request.stan, Number(number)),
      ...naming(originalKey),
      ...(request.authId === undefined ? {} : { 38: request.authId }),
      ...(part === undefined ? {} : { 71: part.number.padStart(4, '0') }),
      ...(part?.last === undefined ? {} : { 72: part.last.padStart(4, '0') }),
    },
  }
}

function reversalMessage({
  actualMinor,
  amountMinor,
  originalKey,
  rrn,
  sourceKey,
}: InboundReversal): WireMessage {
  const { stan, transmittedAt } = namesIn(originalKey)
  const part = / (\d+)$/.exec(sourceKey)?.[1]
  const fee = `D${'0'.repeat(8)}`
  return {
    mti: '0420',
    fields: {
      4: digits(amountMinor),
      7: transmittedAt,
      11: numbered(stan, part === undefined ? 0 : Number(part) + 1),
      37: rrn,
      41: terminalId,
      ...naming(originalKey),
      ...(part === undefined ? {} : { 95: digits(actualMinor) + '0'.repeat(12) + fee + fee }),
    },
  }
}

function cardFields({
  request,
  secrets,
}: Pick<InboundRequest, 'request' | 'secrets'>): Record<number, string> {
  const { cashMinor, fromAccount, merchantType, toAccount } = request
  const { pan, pinBlock } = secrets.reveal()
  const numeric = currencies[request.currency].numeric
  return {
    2: pan,
    3: request.processingCode,
    4: digits(request.amountMinor),
    7: request.transmittedAt,
    11: request.stan,
    12: request.localTime,
    13: request.localDate,
    ...(merchantType === undefined ? {} : { 18: merchantType }),
    22: request.entryMode,
    25: request.conditionCode,
    37: request.rrn,
    41: request.terminalId,
    42: request.merchantId.padEnd(15),
    49: numeric,
    ...(pinBlock === undefined ? {} : { 52: Buffer.from(pinBlock).toString('hex').toUpperCase() }),
    ...(cashMinor === undefined ? {} : { 54: `0040${numeric}D${digits(cashMinor)}` }),
    ...(fromAccount === undefined ? {} : { 102: fromAccount }),
    ...(toAccount === undefined ? {} : { 103: toAccount }),
  }
}

/** DE90 of a message about what was asked under this key. */
function naming(originalKey: string | undefined): Record<number, string> {
  if (originalKey === undefined) return {}
  const { mti, stan, transmittedAt } = namesIn(originalKey)
  return { 90: (mti + stan + transmittedAt).padEnd(42, '0') }
}

/** What a terminal knows its own request by. */
function namesIn(sourceKey: string): {
  readonly mti: string
  readonly stan: string
  readonly transmittedAt: string
} {
  const [, mti, moment, stan] = sourceKey.split('|')
  return { mti: mti!, stan: stan!, transmittedAt: moment!.slice(4) }
}

const terminalId = 'T0000001'

/** Of several messages about one request each has a trace number of its own. */
function numbered(stan: string, number: number): string {
  return String(Number(stan) + number * 100_000).padStart(6, '0')
}

function digits(minor: bigint): string {
  return minor.toString().padStart(12, '0')
}
