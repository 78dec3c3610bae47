import { describe, expect, test } from 'vitest'
import { Breaker, type BreakerChange, type LegHealth, type Permit } from '../../connectors/breaker.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** A breaker that is closed unless told otherwise, and whatever it says. */
function world({ online = true, inFlightMax = 100 } = {}) {
  const clock = new ManualClock()
  const changes: BreakerChange[] = []
  let probes = 0
  const breaker = new Breaker({
    clock,
    inFlightMax,
    onProbe: () => {
      probes++
    },
    onChange: (change) => changes.push(change),
  })
  if (online) breaker.online()
  changes.length = 0
  const leg = (health: LegHealth): void => {
    const permit = breaker.enter()
    expect(permit).toBeDefined()
    permit!.done(health)
  }
  const legs = (count: number, health: LegHealth): void => {
    for (let n = 0; n < count; n++) leg(health)
  }
  const enterAll = (): Permit[] => {
    const permits: Permit[] = []
    for (let permit = breaker.enter(); permit !== undefined; permit = breaker.enter()) permits.push(permit)
    return permits
  }
  /** Open, and then through the half-open state to the first step of the ramp. */
  const toRamp = (): void => {
    legs(20, 'failure')
    clock.advance(5_000)
    breaker.probed(true)
    breaker.probed(true)
    expect(breaker.state).toBe('rampNarrow')
  }
  return { breaker, clock, changes, leg, legs, enterAll, toRamp, probes: () => probes }
}

test('a timer that rings early does not leave it open for good', () => {
  const clock = new ManualClock()
  const early = {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs: number, run: () => void) => clock.after(delayMs > 1 ? delayMs - 1 : delayMs, run),
  }
  let probes = 0
  const breaker = new Breaker({
    ...{ clock: early, inFlightMax: 100 },
    onProbe: () => probes++,
    onChange: () => undefined,
  })
  breaker.online()
  for (let leg = 0; leg < 20; leg++) breaker.enter()!.done('failure')
  clock.advance(4_999)
  expect([breaker.state, probes]).toEqual(['open', 0])
  clock.advance(1)
  expect([breaker.state, probes]).toEqual(['halfOpen', 1])
})

describe('closed', () => {
  test('nineteen failures prove nothing, the twentieth opens', () => {
    const { breaker, legs, changes } = world()
    legs(19, 'failure')
    expect(breaker.state).toBe('closed')
    legs(1, 'failure')
    expect(changes).toEqual([{ from: 'closed', to: 'open', cause: 'failures' }])
    expect(breaker.enter()).toBeUndefined()
  })

  test('it opens when half of the legs failed, and not before', () => {
    const { breaker, legs } = world()
    legs(15, 'success')
    legs(14, 'failure')
    expect(breaker.state).toBe('closed')
    legs(1, 'failure')
    expect(breaker.state).toBe('open')
  })

  test('failures of more than fifteen seconds ago are forgotten', () => {
    const { breaker, legs, clock } = world()
    legs(19, 'failure')
    clock.advance(15_000)
    legs(19, 'failure')
    expect(breaker.state).toBe('closed')
    clock.advance(14_000)
    legs(1, 'failure')
    expect(breaker.state).toBe('open')
  })

  test('legs that say nothing of the destination are not counted', () => {
    const { breaker, legs } = world()
    legs(19, 'failure')
    legs(500, 'neutral')
    expect(breaker.state).toBe('closed')
  })

  test('CB1: sessions that can be neither connected nor signed on count beside requests that fail', () => {
    const { breaker, legs, changes } = world()
    legs(12, 'success')
    legs(9, 'failure')
    expect(breaker.state).toBe('closed')
    for (let n = 0; n < 2; n++) breaker.failed()
    expect(breaker.state).toBe('closed')
    breaker.failed()
    expect(breaker.state).toBe('open')
    // Open as it is, it takes no further notice of them.
    for (let n = 0; n < 50; n++) breaker.failed()
    expect(changes.map(({ cause }) => cause)).toEqual(['failures'])
  })

  test('a permit counts once', () => {
    const { breaker, legs } = world()
    legs(18, 'failure')
    const permit = breaker.enter()!
    permit.done('failure')
    permit.done('failure')
    expect(breaker.state).toBe('closed')
  })
})

describe('sessions', () => {
  test('nothing is let through before the first sign-on, everything after it', () => {
    const { breaker, changes, probes } = world({ online: false })
    expect(breaker.admits).toBe(false)
    breaker.online()
    expect(changes).toEqual([{ from: 'open', to: 'closed', cause: 'firstOnline' }])
    expect(probes()).toBe(0)
  })

  test('losing the last one opens; a new one is probed at once and then trusted by steps', () => {
    const { breaker, changes, probes, clock } = world()
    breaker.offline()
    expect(breaker.state).toBe('open')
    clock.advance(3_600_000)
    expect(breaker.state).toBe('open')
    breaker.online()
    expect(probes()).toBe(1)
    breaker.probed(true)
    expect(probes()).toBe(2)
    breaker.probed(true)
    expect(changes.map(({ to, cause }) => [to, cause])).toEqual([
      ['open', 'offline'],
      ['halfOpen', 'probing'],
      ['rampNarrow', 'probesAnswered'],
    ])
  })

  test('a session that comes and goes does not shorten the time that failures set', () => {
    const { breaker, legs, clock, probes } = world()
    legs(20, 'failure')
    breaker.offline()
    breaker.online()
    clock.advance(4_999)
    expect(breaker.state).toBe('open')
    clock.advance(1)
    expect(breaker.state).toBe('halfOpen')
    expect(probes()).toBe(1)
  })

  test('losing the session while half-open opens, and an echo that comes back then is not counted', () => {
    const { breaker, legs, clock } = world()
    legs(20, 'failure')
    clock.advance(5_000)
    breaker.probed(true)
    breaker.offline()
    breaker.probed(true)
    expect(breaker.state).toBe('open')
  })
})

describe('half-open', () => {
  test('no cardholder is let through', () => {
    const { breaker, legs, clock } = world()
    legs(20, 'failure')
    clock.advance(5_000)
    expect(breaker.state).toBe('halfOpen')
    expect(breaker.enter()).toBeUndefined()
  })

  test('each probe that fails doubles the wait, up to a minute', () => {
    const { breaker, legs, clock } = world()
    legs(20, 'failure')
    for (const waitMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      clock.advance(waitMs - 1)
      expect(breaker.state).toBe('open')
      clock.advance(1)
      expect(breaker.state).toBe('halfOpen')
      breaker.probed(false)
    }
  })
})

describe('the ramp', () => {
  test('lets through five at a time, then a quarter of the window, then all', () => {
    const { breaker, clock, toRamp, enterAll } = world({ inFlightMax: 100 })
    toRamp()
    const narrow = enterAll()
    expect(narrow).toHaveLength(5)
    narrow[0]!.done('success')
    expect(enterAll()).toHaveLength(1)
    clock.advance(10_000)
    expect(breaker.state).toBe('rampWide')
    const wide = enterAll()
    expect(wide).toHaveLength(20)
    wide[0]!.done('success')
    clock.advance(10_000)
    expect(breaker.state).toBe('closed')
    expect(breaker.enter()).toBeDefined()
  })

  test('goes on by itself when there is nothing to send', () => {
    const { breaker, clock, toRamp } = world()
    toRamp()
    clock.advance(20_000)
    expect(breaker.state).toBe('closed')
  })

  test('is not over before a leg of its own was answered: a network may echo and do no business', () => {
    const { breaker, clock, toRamp, enterAll, changes } = world()
    toRamp()
    const silent = enterAll()
    clock.advance(25_000)
    expect(breaker.state).toBe('rampNarrow')
    expect(enterAll()).toEqual([])
    for (const permit of silent) permit.done('failure')
    expect(changes.at(-1)).toMatchObject({ from: 'rampNarrow', to: 'open', cause: 'rampFailed' })
  })

  test('takes its step late when its first answer comes late', () => {
    const { breaker, clock, toRamp, enterAll } = world()
    toRamp()
    const slow = enterAll()
    clock.advance(15_000)
    slow[0]!.done('failure')
    expect(breaker.state).toBe('rampNarrow')
    slow[1]!.done('success')
    expect(breaker.state).toBe('rampWide')
  })

  test('is passed by a network of which one answer in a hundred is missing', () => {
    for (let first = 0; first < 100; first += 10) {
      const { breaker, clock, toRamp } = world()
      toRamp()
      for (let n = 0; n < 1_000; n++) {
        if (n === 500) clock.advance(10_000)
        breaker.enter()!.done((n + first) % 100 === 0 ? 'failure' : 'success')
      }
      clock.advance(10_000)
      expect(breaker.state).toBe('closed')
    }
  })

  test.each([0, 10_000])('three failures %i ms into it open again, for twice as long', (intoMs) => {
    const { breaker, clock, toRamp, legs, changes } = world()
    toRamp()
    clock.advance(intoMs)
    legs(12, 'success')
    legs(2, 'failure')
    expect(breaker.state).not.toBe('open')
    legs(1, 'failure')
    expect(changes.at(-1)).toMatchObject({ to: 'open', cause: 'rampFailed' })
    clock.advance(9_999)
    expect(breaker.state).toBe('open')
    clock.advance(1)
    expect(breaker.state).toBe('halfOpen')
  })

  test('a leg that was sent before the opening cannot fail it', () => {
    const { breaker, clock, legs } = world()
    const old = breaker.enter()!
    legs(20, 'failure')
    clock.advance(5_000)
    breaker.probed(true)
    breaker.probed(true)
    old.done('failure')
    expect(breaker.state).toBe('rampNarrow')
  })

  test('once closed, the next opening is a first one again', () => {
    const { breaker, clock, toRamp, legs } = world()
    toRamp()
    clock.advance(20_000)
    expect(breaker.state).toBe('closed')
    legs(20, 'failure')
    clock.advance(5_000)
    expect(breaker.state).toBe('halfOpen')
  })
})

describe('an operator', () => {
  test('forces it open until the time is over', () => {
    const { breaker, clock, changes } = world()
    breaker.force('open', 60_000)
    expect(breaker.enter()).toBeUndefined()
    clock.advance(60_000)
    expect(breaker.enter()).toBeDefined()
    expect(changes).toEqual([
      { from: 'closed', to: 'open', cause: 'forced' },
      { from: 'open', to: 'closed', cause: 'forceEnded' },
    ])
  })

  test('forces it closed, and finds what it would have been when the force is taken back', () => {
    const { breaker, legs } = world()
    breaker.force('closed', 60_000)
    legs(30, 'failure')
    expect(breaker.admits).toBe(true)
    breaker.unforce()
    expect(breaker.state).toBe('open')
  })
})

test('stopped, it leaves no timer behind', () => {
  const { breaker, legs, clock } = world()
  legs(20, 'failure')
  breaker.force('closed', 1_000)
  breaker.stop()
  expect(clock.waiting).toBe(0)
})
