/**
 * The HSM room: everything that touches a key, a PIN or a stored card number. Callers name keys by reference
 * and never see one; the level of these calls is the level at which payment HSMs work, so that a payment HSM's
 * driver can stand behind the same door. Routing, messages and money are other rooms'.
 */
export { startHsm as openHsm } from './client.ts'
export type { HsmOptions, TokenPlace } from './client.ts'
export type { HsmLog } from './backend.ts'
export type {
  CardValueInput,
  ChipCard,
  Hsm,
  HsmBackendStatus,
  HsmKeyStatus,
  HsmStatus,
  KeyExchangeHsm,
  IssuerHsm,
  KeyRef,
  KeyVersion,
  MacInput,
  PinFormat,
  PinInput,
  PinMethod,
  PinTranslation,
  SealedCard,
  SealedCardAnswer,
} from './contract.ts'
export { HsmError } from './fault.ts'
export type { HsmFault } from './fault.ts'
export { registerHsmMetrics } from './metrics.ts'
export type { OperationFigures } from './figures.ts'
