import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { membersReloader } from '../../bin/environment/members.ts'
import { memberNetwork } from '../../bin/networks.ts'
import type { NetworkProfile } from '../../connectors/network.ts'
import { NetworkFileError, networkFromJson } from '../../connectors/network-file.ts'
import { network as visa } from '../../connectors/visa/network.ts'
import { singleMessage } from '../../connectors/wording.ts'
import { ascii4Frame, compile } from '../../iso8583/iso8583.ts'

const find = (name: string) => (name === 'visa' ? visa : undefined)

function mistakesOf(json: unknown): readonly string[] {
  try {
    networkFromJson(json, find)
  } catch (error) {
    if (error instanceof NetworkFileError) return error.mistakes
    throw error
  }
  return []
}

describe("a member's network file", () => {
  test('changes what it says and leaves the rest', () => {
    const network = networkFromJson(
      {
        extends: 'visa',
        frame: 'frame-ascii4',
        session: { echoAfterMs: 60_000, codes: { signOn: '071' } },
        rules: { timeoutMs: 12_000, reversalAnswers: { retry: ['91'] } },
      },
      find,
    )
    expect(network.frame).toEqual(ascii4Frame)
    expect(network.session.codes).toEqual({ ...visa.session.codes, signOn: '071' })
    expect(network.session.answerMs).toBe(visa.session.answerMs)
    expect(network.rules).toMatchObject({ timeoutMs: 12_000, reversalMti: '0400' })
    expect(network.rules.reversalAnswers.acknowledged).toEqual(visa.rules.reversalAnswers.acknowledged)
    expect(network.wording).toBe(visa.wording)
  })

  test('says what becomes of fees, and has an element for what DE4 is without', () => {
    const beside = { extends: 'visa', rules: { fees: { inAmount: false, reversed: true } } }
    expect(networkFromJson(beside, find).rules.fees).toEqual({ inAmount: false, reversed: true })
    expect(() => networkFromJson({ ...beside, rules: { fees: { inAmount: 'no' } } }, find)).toThrow(
      'rules.fees.inAmount',
    )
    expect(() =>
      networkFromJson({ ...beside, dialect: { name: 'member', fields: { 28: null } } }, find),
    ).toThrow('rules.fees.inAmount: the dialect has no DE28 to say it in')
  })

  test('says how connections are used: one request at a time, who signs on, where answers may come', () => {
    const said = { connections: 'halfDuplex', responseAffinity: 'group' } as const
    const { connections, responseAffinity, session } = networkFromJson(
      { extends: 'visa', ...said, session: { signOn: 'none' } },
      find,
    )
    expect({ connections, responseAffinity, signOn: session.signOn }).toEqual({ ...said, signOn: 'none' })
  })

  test('says how money is set aside, how what is owed is brought, and how seals and PIN blocks are made', () => {
    const network = networkFromJson(
      {
        extends: 'visa',
        wording: 'singleMessage',
        mac: { classes: ['2', '4'], codes: ['101'], padding: 2 },
        pin: { format: 4 },
        rules: {
          stored: { lanes: 4, order: 'strict' },
          holds: {
            authorizationMs: 86_400_000,
            preauthorizationMs: 172_800_000,
            tolerancePercent: { '5812': 25 },
          },
        },
      },
      find,
    )
    expect(network).toMatchObject({ wording: singleMessage, sealedClasses: ['2', '4'], macPadding: 2 })
    expect(network.session.sealedCodes).toEqual(['101'])
    expect(network.rules).toMatchObject({ pinFormat: 4, stored: { lanes: 4, order: 'strict' } })
    expect(network.rules.holds).toEqual({
      authorizationMs: 86_400_000,
      preauthorizationMs: 172_800_000,
      tolerancePercent: { '5812': 25 },
    })
    // What it leaves out is the network's own.
    expect(networkFromJson({ extends: 'visa', mac: {}, pin: {} }, find)).toMatchObject({
      wording: visa.wording,
      sealedClasses: visa.sealedClasses,
      rules: visa.rules,
    })
  })

  test("layers its dialect over the network's own", () => {
    const network = networkFromJson(
      { extends: 'visa', dialect: { name: 'member-visa', fields: { '48': 'lllvar ans ..255 private' } } },
      find,
    )
    expect(network.dialect).toMatchObject({ name: 'member-visa', base: visa.dialect })
    const codec = compile(network.dialect)
    const fields = { 3: '000000', 48: 'A1', 62: { 2: '123456789012345' } }
    expect(codec.decode(codec.encode({ mti: '0100', fields })).reveal(48)).toBe('A1')
  })

  test('is refused with every mistake and its path', () => {
    const mistakes = mistakesOf({
      extends: 'visa',
      colour: 'blue',
      frame: { encoding: 'binary', lengthBytes: 9, counts: 'body', zeroLength: 'refused' },
      session: { answerMs: 0, codes: { signon: '001' } },
      rules: { approvals: ['approved'] },
    })
    const all = mistakes.join('\n')
    for (const path of ['colour', 'frame', 'session.answerMs', 'session.codes.signon', 'rules.approvals.0'])
      expect(all).toContain(path)
  })

  test('is refused for what no form shows: elements that are not there, timers out of order', () => {
    expect(mistakesOf({ extends: 'visa', correlation: { key: [11] } })).toEqual([
      'correlation.key: DE11 alone is used again within the day',
    ])
    expect(mistakesOf({ extends: 'visa', rules: { timeoutMs: 1_000 } }).join()).toContain(
      'rules.remainingMinMs',
    )
  })

  test.each([
    [null, 'file'],
    [[], 'file'],
    [{}, 'file'],
    [{ extends: 'visa2' }, 'extends'],
    [{ extends: 'visa', frame: 'frame-none' }, 'frame'],
    [{ extends: 'visa', wording: 'polite' }, 'wording'],
    // The words of another edition than the dialect's, and elements that it has not.
    [{ extends: 'visa', wording: 'edition1993' }, 'wording'],
    [{ extends: 'visa', dialect: { name: 'm', fields: { '90': null } } }, 'wording'],
    [{ extends: 'visa', mac: { classes: ['9'] } }, 'mac.classes.0'],
    [{ extends: 'visa', mac: { algorithm: 'cmac' } }, 'mac.algorithm'],
    [{ extends: 'visa', mac: { padding: 4 } }, 'mac.padding'],
    [{ extends: 'visa', pin: { format: 3 } }, 'pin.format'],
    [{ extends: 'visa', rules: { stored: { lanes: 0 } } }, 'rules.stored.lanes'],
    [{ extends: 'visa', rules: { stored: { order: 'any' } } }, 'rules.stored.order'],
    [{ extends: 'visa', rules: { holds: { authorizationMs: 86_400_000 } } }, 'rules.holds'],
    [
      { extends: 'visa', rules: { holds: { byMerchantType: { hotel: 1_000 } } } },
      'rules.holds.byMerchantType',
    ],
    [{ extends: 'visa', rules: { holds: { tolerancePercent: { '5812': 101 } } } }, 'rules.holds.tolerance'],
    [{ extends: 'visa', dialect: { name: 'm', fields: { '2': 'llvar n ..19' } } }, 'dialect'],
    [{ extends: 'visa', dialect: { name: 'm', fields: { '48': 'what' } } }, 'dialect'],
  ])('%j is refused at %s', (json, path) => {
    expect(mistakesOf(json)[0]).toMatch(new RegExp(`^${path}`))
  })

  test('a refusal does not repeat what stood in the file', () => {
    const json = {
      extends: 'visa',
      rules: { acquirerId: '4111111111111111', approvals: ['4111111111111111'] },
    }
    expect(mistakesOf(json).length).toBeGreaterThan(0)
    expect(mistakesOf(json).join('\n')).not.toContain('4111')
  })
})

describe('the file as the switch is given it', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'network-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('is taken with the digest that the configuration states, and refused with another', async () => {
    const file = join(folder, 'member.json')
    const text = JSON.stringify({ extends: 'visa', rules: { timeoutMs: 12_000 } })
    writeFileSync(file, text)
    const sha256 = createHash('sha256').update(text).digest('hex')
    expect((await memberNetwork({ file, sha256 })).rules.timeoutMs).toBe(12_000)
    await expect(memberNetwork({ file, sha256: 'f'.repeat(64) })).rejects.toThrow(`its SHA-256 is ${sha256}`)
  })

  test('that is wrong is refused with its name, the path and the reason', async () => {
    const file = join(folder, 'wrong.json')
    const text = JSON.stringify({ extends: 'visa', mac: { padding: 9 }, rules: { timeoutMs: 1_000 } })
    writeFileSync(file, text)
    const sha256 = createHash('sha256').update(text).digest('hex')
    await expect(memberNetwork({ file, sha256 })).rejects.toThrow(/wrong\.json is refused:\n  mac\.padding: /)
  })

  test('is taken again where the configuration states another digest, and refused with file, path and reason', async () => {
    const [configFile, file] = [join(folder, 'switch.json'), join(folder, 'again.json')]
    const write = (json: object): string => {
      const text = JSON.stringify(json)
      writeFileSync(file, text)
      return createHash('sha256').update(text).digest('hex')
    }
    const destination = { name: 'issuer', network: 'visa', acquirerId: '41400007' }
    const state = (sha256: string) =>
      writeFileSync(
        configFile,
        JSON.stringify({ destinations: [{ ...destination, member: { file, sha256 } }] }),
      )
    const first = write({ extends: 'visa' })
    const member = { file, sha256: first }
    const spoken: NetworkProfile[] = []
    const errors: object[] = []
    const reload = membersReloader({
      ...{ configFile, environment: 'development', destinations: [{ ...destination, member }] },
      connectors: new Map([['issuer', { speak: (network) => (spoken.push(network), []) }]]),
      log: { error: (details) => errors.push(details) },
    })
    state(first)
    await reload()
    expect(spoken).toEqual([])
    state(write({ extends: 'visa', session: { codes: { echo: '371' } } }))
    await reload()
    await reload()
    expect(spoken).toHaveLength(1)
    expect(spoken[0]).toMatchObject({ name: 'issuer', rules: { acquirerId: '41400007' } })
    expect(spoken[0]!.session.codes.echo).toBe('371')
    state(write({ extends: 'visa', correlation: { key: [11] } }))
    await reload()
    expect(spoken).toHaveLength(1)
    expect(JSON.stringify(errors)).toMatch(/again\.json is refused:.*correlation\.key: DE11 alone/)
    writeFileSync(configFile, '{')
    await reload()
    expect(errors).toHaveLength(2)
  })

  test('that is not there, or is no JSON, is named', async () => {
    const file = join(folder, 'none.json')
    await expect(memberNetwork({ file, sha256: '0' })).rejects.toThrow('none.json')
    const broken = join(folder, 'broken.json')
    writeFileSync(broken, '{')
    const sha256 = createHash('sha256').update('{').digest('hex')
    await expect(memberNetwork({ file: broken, sha256 })).rejects.toThrow('broken.json: is not JSON')
  })
})
