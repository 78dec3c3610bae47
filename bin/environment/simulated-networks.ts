/** What a simulated network is to the switch of this machine, beside what its folder in `connectors/` says. */
export interface SimulatedNetwork {
  readonly keys: { readonly pin: string; readonly mac: string }
  readonly acquirerId: string
  /** How its frames are written, by the name of a bundled format: for a fault proxy before it. */
  readonly frame: string
  /** The leading digits of the test cards behind it. Nothing of real card ranges follows from them. */
  readonly ranges: readonly string[]
  /** The currencies that it settles and bills in, where those are others, and its rates: see its simulator. */
  readonly conversions?: object
  /** Further timers of it in the rules. */
  readonly timers?: object
  /** Further elements of its destination in the switch's configuration. */
  readonly destination?: object
}

/** All that there are, in the order in which they are started. */
export const simulatedNetworks: Readonly<Record<string, SimulatedNetwork>> = {
  knet: {
    keys: { pin: 'zpk.knet.out', mac: 'zak.knet.both' },
    acquirerId: '12345678901',
    frame: 'frame-ascii4',
    ranges: ['888888'],
    // So that the end of an authorization can be watched: miscellaneous personal services.
    timers: { holdMsByMerchantType: { '7299': 2_000 } },
    destination: {
      cutover: { at: '00:00', timeZone: 'Asia/Kuwait' },
    },
  },
  visa: {
    keys: { pin: 'zpk.visa.out', mac: 'zak.visa.both' },
    // US dollars: 3.250000 of them to a dinar. Two decimals for three.
    conversions: { settlement: { currency: '840', rate: '63250000' } },
    acquirerId: '12345678902',
    frame: 'frame-binary2',
    ranges: ['400005', '401288', '416667', '424242', '444433', '464646', '497794', '498843'],
  },
  mastercard: {
    keys: { pin: 'zpk.mastercard.out', mac: 'zak.mastercard.both' },
    // US dollars to us; the cards are billed in yen, which have no decimals.
    conversions: {
      settlement: { currency: '840', rate: '63250000' },
      billing: { currency: '392', rate: '44987500' },
    },
    acquirerId: '12345678903',
    frame: 'frame-binary2',
    ranges: ['222352', '510510', '513633', '520082', '545454', '555534', '557700', '558555'],
  },
  'issuer-host': {
    keys: { pin: 'zpk.issuer-host.out', mac: 'zak.issuer-host.both' },
    acquirerId: '12345678904',
    frame: 'frame-binary4',
    ranges: ['88888877'],
  },
}

/** A name that is no network's is our bug. */
export function simulatedNetwork(name: string): SimulatedNetwork {
  const network = simulatedNetworks[name]
  if (network === undefined) throw new Error(`no simulated network is called ${name}`)
  return network
}
