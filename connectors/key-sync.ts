import type { ConnectorKeys, KeyExchangeRules } from './key-exchange.ts'
import type { Log } from './network.ts'

export interface KeySyncPorts {
  readonly rules: KeyExchangeRules | undefined
  /** DE39 of a network management answer that agrees. */
  readonly approved: () => readonly string[]
  /** Messages sealed since the key came into use. */
  readonly seals: () => number
  /** There is a new key: what is counted by it begins anew. */
  readonly onRenewed: () => void
  readonly onChange: () => void
  readonly log: Log
}

/** Whether both ends have the same keys, as far as their seals say, and who is told when they have not (X3, K6). */
export class KeySync {
  readonly #ports: KeySyncPorts
  readonly #listeners: (() => void)[] = []
  #isOut = false

  constructor(ports: KeySyncPorts) {
    this.#ports = ports
  }

  /** Where keys are exchanged by messages: what the one who does that has to know. */
  get keys(): ConnectorKeys | undefined {
    const { approved, onRenewed, rules, seals } = this.#ports
    if (rules === undefined) return undefined
    const isOutOfStep = (): boolean => this.#isOut
    return {
      rules,
      get outOfStep() {
        return isOutOfStep()
      },
      get seals() {
        return seals()
      },
      agrees: (responseCode) => approved().includes(responseCode),
      onOutOfStep: (listener) => void this.#listeners.push(listener),
      renewed: () => {
        onRenewed()
        this.inStep()
      },
    }
  }

  get isOut(): boolean {
    return this.#isOut
  }

  /** The peer says so itself. What it refused is refused; the next will be under other keys. */
  answered(responseCode: string | undefined): void {
    if (this.#ports.rules?.outOfStep.includes(responseCode ?? '') === true) this.#tell()
  }

  /** Not one bad message, but another key. Where somebody sees to it nothing more is risked under it. */
  outOfStep(): void {
    if (this.#listeners.length === 0 || this.#isOut) return
    this.#isOut = true
    this.#ports.onChange()
    this.#tell()
  }

  inStep(): void {
    if (!this.#isOut) return
    this.#isOut = false
    this.#ports.log.info({}, 'keys are in step again')
    this.#ports.onChange()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
