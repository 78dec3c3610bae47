import { writeFileSync } from 'node:fs'
import { cardsPage } from './cards-docs.ts'

// `npm run docs:cards`
writeFileSync(new URL('../../docs/cards.md', import.meta.url), cardsPage())
