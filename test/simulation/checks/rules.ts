import { simulatedStandIn, stricterStandIn } from '../stand-in.ts'
import { toldOfSilence } from '../rules.ts'
import type { Check } from './check.ts'

/** Whatever was reloaded meanwhile: each transaction was decided by the one set of rules that is on its record. */
export const onlyOneSetOfRules: Check = ({ database }, wrong) => {
  for (const { transaction } of database.transactions.values()) {
    const { answer, id, rules, state } = transaction
    const isSilence = answer !== undefined && Object.values(toldOfSilence).includes(answer.responseCode)
    if (rules === undefined || !isSilence || state !== 'unknown') continue
    if (database.wasLost(id) && answer.responseCode !== toldOfSilence[rules])
      wrong('F51', `${transaction.sourceKey} came under rules ${rules} and was told ${answer.responseCode}`)
  }
  for (const { exposure, transactionId } of database.exposures.all) {
    const rules = database.transactions.get(transactionId)!.transaction.rules
    const { perEpisodeMinorMax } = (rules === 1 ? simulatedStandIn : stricterStandIn)[0]!
    if (exposure.limits.perEpisodeMinorMax !== perEpisodeMinorMax)
      wrong('F51', `${transactionId} came under rules ${rules} and was approved within limits of others`)
  }
}
