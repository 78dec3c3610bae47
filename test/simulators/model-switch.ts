import { outcomeOfAmount, testCards } from '../../simulators/cards.ts'
import { decryptPin } from '../../simulators/keys.ts'
import type { WireMessage } from '../../simulators/terminals/wire.ts'
import { pinKey, type Request } from './scripted-switch.ts'

interface Known {
  amount: string
  readonly answer: Record<number, string>
  reversed: boolean
}

/** What a right switch would answer, as far as terminals can tell. */
export class ModelSwitch {
  readonly purchases = new Map<string, Known>()
  readonly #tombstones = new Set<string>()
  #authIds = 0

  serve(request: Request): void {
    const { message, sealGood } = request
    if (sealGood !== true) request.answer({ 39: '63' })
    else if (message.mti.startsWith('04')) request.answer({ 39: this.#reverse(message) })
    else if (message.mti[2] === '2') request.answer({ 39: this.#complete(message) })
    else request.answer(this.#purchase(message))
  }

  /** The net amounts by RRN: what would have been posted. */
  get posted(): Map<string, bigint> {
    const posted = new Map<string, bigint>()
    for (const [key, { amount, answer, reversed }] of this.purchases) {
      if (answer[39] === '00' && !reversed) posted.set(key.split('|')[3]!, BigInt(amount))
    }
    return posted
  }

  #purchase(message: WireMessage): Record<number, string> {
    const key = keyOf(message, message.fields[11]!, message.fields[7]!)
    const known = this.purchases.get(key)
    if (known !== undefined) return known.amount === message.fields[4] ? known.answer : { 39: '94' }
    const answer = this.#tombstones.has(key) ? { 39: '12' } : this.#decide(message)
    this.purchases.set(key, { amount: message.fields[4]!, answer, reversed: false })
    return answer
  }

  #decide({ fields }: WireMessage): Record<number, string> {
    const pan = fields[2] ?? fields[35]!.split('=')[0]!
    const card = testCards.find((candidate) => candidate.pan === pan)!
    const amountMinor = BigInt(fields[4]!)
    const code = ((): string => {
      if (card.network === 'none') return '15'
      if (card.always !== undefined) return card.always
      if (card.expiry < '2611') return '54'
      if (decryptPin(pinKey, { block: Buffer.from(fields[52]!, 'hex'), pan }) !== card.pin) return '55'
      if (card.limitMinor !== undefined && amountMinor > card.limitMinor) return '61'
      if (amountMinor > card.openingBalanceMinor) return '51'
      return outcomeOfAmount(amountMinor)?.terminalSees[0] ?? '00'
    })()
    this.#authIds++
    return code === '00' ? { 38: this.#authIds.toString().padStart(6, '0'), 39: code } : { 39: code }
  }

  /** A completion names its authorization by DE37 and DE38. */
  #complete({ fields }: WireMessage): string {
    for (const known of this.purchases.values()) {
      if (known.answer[38] === undefined || known.answer[38] !== fields[38]) continue
      known.amount = fields[4]!
      return '00'
    }
    return '25'
  }

  #reverse(message: WireMessage): string {
    const original = message.fields[90]!
    const key = keyOf(message, original.slice(4, 10), original.slice(10, 20))
    const known = this.purchases.get(key)
    if (known === undefined) {
      this.#tombstones.add(key)
      return message.mti.startsWith('040') ? '25' : '00'
    }
    const again = known.reversed
    known.reversed = true
    return again ? '21' : '00'
  }
}

function keyOf({ fields }: WireMessage, stan: string, transmittedAt: string): string {
  return `${fields[41]!}|${stan}|${transmittedAt}|${fields[37]!}`
}
