import type { DatabasePool } from '../../kernel/database.ts'
import { JournalUnavailable } from '../journal.ts'
import type { RuleTexts } from '../rules/files.ts'
import type { RuleBook, RuleChange, RuleRequest } from '../rules/rules-in-force.ts'
import { checkReason } from '../../kernel/reasons.ts'

/** Sets of rules and their changes in the journal's schema. */
export function postgresRuleBook(pool: DatabasePool): RuleBook {
  const ask = async <R extends object>(text: string, values: readonly unknown[]): Promise<R[]> => {
    try {
      return (await pool.query(text, [...values])).rows as R[]
    } catch {
      throw new JournalUnavailable()
    }
  }
  return {
    async number({ hash, texts }) {
      // Two nodes may see it first at once: one of them inserts, both then find it.
      for (;;) {
        const [known] = await ask<{ number: number }>('SELECT number FROM switch.rule_set WHERE hash = $1', [
          hash,
        ])
        if (known !== undefined) return known.number
        await ask(
          `INSERT INTO switch.rule_set (number, hash, files)
           SELECT coalesce(max(number), 0) + 1, $1, $2 FROM switch.rule_set ON CONFLICT DO NOTHING`,
          [hash, JSON.stringify(texts)],
        )
      }
    },
    async record({ node, cause, id, who, why, outcome, number, before, mistakes }) {
      await ask(
        `INSERT INTO switch.rule_change (node, cause, request, who, why, outcome, number, before, mistakes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          node,
          cause,
          id ?? null,
          who,
          why,
          outcome,
          number ?? null,
          before ?? null,
          JSON.stringify(mistakes),
        ],
      )
    },
    requests: async (after) => {
      const requests = await ask<Omit<RuleRequest, 'cause'> & { id: string }>(
        after === undefined
          ? 'SELECT id::text, who, why FROM switch.rule_request ORDER BY id DESC LIMIT 1'
          : 'SELECT id::text, who, why FROM switch.rule_request WHERE id > $1 ORDER BY id LIMIT 16',
        after === undefined ? [] : [after],
      )
      return requests.map((request) => ({ ...request, cause: 'operator' }))
    },
  }
}

/** A change of the rules on a node, or an attempt at one. */
export interface RuleChangeOnRecord extends Omit<RuleChange, 'id' | 'number' | 'before'> {
  readonly at: Date
  readonly request: string | null
  readonly number: number | null
  readonly before: number | null
  readonly hash: string | null
}

const changes = `
  SELECT c.at, c.node, c.cause, c.request::text, c.who, c.why, c.outcome, c.number, c.before, c.mistakes, s.hash
    FROM switch.rule_change c LEFT JOIN switch.rule_set s ON s.number = c.number`

/** The last changes on record, the newest first. */
export async function ruleHistory(pool: DatabasePool, limit: number): Promise<RuleChangeOnRecord[]> {
  return (await pool.query<RuleChangeOnRecord>(`${changes} ORDER BY c.id DESC LIMIT $1`, [limit])).rows
}

/** What each node decides by: its last change that put rules in force. */
export async function rulesByNode(pool: DatabasePool): Promise<RuleChangeOnRecord[]> {
  const { rows } = await pool.query<RuleChangeOnRecord>(
    `${changes} JOIN (SELECT max(id) AS id FROM switch.rule_change WHERE outcome = 'adopted' GROUP BY node) last
         ON last.id = c.id ORDER BY c.node`,
  )
  return rows
}

/** The texts of a set, by its number. */
export async function ruleTextsOf(pool: DatabasePool, number: number): Promise<RuleTexts | undefined> {
  const { rows } = await pool.query<{ files: RuleTexts }>(
    'SELECT files FROM switch.rule_set WHERE number = $1',
    [number],
  )
  return rows[0]?.files
}

/**
 * Asks every running node to read its rules again; each answers with a change of its own (`ruleAnswers`).
 * Rejects with `ReasonRefused`.
 */
export async function askRuleReload(
  pool: DatabasePool,
  { who, why }: { readonly who: string; readonly why: string },
): Promise<string> {
  checkReason({ who, why })
  const { rows } = await pool.query<{ id: string }>(
    'INSERT INTO switch.rule_request (who, why) VALUES ($1, $2) RETURNING id::text',
    [who, why],
  )
  return rows[0]!.id
}

export async function ruleAnswers(pool: DatabasePool, request: string): Promise<RuleChangeOnRecord[]> {
  const { rows } = await pool.query<RuleChangeOnRecord>(`${changes} WHERE c.request = $1 ORDER BY c.id`, [
    request,
  ])
  return rows
}
