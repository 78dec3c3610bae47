import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readRuleTexts } from '../../bin/environment/rules.ts'
import type { Connector } from '../../connectors/connector.ts'
import { network as knet } from '../../connectors/knet/network.ts'
import { Secret } from '../../kernel/secret.ts'
import type { InboundRequest } from '../../switch/arrivals.ts'
import { Dispatch, type DispatchPorts } from '../../switch/dispatch.ts'
import { routingTable } from '../../switch/routing.ts'
import { readRules } from '../../switch/rules/read.ts'
import { SoftHealth } from '../../switch/soft-health.ts'
import type { LegEnd } from '../../switch/transaction/events.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { leg, request } from './transactions.ts'

const rules = { windowMs: 60_000, requestsMin: 4, demotePercent: 50 }

/** Two networks that can both be reached, and a request whose route goes to the first of them. */
function world(targets: readonly string[] = ['knet', 'visa']) {
  const clock = new ManualClock()
  const demoted: string[] = []
  const connectorNamed = (name: string): Connector =>
    ({
      ...{ name, rules: knet.rules, availability: () => 'available' },
      identify: () => ({ stan: '000001', transmittedAt: '1122090001' }),
    }) as unknown as Connector
  const ports = {
    clock,
    random: { bytes: (count: number) => Buffer.alloc(count) },
    connectors: new Map(['knet', 'visa'].map((name) => [name, connectorNamed(name)])),
    openAccounts: () => Promise.resolve(),
    days: { today: () => '2026-11-22' },
    onDemoted: (name: string) => void demoted.push(name),
  } as unknown as DispatchPorts
  const dispatch = new Dispatch(ports)
  const terms = { rules: knet.rules, edition: '1987', meanings: {}, standIn: { onOutcomes: [] } }
  const inbound = (): InboundRequest =>
    ({
      request,
      secrets: new Secret({ pan: '8888880000000001' }),
      source: { name: 'acq1', timeoutMs: 8_000 },
      receivedMonotonicMs: clock.monotonicMs(),
      rules: {
        softHealth: rules,
        standIn: [],
        routes: routingTable(
          [{ low: '8', high: '8', strategy: { kind: 'priority', targets } }],
          new Set(['knet', 'visa']),
        ),
        destinations: new Map(['knet', 'visa'].map((name) => [name, terms])),
      },
    }) as unknown as InboundRequest
  const goesTo = async (): Promise<string | undefined> => {
    const card = { mask: '888888******0001', token: 'tok_a' }
    const { verdict } = await dispatch.verdict(inbound(), { card, untokenised: false }, undefined)
    return verdict.kind === 'forward' ? verdict.leg.destination : undefined
  }
  const heard = (destination: string, ...outcomes: readonly LegEnd[]): void => {
    for (const outcome of outcomes) dispatch.heard(inbound(), { ...leg, destination }, outcome)
  }
  return { clock, demoted, goesTo, heard }
}

function said(responseCode: string): LegEnd {
  return { kind: 'answered', answer: { mti: '0210', responseCode, described: '' }, sent: '' }
}
const silent: LegEnd = { kind: 'maybeSent', reason: 'deadline', sent: '' }
const unsent: LegEnd = { kind: 'notSent', reason: 'congested' }

describe('G6: a destination that answers 91 or 96, or not at all', () => {
  test('comes behind the others of its routes, told once, until its window has gone by', async () => {
    const { clock, demoted, goesTo, heard } = world()
    heard('knet', said('91'), said('96'), said('00'))
    expect(await goesTo()).toBe('knet')
    heard('knet', silent, silent)
    expect([await goesTo(), demoted]).toEqual(['visa', ['knet']])
    await clock.pass(61_000)
    expect([await goesTo(), demoted]).toEqual(['knet', ['knet']])
  })

  test('is asked all the same where nobody else is to be had, and where the others are no better', async () => {
    const alone = world(['knet'])
    alone.heard('knet', silent, silent, silent, silent)
    expect(await alone.goesTo()).toBe('knet')
    const both = world()
    for (const name of ['knet', 'visa']) both.heard(name, silent, silent, silent, silent)
    expect(await both.goesTo()).toBe('knet')
  })

  test('is not demoted for what its issuers decline, nor for what never left', async () => {
    const { demoted, goesTo, heard } = world()
    const declined = ['51', '55', '05', '12'].map(said)
    heard('knet', ...declined, ...declined, unsent, unsent, unsent, unsent, unsent, unsent, unsent, unsent)
    expect([await goesTo(), demoted]).toEqual(['knet', []])
  })
})

test('what is long ago counts no more, part by part of the window', async () => {
  const clock = new ManualClock()
  const health = new SoftHealth(clock)
  for (let n = 0; n < 4; n++) health.heard('knet', 'toNothing', rules)
  await clock.pass(30_000)
  for (let n = 0; n < 4; n++) health.heard('knet', 'toAnAnswer', rules)
  expect(health.isDemoted('knet', rules)).toBe(true)
  await clock.pass(31_000)
  expect(health.isDemoted('knet', rules)).toBe(false)
  expect(health.inOrder(['knet', 'visa'], rules)).toEqual(['knet', 'visa'])
})

test('the rules say when, in routes.yaml, or never', () => {
  const texts = readRuleTexts(fileURLToPath(new URL('../../rules/', import.meta.url)))
  const known = {
    sources: new Map([['acq1', { name: 'acq1', keys: { pin: 'tpk', mac: 'tak' } }]]),
    destinations: new Map([['knet', { rules: knet.rules, edition: '1987' as const }]]),
  }
  const softHealthIn = (softHealth: string): unknown => {
    const read = readRules({ ...texts, 'routes.yaml': `${softHealth}\n${texts['routes.yaml']!}` }, known)
    return read.kind === 'sound' ? read.rules.softHealth : read.mistakes.map(({ path }) => path)
  }
  expect(softHealthIn('')).toBeUndefined()
  expect(softHealthIn('softHealth: { windowMs: 60000, requestsMin: 4, demotePercent: 50 }')).toEqual(rules)
  expect(softHealthIn('softHealth: { windowMs: 60000, requestsMin: 4, demotePercent: 101 }')).toEqual([
    'softHealth.demotePercent',
  ])
})

test('a window that is made longer while the switch runs does not bring old failures back', async () => {
  const clock = new ManualClock()
  const health = new SoftHealth(clock)
  await clock.pass(10 * 86_400_000)
  for (let failure = 0; failure < 20; failure++) health.heard('knet', 'toNothing', rules)
  expect(health.isDemoted('knet', rules)).toBe(true)
  // The rules are read again: what was counted by the shorter window must not count for as long as the switch has been up.
  const longer = { ...rules, windowMs: 2 * rules.windowMs }
  await clock.pass(longer.windowMs)
  expect(health.isDemoted('knet', longer)).toBe(false)
  for (let answer = 0; answer < 4; answer++) health.heard('knet', 'toAnAnswer', longer)
  await clock.pass(longer.windowMs)
  expect(health.isDemoted('knet', longer)).toBe(false)
})
