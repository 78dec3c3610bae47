import { Command } from 'commander'
import { formatMoney } from '../../kernel/money.ts'
import { amountOutcomes, loadCards, testCards } from '../../simulators/cards.ts'

/** `mafraq cards`: the test cards, and the amounts that make the simulated network misbehave. */
export function cardsCommand(): Command {
  return new Command('cards')
    .description('the test cards and the amounts that trigger outcomes')
    .option('--json', 'one JSON object')
    .action(({ json }: { json?: boolean }) => {
      process.stdout.write(json === true ? `${asJson()}\n` : cardsAsText())
    })
}

function asJson(): string {
  const cards = testCards.map((card) => ({
    ...card,
    openingBalanceMinor: card.openingBalanceMinor.toString(),
    limitMinor: card.limitMinor?.toString(),
  }))
  const amounts = amountOutcomes.map(({ charge, ...outcome }) => ({
    ...outcome,
    ...(charge && { charge: { sign: charge.sign, minor: charge.minor.toString() } }),
  }))
  return JSON.stringify({ cards, amounts })
}

/** What the command prints, and what docs/cards.md shows. */
export function cardsAsText(): string {
  const single = testCards.filter((card) => !loadCards.includes(card))
  const [first, last] = [loadCards[0]!, loadCards.at(-1)!]
  return [
    'CARD              PIN   EXPIRY  BALANCE               PURPOSE',
    ...single.map(({ pan, pin, expiry, openingBalanceMinor, purpose }) => {
      const balance = formatMoney({ amountMinor: openingBalanceMinor, currency: 'KWD' })
      return `${pan}  ${pin}  ${expiry}    ${balance.padEnd(20)}  ${purpose}`
    }),
    `${first.pan} to ${last.pan.slice(-4)}: ${loadCards.length} cards for load; their PINs: mafraq cards --json`,
    '',
    'FILS  TERMINAL SEES  PURPOSE (an amount that ends in these three digits, for example KWD 12.951)',
    ...amountOutcomes.map(
      ({ endsWith, terminalSees, purpose }) =>
        `.${endsWith}  ${terminalSees.join(' or ').padEnd(13)}  ${purpose}`,
    ),
    '',
  ].join('\n')
}
