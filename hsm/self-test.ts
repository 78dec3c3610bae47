/**
 * One known answer for each thing this room asks of a token, with published keys that are lent to it for the
 * test. A token's own list of mechanisms is not believed: SoftHSM announces some that it then refuses.
 */
import { createECDH, createPublicKey, verify } from 'node:crypto'
import { retailMac } from './commands/mac.ts'
import type { KeyName } from './key.ts'
import type { ObjectSpec } from './objects.ts'
import type { BlockMechanism, SignMechanism, Token, TokenObject } from './token.ts'

export type Capability =
  | 'pinTdes'
  | 'pinAes'
  | 'macRetail'
  | 'macCmacAes'
  | 'macCmacTdes'
  | 'macHmac'
  | 'cardKeys'
  | 'dukptAes'
  | 'sign'
  | 'vaultSeal'
  | 'random'

export type Capabilities = Readonly<Record<Capability, boolean>>

// NIST SP 800-38B and 800-38A use this AES key; ISO 9797-1 annex B the DES pair; RFC 4231 case 4 the HMAC one.
const aesKey = '2B7E151628AED2A6ABF7158809CF4F3C'
const desKey = '0123456789ABCDEFFEDCBA9876543210'
const desK1 = '0123456789ABCDEF0123456789ABCDEF'

/** What a token must be able to do for a key to be of use on it. */
export function capabilityFor({ usage, algorithm }: Pick<KeyName, 'usage' | 'algorithm'>): Capability {
  const des = algorithm === 'DES2' || algorithm === 'DES3'
  switch (usage) {
    case 'P0':
    case 'M1':
      return des ? 'pinTdes' : 'pinAes'
    case 'M3':
    case 'C0':
      return 'macRetail'
    case 'M6':
    case 'K1':
      return des ? 'macCmacTdes' : 'macCmacAes'
    case 'M7':
      return 'macHmac'
    case 'V1':
    case 'V2':
    case 'E0':
    case 'E1':
    case 'E2':
    case 'E4':
      return 'cardKeys'
    case 'B0':
      return des ? 'cardKeys' : 'dukptAes'
    case 'K0':
    case 'D0':
      return 'vaultSeal'
    case 'S0':
      return 'sign'
  }
}

/** Runs all of them. A failure is a capability that is false, never an exception. */
export function selfTest(token: Token): Capabilities {
  const borrow = lender(token)
  const tests: Readonly<Record<Capability, () => boolean>> = {
    // The enciphered zero block is the widely printed check value of this key, 08D7B4.
    pinTdes: () =>
      borrow(spec('DES2', desKey, ['encrypt', 'decrypt'], ['des3-cbc']), (object) =>
        bothWays(token, object, {
          mechanism: 'des3-cbc',
          clear: '0000000000000000',
          cipher: '08D7B4FB629D0885',
        }),
      ),
    pinAes: () =>
      borrow(spec('AES', aesKey, ['encrypt', 'decrypt'], ['aes-ecb', 'aes-cbc']), (object) =>
        (['aes-ecb', 'aes-cbc'] as const).every((mechanism) =>
          bothWays(token, object, {
            mechanism,
            clear: '6BC1BEE22E409F96E93D7E117393172A',
            cipher: '3AD77BB40D7A3660A89ECAF32466EF97',
          }),
        ),
      ),
    macRetail: () =>
      borrow(spec('DES2', desKey, ['encrypt'], ['des3-cbc']), (object) =>
        borrow(spec('DES2', desK1, ['encrypt'], ['des3-cbc']), (k1) => {
          const key = { object, parts: new Map([['#k1', k1]]) }
          const data = hex('4E6F77206973207468652074696D6520666F7220616C6C20')
          return same(retailMac(token, key, data), 'A1C72E74EA3FA9B6')
        }),
      ),
    macCmacAes: () =>
      borrow(spec('AES', aesKey, ['sign'], ['aes-cmac']), (object) =>
        signs(token, object, {
          mechanism: 'aes-cmac',
          data: '6BC1BEE22E409F96E93D7E117393172A',
          mac: '070A16B46B4D4144F79BDD9DD04A287C',
        }),
      ),
    macCmacTdes: () =>
      borrow(spec('DES2', '4CF15134A2850DD58A3D10BA80570D38', ['sign'], ['des3-cmac']), (object) =>
        signs(token, object, { mechanism: 'des3-cmac', data: '6BC1BEE22E409F96', mac: '4FF2AB813C53CE83' }),
      ),
    macHmac: () =>
      borrow(spec('generic', 'AA'.repeat(131), ['sign'], ['hmac-sha256']), (object) =>
        signs(token, object, {
          mechanism: 'hmac-sha256',
          data: Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First').toString('hex'),
          mac: '60E431591EE0B67F0D8A26AACBF5B77F8E0BC6213728C5140546040F0EE37F54',
        }),
      ),
    cardKeys: () =>
      borrow(spec('DES2', desKey, ['encrypt'], ['des3-ecb']), (object) => {
        const output = Buffer.alloc(8)
        token.encrypt({ object, mechanism: 'des3-ecb', input: Buffer.alloc(8), output })
        return same(output, '08D7B4FB629D0885')
      }),
    dukptAes: () =>
      borrow(spec('AES', aesKey, ['derive'], ['aes-cbc-derive']), (from) => {
        const output = Buffer.alloc(16)
        token.deriveBytes({ from, data: hex('6BC1BEE22E409F96E93D7E117393172A'), output })
        return same(output, '3AD77BB40D7A3660A89ECAF32466EF97')
      }),
    // The public half of the key is its own: a signature that it takes is right.
    sign: () =>
      borrow(spec('EC', `${'00'.repeat(31)}2A`, ['sign'], ['ecdsa']), (object) => {
        const data = Buffer.from('self-test')
        const signature = Buffer.alloc(64)
        token.sign({ object, mechanism: 'ecdsa', data, output: signature })
        const pair = createECDH('prime256v1')
        pair.setPrivateKey(hex(`${'00'.repeat(31)}2A`))
        const point = pair.getPublicKey()
        const jwk = { x: point.toString('base64url', 1, 33), y: point.toString('base64url', 33, 65) }
        const key = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', ...jwk } })
        return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
      }),
    vaultSeal: () =>
      borrow(spec('AES', aesKey + aesKey, ['wrap', 'unwrap'], ['aes-wrap-pad']), (kek) => {
        const object = token.unwrapDataKey(kek, token.newDataKey(kek))
        try {
          const iv = Buffer.alloc(12)
          const aad = Buffer.alloc(4)
          const sealed = token.seal({ object, iv, aad, input: hex(desKey) })
          return same(token.open({ object, iv, aad, input: sealed }), desKey)
        } finally {
          token.forget(object)
        }
      }),
    random: () => {
      const [one, other] = [Buffer.alloc(16), Buffer.alloc(16)]
      token.random(one)
      token.random(other)
      return !one.equals(other)
    },
  }
  return Object.fromEntries(
    Object.entries(tests).map(([name, test]) => [name, passes(test)]),
  ) as unknown as Capabilities
}

function passes(test: () => boolean): boolean {
  try {
    return test()
  } catch {
    return false
  }
}

function lender(token: Token): <Result>(object: ObjectSpec, use: (lent: TokenObject) => Result) => Result {
  return (object, use) => {
    const lent = token.lend(object)
    try {
      return use(lent)
    } finally {
      token.forget(lent)
    }
  }
}

function spec(
  kind: ObjectSpec['kind'],
  value: string,
  grants: ObjectSpec['grants'],
  mechanisms: ObjectSpec['mechanisms'],
): ObjectSpec {
  return { label: 'self-test', id: 'self-test', kind, value: hex(value), grants, mechanisms }
}

function bothWays(
  token: Token,
  object: TokenObject,
  { mechanism, clear, cipher }: { mechanism: BlockMechanism; clear: string; cipher: string },
): boolean {
  const output = Buffer.alloc(clear.length / 2)
  const back = Buffer.alloc(output.length)
  token.encrypt({ object, mechanism, input: hex(clear), output })
  token.decrypt({ object, mechanism, input: output, output: back })
  return same(output, cipher) && same(back, clear)
}

function signs(
  token: Token,
  object: TokenObject,
  { mechanism, data, mac }: { mechanism: SignMechanism; data: string; mac: string },
): boolean {
  const output = Buffer.alloc(mac.length / 2)
  token.sign({ object, mechanism, data: hex(data), output })
  return same(output, mac)
}

function hex(text: string): Buffer {
  const out = Buffer.alloc(text.length / 2)
  out.write(text, 'hex')
  return out
}

function same(bytes: Buffer, text: string): boolean {
  return bytes.equals(hex(text))
}
