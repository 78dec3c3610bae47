import type { Dialect, FieldSpec, Sensitivity } from './dialect.ts'
import { differences, formatOf, writingText } from './format.ts'

const shownAs: Readonly<Record<Sensitivity, string>> = {
  pan: 'first six and last four',
  track: 'never shown',
  secret: 'never shown',
  private: 'never shown',
  emv: 'tag by tag',
}

/** The annotated reference of a dialect as Markdown. Written from the declaration, so it cannot say anything else. */
export function reference(dialect: Dialect): string {
  const { about, base, bitmap, defaults, fidelity, fields, mti, name, notClaimed, settings, version } =
    dialect
  const bitmaps = `${bitmap.written}, up to ${bitmap.max * 64} elements`
  const lines = [
    `# ${name}`,
    '',
    '<!-- Written by npm run docs:dialects from the declaration. Change that. -->',
    '',
    opening(about ?? '', version),
    '',
  ]
  if (fidelity === 'illustrative') {
    lines.push('**Illustrative**: public facts only, not the specification of any network. Not claimed:', '')
    lines.push(...(notClaimed ?? []).map((what) => `- ${what}`), '')
  }
  lines.push('| part | written |', '| --- | --- |')
  lines.push(`| MTI | ${writingText(mti, defaults)} |`, `| bitmap | ${bitmaps} |`)
  lines.push(`| text | ${defaults.text} |`, `| digits | ${defaults.digits} |`)
  lines.push(`| lengths | ${defaults.len} |`, `| bytes | ${defaults.bytes} |`)
  for (const [setting, value] of Object.entries(settings ?? {})) lines.push(`| ${setting} | ${value} |`)
  if (dialect.answers !== undefined) {
    const { echo, mti: stated = {} } = dialect.answers
    const types = Object.entries(stated).map(([request, answer]) => `${request} by ${answer}`)
    lines.push(`| an answer | ${['the function plus one', ...types].join(', ')} |`)
    lines.push(`| travels back | ${echo.map((de) => `DE${de}`).join(' ')} |`)
  }
  lines.push('')
  if (base !== undefined) {
    const changes = differences(dialect)
    lines.push(`## What it changes in ${base.name}`, '')
    lines.push(
      ...(changes.length === 0 ? ['Nothing but its name.'] : changes.map((change) => `- ${code(change)}`)),
      '',
    )
  }
  lines.push(
    '## Elements',
    '',
    '| DE | element | format | written | in logs |',
    '| --- | --- | --- | --- | --- |',
  )
  for (const [de, field] of Object.entries(fields)) lines.push(...rows(de, field, dialect))
  return `${lines.join('\n')}\n`
}

function opening(about: string, version: string): string {
  const sentence = about === '' || about.endsWith('.') ? about : `${about}.`
  return about.includes(version) ? sentence : `${sentence} ISO 8583:${version}.`.trim()
}

function rows(path: string, field: FieldSpec, dialect: Dialect): string[] {
  const shown = field.sensitive === undefined ? 'shown' : shownAs[field.sensitive]
  const cells = [path, field.title ?? '', formatOf(field), writingText(field, dialect.defaults), shown]
  const own = `| ${cells.map(cell).join(' | ')} |`
  if (field.kind === 'bitmapped') {
    return [
      own,
      ...Object.entries(field.fields).flatMap(([bit, part]) => rows(`${path}.${bit}`, part, dialect)),
    ]
  }
  if (field.kind === 'tagged') {
    return [
      own,
      ...Object.entries(field.tags).flatMap(([tag, part]) => rows(`${path}.${tag}`, part, dialect)),
    ]
  }
  return [own]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function code(text: string): string {
  return text.replace(/\{.*\}/, (json) => `\`${json}\``)
}
