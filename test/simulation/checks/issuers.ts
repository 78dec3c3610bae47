import type { Check } from './check.ts'

/** What an issuer must never see. */
export const issuersAreAskedOnce: Check = ({ networks }, wrong) => {
  const originalsOf = new Map<string, number>()
  for (const { issuer } of networks) {
    for (const rrn of issuer.reversedInquiries) wrong('N4', `${rrn} asked for a balance and was reversed`)
    for (const rrn of issuer.completedTwice) wrong('N2', `the issuers saw two completions of ${rrn}`)
    for (const rrn of issuer.advisedTwice)
      wrong('N2', `${rrn} was approved in the issuer's place while the issuer's own approval stood`)
    for (const [rrn, count] of issuer.originalsOf) originalsOf.set(rrn, (originalsOf.get(rrn) ?? 0) + count)
  }
  for (const [rrn, count] of originalsOf) {
    if (count > 1) wrong('N2', `the issuers saw ${count} originals for ${rrn}`)
  }
}
