import assert from 'node:assert'
import type { LegAnswer, LegIdentity, OutboundLeg } from '../../../connectors/connector.ts'
import { network as knet } from '../../../connectors/knet/network.ts'
import { network as mastercard } from '../../../connectors/mastercard/network.ts'
import type { Log, NetworkProfile } from '../../../connectors/network.ts'
import { answerOf, legOutcome } from '../../../connectors/outcomes.ts'
import { Speech } from '../../../connectors/speech.ts'
import {
  answerMti,
  encodeFrame,
  encodeSealed,
  type FieldValue,
  FrameReader,
  type Link,
  type LinkHandlers,
  type Message,
  type MessageBody,
  Multiplexer,
  sealedPart,
} from '../../../iso8583/iso8583.ts'
import type { Wire, WirePorts } from './edge.ts'
import { isMacOf, macOf } from './mac.ts'

/** Each network of a history speaks as one of ours does: packed digits, or characters with a trace identifier. */
const profiles: Readonly<Record<string, NetworkProfile>> = { 'net-1': knet, 'net-2': mastercard }

/** The way to a network with everything on it but connections: dialect, wording, seals, frames, correlation. */
export function bytesWire(ports: WirePorts): Wire {
  const { clock, hsm, matchKey, network, random, rates } = ports
  const profile = profiles[network]
  assert(profile !== undefined)
  const { traceElements } = profile.rules
  const rules = { ...ports.rules, ...(traceElements === undefined ? {} : { traceElements }) }
  const key = `zak.${network}`
  const sealer = {
    seal: (data: Uint8Array) => hsm.generateMac({ key, data }),
    verify: (data: Uint8Array, mac: Uint8Array) => hsm.verifyMac({ key, data, mac }),
  }
  const speech = new Speech(profile, sealer, noLog)
  const { codec } = speech
  const far = new FarEnd(profile, speech, key, ports)
  let onLate: (identity: LegIdentity, answer: LegAnswer) => void = () => undefined
  const read = (message: Message): LegAnswer => answerOf(message, rules, codec.describe(message))
  const multiplexer = new Multiplexer({
    codec,
    clock,
    // A planted bug matches on less.
    correlation: matchKey === undefined ? profile.correlation : { ...profile.correlation, key: [11] },
    checkSeal: (message) => speech.checkSeal(message),
    events: {
      onLate: ({ stan, transmittedAt }, message) => onLate({ stan, transmittedAt }, read(message)),
      onAnomaly: () => undefined,
    },
  })
  let line = far.connect(multiplexer)
  const cut = (): void => {
    const { handlers } = line
    line = far.connect(multiplexer)
    handlers.onClose({ kind: 'broken', code: 'ECONNRESET' })
  }
  const bodyOf = ({ mti, identity, fields }: OutboundLeg): MessageBody => {
    const { stan, transmittedAt } = identity
    const body = { mti, fields: { ...fields, 7: transmittedAt, 11: stan, 32: rules.acquirerId } }
    return profile.wording?.say(body, clock.wallMs()) ?? body
  }
  return {
    rules,
    prepare: async (leg) => ({ leg, message: await speech.encode(bodyOf(leg)) }),
    async send({ leg, message }, deadline) {
      if (typeof message === 'string') return { kind: 'notSent', reason: message }
      if (random.fraction() < rates().linkLost) clock.after(random.below(100), cut)
      const outcome = await multiplexer.exchange(line.link, message, deadline)
      return legOutcome(outcome, () => codec.describe(bodyOf(leg)), read)
    },
    onLate: (listener) => (onLate = listener),
  }
}

interface Line {
  readonly link: Link
  readonly handlers: LinkHandlers
}

/** A network at the other end of the lines of one life of a node: it reads, has it decided, and writes the answer. */
class FarEnd {
  readonly #profile: NetworkProfile
  readonly #speech: Speech
  readonly #key: string
  readonly #ports: WirePorts
  #line: Line | undefined

  constructor(profile: NetworkProfile, speech: Speech, key: string, ports: WirePorts) {
    this.#profile = profile
    this.#speech = speech
    this.#key = key
    this.#ports = ports
  }

  /** From now on its answers come over this line. */
  connect(multiplexer: Multiplexer): Line {
    const link: Link = {
      id: 'line',
      peer: this.#profile.name,
      open: true,
      quietMs: 0,
      send: (body) => Promise.resolve(this.#take(Buffer.from(body))),
      close: () => undefined,
    }
    // Nothing of the network's own comes this way: its cutovers are told in words.
    this.#line = { link, handlers: multiplexer.attach(link, () => undefined) }
    return this.#line
  }

  #take(body: Buffer): 'written' | 'notSent' {
    const { carry, random, rates } = this.#ports
    if (random.fraction() < rates().notSent) return 'notSent'
    carry(() => {
      for (const read of this.#framed(body)) {
        const garbled = this.#garbled(read)
        if (garbled === undefined) void this.#answer(read)
        else assert(!this.#isBelieved(garbled), 'a network believes no message of which a bit is wrong')
      }
    })
    return 'written'
  }

  async #answer(bytes: Buffer): Promise<void> {
    const { carry, decide, life } = this.#ports
    const { codec } = this.#speech
    const asked = codec.decode(bytes)
    const isSealed = this.#profile.sealedClasses.includes(asked.mti[1]!)
    const part = sealedPart(codec, asked)
    assert(isSealed === (part !== undefined), 'what is to be sealed is')
    assert(part === undefined || isMacOf(part.mac, this.#key, part.data), 'the seal is right')
    const body = this.#bodyOf(asked, decide(legOf(asked)))
    const answer = isSealed
      ? await encodeSealed(codec, body, (data) => Promise.resolve(macOf(this.#key, data)))
      : codec.encode(body)
    carry(() => {
      for (const read of this.#framed(answer)) {
        const arrives = this.#garbled(read) ?? read
        life.enter(() => this.#line!.handlers.onMessage(arrives))
      }
    })
  }

  /** Now and then, a message with one bit wrong. */
  #garbled(body: Buffer): Buffer | undefined {
    const { random, rates } = this.#ports
    const { garbled } = rates()
    if (garbled === 0 || random.fraction() >= garbled || !this.#isSealed(body)) return undefined
    const copy = Buffer.from(body)
    copy[random.below(copy.length)]! ^= 1 << random.below(8)
    return copy
  }

  /** What has no seal could say anything with a bit wrong. */
  #isSealed(body: Buffer): boolean {
    return sealedPart(this.#speech.codec, body) !== undefined
  }

  #isBelieved(body: Buffer): boolean {
    const read = this.#speech.codec.tryDecode(body)
    if (!read.ok) return false
    const part = sealedPart(this.#speech.codec, read.message)
    return part !== undefined && isMacOf(part.mac, this.#key, part.data)
  }

  #bodyOf(asked: Message, said: LegAnswer): MessageBody {
    const mti = answerMti(this.#profile.dialect, asked.mti)
    assert(mti !== undefined)
    const fields: Record<number, FieldValue> = { 39: said.responseCode }
    for (const de of echoed) {
      const value = asked.reveal(de)
      if (value !== undefined) fields[de] = value
    }
    if (said.amountMinor !== undefined) fields[4] = said.amountMinor
    if (said.authId !== undefined) fields[38] = said.authId
    if (said.additionalAmounts !== undefined) fields[54] = said.additionalAmounts
    if (said.settlementDate !== undefined) fields[15] = said.settlementDate
    if (said.settlementCode !== undefined) fields[66] = said.settlementCode
    const isTraced = this.#profile.rules.traceElements?.includes('63') === true && /^0[12]1/.test(mti)
    if (isTraced) fields[63] = `REF${asked.text(11)!}`
    return { mti, fields }
  }

  /** As it comes out at the other end of a line that cuts frames where it likes. */
  #framed(body: Buffer): Buffer[] {
    const { frame } = this.#profile
    const whole = encodeFrame(frame, body)
    const reader = new FrameReader(frame)
    return [whole.subarray(0, 5), whole.subarray(5)].flatMap((piece) => [...reader.push(piece)])
  }
}

/** Of a request, in its answer: card, kind, moment, number, acquirer, date of totals, reference, terminal. */
const echoed = [2, 3, 7, 11, 32, 37, 41, 42, 49] as const

/** What a network reads. */
function legOf(message: Message): OutboundLeg {
  const fields: Record<number, FieldValue> = {}
  for (const de of message.elements) {
    const value = message.reveal(de)
    if (value !== undefined) fields[de] = value
  }
  return { mti: message.mti, identity: { stan: message.text(11)!, transmittedAt: message.text(7)! }, fields }
}

const noLog: Log = { info: () => undefined, warn: () => undefined, error: () => undefined }
