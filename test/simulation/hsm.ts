import { HsmError, type SealedCardAnswer } from '../../hsm/hsm.ts'
import type { FaultRates } from './faults/faults.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

/** The HSM beside a life of a node: right, or after half a second in no position to answer. */
export interface SimulatedHsm {
  translatePin(): Promise<Uint8Array>
  movePin(): Promise<Uint8Array>
  verifyMac(): Promise<boolean>
  verifyThenTokenise(card: { readonly pan: string }): Promise<SealedCardAnswer>
  detokenise(token: string): Promise<string>
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
    verifyMac: () => answer(true),
    verifyThenTokenise: ({ pan }) =>
      answer<SealedCardAnswer>(
        fails()
          ? { verified: true, fault: { kind: 'deadline' } }
          : { verified: true, token: tokenPrefix + pan },
      ),
    detokenise: (token) => answer(token.slice(tokenPrefix.length)),
  }
}

const tokenPrefix = 'tok_'
