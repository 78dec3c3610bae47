import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { network as knet } from '../../connectors/knet/network.ts'
import { diffRules } from '../../switch/rules/diff.ts'
import { ruleFileNames, type RuleTexts } from '../../switch/rules/files.ts'
import { mistakeText, readRules } from '../../switch/rules/read.ts'
import type { KnownToRules } from '../../switch/rules/rules.ts'

const folder = new URL('../../rules/', import.meta.url)
const texts: RuleTexts = Object.fromEntries(
  readdirSync(folder).map((file) => [file, readFileSync(new URL(file, folder), 'utf8')]),
)

const known: KnownToRules = {
  sources: new Map([['acq1', { name: 'acq1', keys: { pin: 'tpk', mac: 'tak' } }]]),
  destinations: new Map([['knet', { rules: knet.rules, edition: '1987' }]]),
}

function sound(changed: RuleTexts = {}): Extract<ReturnType<typeof readRules>, { kind: 'sound' }> {
  const read = readRules({ ...texts, ...changed }, known)
  if (read.kind === 'refused') throw new Error(read.mistakes.map(mistakeText).join('\n'))
  return read
}

function mistakes(changed: RuleTexts): string[] {
  const read = readRules({ ...texts, ...changed }, known)
  return read.kind === 'refused' ? read.mistakes.map(mistakeText) : []
}

function edited(file: string, from: string | RegExp, to: string): RuleTexts {
  const text = texts[file]!.replace(from, to)
  expect(text).not.toBe(texts[file])
  return { [file]: text }
}

test('a card number in the place of a token is refused, and is not said again', () => {
  const range = `ranges:
  - bin: '888888'
    kinds: [purchase]
    currency: KWD
    perTransactionMinorMax: 1
    perCardMinorMax: 1
    perCardCountMax: 1
    perEpisodeMinorMax: 1
    perHourMinorMax: 1
    negative: [NEGATIVE]
`
  const listing = (negative: string): RuleTexts => ({
    'stand-in.yaml': `destinations: {}\n${range.replace('NEGATIVE', negative)}`,
  })
  expect(mistakes(listing('tok_a'))).toEqual([])
  const told = mistakes(listing('8888880000000001'))
  expect(told).toMatchObject([expect.stringContaining('ranges.0.negative')])
  expect(told.join()).not.toContain('8888880000000001')
})

describe('the rules of the project', () => {
  test('are sound, and there is a file for each thing', () => {
    expect(Object.keys(texts).sort()).toEqual([...ruleFileNames].sort())
    const { rules } = sound()
    expect(rules.routes.serves('8888880000000001')).toBe(true)
    expect(rules.sources.get('acq1')).toMatchObject({
      name: 'acq1',
      keys: { pin: 'tpk', mac: 'tak' },
      timeoutMs: 8_000,
      terminalTimeoutMs: 10_000,
      takesPartialApprovals: true,
      forcedPost: 'flag',
      limits: [{ kind: 'refund', currency: 'KWD', amountMinorMax: 100_000n }],
    })
  })

  test('stand over what a network says of itself, and leave the rest of it', () => {
    const { rules } = sound().rules.destinations.get('knet')!
    expect(rules).toMatchObject({
      timeoutMs: 4_000,
      remainingMinMs: 1_000,
      approvals: ['00'],
      reversalMti: '0420',
    })
    expect(rules.holds?.byMerchantType).toMatchObject({ '7299': 2_000, '7011': 30 * 24 * 3_600_000 })
  })

  test('keep the zeros of card numbers and codes, with quotes and without', () => {
    const routes =
      'routes:\n  - { low: 000123, high: "000123", strategy: { kind: priority, targets: [knet] } }\n'
    expect(sound({ 'routes.yaml': routes }).rules.routes.serves('0001230000000000')).toBe(true)
  })

  test('have the same hash whatever the comments and the order of names, and another when they say something else', () => {
    const { hash } = sound()
    expect(sound(edited('timers.yaml', /^#.*$/m, '# something else')).hash).toBe(hash)
    const turned = edited(
      'timers.yaml',
      'timeoutMs: 8000, terminalTimeoutMs: 10000',
      'terminalTimeoutMs: 10000, timeoutMs: 8000',
    )
    expect(sound(turned).hash).toBe(hash)
    expect(sound(edited('timers.yaml', '10000', '10001')).hash).not.toBe(hash)
  })
})

describe('F51: rules with a mistake are refused with file, line, path and reason', () => {
  test.each<[string, RuleTexts, RegExp]>([
    [
      'a value that is none',
      edited('timers.yaml', '8000', 'soon'),
      /^timers\.yaml:3: sources\.acq1\.timeoutMs: a whole number from 1 to 2592000000 is needed$/,
    ],
    [
      'a name that is not known',
      edited('limits.yaml', 'forcedPost', 'forcePost'),
      /^limits\.yaml:\d+: sources\.acq1(\.forcePost)?: /,
    ],
    ['YAML that is none', edited('routes.yaml', 'routes:', 'routes: ['), /^routes\.yaml:\d+: file: /],
    [
      'a name that stands twice',
      edited('limits.yaml', '    forcedPost: flag', '    forcedPost: flag\n    forcedPost: flag'),
      /^limits\.yaml:\d+: file: Map keys must be unique/,
    ],
    ['an alias', { 'routes.yaml': 'routes: &a []\nmore: *a\n' }, /^routes\.yaml:1: file: aliases/],
    [
      'a destination that is not there',
      edited('routes.yaml', '[knet]', '[visa]'),
      /^routes\.yaml:4: routes: row 1: it goes to visa, which is not configured$/,
    ],
    [
      'a source without timers',
      edited('timers.yaml', 'acq1:', 'acq2:'),
      /^timers\.yaml:3: sources\.acq2: is not configured; there are acq1\ntimers\.yaml:3: sources: acq1 is not there/,
    ],
    [
      'terminals that give up before their source',
      edited('timers.yaml', '10000', '8000'),
      /^timers\.yaml:3: sources\.acq1\.terminalTimeoutMs: its terminals must wait longer/,
    ],
    [
      'a source that gives up before its destination',
      edited('timers.yaml', 'timeoutMs: 4000', 'timeoutMs: 7000'),
      /sources\.acq1\.timeoutMs: it must wait at least a second longer than destination knet may take, 7000 ms/,
    ],
    [
      'an approval that no list of the network has',
      edited('result-codes.yaml', "'06': system", "'06': approved"),
      /^result-codes\.yaml:\d+: destinations\.knet\.06: what approves/,
    ],
    [
      'an outcome that is none',
      edited('result-codes.yaml', "'06': system", "'06': sorry"),
      /destinations\.knet\.06: one of approved, /,
    ],
    [
      'a decline that is told as an approval',
      edited('result-codes.yaml', 'sources: {}', "sources: { acq1: { expired: '00' } }"),
      /sources\.acq1\.expired: an approval is said as an approval, and nothing else is/,
    ],
    [
      'stand-in for an issuer that has answered',
      edited('stand-in.yaml', '[unavailable]', '[insufficientFunds]'),
      /onOutcomes\.0: that is an answer of the issuer/,
    ],
    ['a file that is missing', { 'limits.yaml': undefined as never }, /^limits\.yaml:1: file: is missing$/],
    [
      'a file that nobody knows',
      { 'limit.yaml': '{}' },
      /^limit\.yaml:1: file: no rules are called so; there are routes\.yaml, /,
    ],
  ])('%s', (_what, changed, said) => {
    expect(mistakes(changed).join('\n')).toMatch(said)
  })

  test('all mistakes of all files are told at once, and what stands there is not repeated', () => {
    const found = mistakes({
      ...edited('timers.yaml', '8000', '4111111111111111'),
      ...edited('limits.yaml', 'Max: 100000', 'Max: much'),
    })
    expect(found.map((each) => each.split(':')[0])).toEqual(['limits.yaml', 'timers.yaml'])
    expect(found.join('\n')).not.toMatch(/4111111111111111|much/)
  })
})

describe('what one set says otherwise than another', () => {
  test('is told value by value', () => {
    const after = sound(edited('timers.yaml', '10000', '12000'))
    expect(diffRules(sound().written, after.written)).toEqual([
      { where: 'timers.yaml sources.acq1.terminalTimeoutMs', before: '10000', after: '12000' },
    ])
    expect(diffRules(after.written, after.written)).toEqual([])
  })

  test('is not more when something is put in front of a list', () => {
    const row = '  - { low: 777777, high: 777777, strategy: { kind: priority, targets: [knet] } }\n'
    const after = sound(edited('routes.yaml', 'routes:\n', `routes:\n${row}`))
    const differences = diffRules(sound().written, after.written)
    expect(differences).toMatchObject([{ where: 'routes.yaml routes.[777777 777777]' }])
    expect(differences[0]).not.toHaveProperty('before')
  })
})
