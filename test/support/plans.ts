import type { DatabaseClient } from '../../kernel/database.ts'

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Cond'?: string
  readonly Plans?: readonly PlanNode[]
}

/** What of a statement's plan, made once for whatever values may come, reads a whole table or a whole index. */
export async function wholeReads(client: DatabaseClient, text: string): Promise<string[]> {
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`,
  )
  return scans(rows[0]!['QUERY PLAN'][0].Plan)
}

function scans(node: PlanNode): string[] {
  const below = (node.Plans ?? []).flatMap(scans)
  const type = node['Node Type']
  const whole = type === 'Seq Scan' || (/Index/.test(type) && node['Index Cond'] === undefined)
  return whole ? [`${type} ${node['Relation Name'] ?? ''}`, ...below] : below
}
