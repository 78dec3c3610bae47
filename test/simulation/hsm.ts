import { HsmError, type SealedCardAnswer } from '../../hsm/hsm.ts'
import { isMacOf, macOf } from './edges/mac.ts'
import type { FaultRates } from './faults/faults.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

/** The HSM beside a life of a node: right, or after half a second in no position to answer. */
export interface SimulatedHsm {
  translatePin(): Promise<Uint8Array>
  movePin(): Promise<Uint8Array>
  generateMac(sealed: Pick<Sealed, 'key' | 'data'>): Promise<Uint8Array>
  verifyMac(sealed: Sealed): Promise<boolean>
  verifyThenTokenise(card: Sealed & { readonly pan: string }): Promise<SealedCardAnswer>
  detokenise(token: string): Promise<string>
}

interface Sealed {
  readonly key: string
  readonly data: Uint8Array
  readonly mac: Uint8Array
}

export function simulatedHsm(
  world: World,
  life: Life,
  faults: { readonly rates: () => FaultRates; readonly hangs: () => boolean },
): SimulatedHsm {
  const random = world.random(`hsm ${life.name}`)
  const fails = (): boolean => random.fraction() < faults.rates().hsm || faults.hangs()
  const answer = <T>(value: T): Promise<T> =>
    new Promise((resolve, reject) => {
      const fault = fails() ? new HsmError({ kind: 'deadline' }) : undefined
      life.after(fault === undefined ? 0 : 500, () => (fault === undefined ? resolve(value) : reject(fault)))
    })
  return {
    translatePin: () => answer(new Uint8Array(8)),
    movePin: () => answer(new Uint8Array(16)),
    generateMac: ({ key, data }) => answer(macOf(key, data)),
    verifyMac: ({ key, data, mac }) => answer(isMacOf(mac, key, data)),
    verifyThenTokenise: ({ key, data, mac, pan }) =>
      answer<SealedCardAnswer>(
        !isMacOf(mac, key, data)
          ? { verified: false }
          : fails()
            ? { verified: true, fault: { kind: 'deadline' } }
            : { verified: true, token: tokenPrefix + pan },
      ),
    detokenise: (token) => answer(token.slice(tokenPrefix.length)),
  }
}

const tokenPrefix = 'tok_'
