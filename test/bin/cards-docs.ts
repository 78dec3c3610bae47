import { cardsAsText } from '../../bin/commands/cards.ts'

/** docs/cards.md: the table that the command prints and the simulators act on. */
export function cardsPage(): string {
  return [
    '# Test cards, and amounts that have outcomes',
    '',
    '<!-- Written by `npm run docs:cards` from the table in simulators/cards.ts. Not for editing. -->',
    '',
    'What `mafraq cards` prints. The simulated networks and the terminals act on the same table. The numbers are those that',
    'card processors publish for testing, or stand under the prefix of the public KNET test card; nothing of real card ranges',
    'follows from them. Cards behind a network are good where that network runs: `npm start` runs KNET alone.',
    '',
    '```',
    ...cardsAsText().trimEnd().split('\n'),
    '```',
    '',
  ].join('\n')
}
