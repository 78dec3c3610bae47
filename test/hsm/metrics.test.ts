import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerHsmMetrics } from '../../hsm/hsm.ts'
import type { Hsm } from '../../hsm/hsm.ts'
import { softhsmMissing } from '../support/softhsm.ts'
import { faultOf, hex, world } from './world.ts'
import type { World } from './world.ts'

describe.skipIf(softhsmMissing() !== undefined)('what the client counts', () => {
  let rooms: World
  let hsm: Hsm
  const registry = new Registry()
  beforeAll(async () => {
    rooms = await world()
    hsm = await rooms.open()
    registerHsmMetrics(registry, hsm)
    for (let index = 0; index < 7; index++) await hsm.generateMac({ key: 'zak.knet.both', data: hex('00') })
    await faultOf(hsm.generateMac({ key: 'zak.none.both', data: hex('00') }))
    await hsm.tokenise('4111111111111111')
  })
  afterAll(async () => {
    await rooms[Symbol.asyncDispose]()
  })

  test('status says how many calls each operation had, how they ended and how long they took', () => {
    const { generateMac, tokenise } = hsm.status().operations!
    expect(generateMac).toMatchObject({ count: 8, faults: { refused: 1 } })
    expect(generateMac!.buckets.reduce((sum, count) => sum + count)).toBe(8)
    expect(generateMac!.seconds).toBeGreaterThan(0)
    expect(tokenise).toMatchObject({ count: 1, faults: {} })
  })

  test('status says of each process what it can do and how its breaker stands', () => {
    expect(hsm.status().backends).toMatchObject([
      {
        ...{ name: 'hsm process 1', tokenLabel: 'scratch', state: 'up', model: 'SoftHSM v2' },
        ...{ breaker: 'closed', breakerOpenings: 0, restarts: 0, recycled: 0, lacking: [], differing: [] },
      },
    ])
    expect(hsm.status().backends![0]!.capabilities).toEqual(
      expect.arrayContaining(['pinTdes', 'pinAes', 'macRetail', 'cardKeys', 'dukptAes', 'sign', 'vaultSeal']),
    )
    expect(hsm.status().keys).toContainEqual({
      label: 'zpk.knet.out.v001',
      id: expect.any(String),
      state: 'active',
    })
  })

  test('the same is shown to Prometheus, with a histogram that adds up', async () => {
    const text = await registry.metrics()
    expect(text).toContain('# TYPE switch_hsm_seconds histogram')
    expect(text).toContain('switch_hsm_seconds_bucket{le="+Inf",op="generateMac"} 8')
    expect(text).toContain('switch_hsm_seconds_count{op="tokenise"} 1')
    expect(text).toContain('switch_hsm_faults_total{op="generateMac",fault="refused"} 1')
    expect(text).toContain('switch_hsm_up{backend="hsm process 1"} 1')
    expect(text).toContain('switch_hsm_breaker_state{backend="hsm process 1"} 0')
    expect(text).not.toContain('4111')
  })
})
