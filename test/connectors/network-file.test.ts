import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memberNetwork } from '../../bin/networks.ts'
import { NetworkFileError, networkFromJson } from '../../connectors/network-file.ts'
import { network as visa } from '../../connectors/visa/network.ts'
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

  test('says how connections are used: one request at a time, who signs on, where answers may come', () => {
    const said = { connections: 'halfDuplex', responseAffinity: 'group' } as const
    const { connections, responseAffinity, session } = networkFromJson(
      { extends: 'visa', ...said, session: { signOn: 'none' } },
      find,
    )
    expect({ connections, responseAffinity, signOn: session.signOn }).toEqual({ ...said, signOn: 'none' })
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

  test('that is not there, or is no JSON, is named', async () => {
    const file = join(folder, 'none.json')
    await expect(memberNetwork({ file, sha256: '0' })).rejects.toThrow('none.json')
    const broken = join(folder, 'broken.json')
    writeFileSync(broken, '{')
    const sha256 = createHash('sha256').update('{').digest('hex')
    await expect(memberNetwork({ file: broken, sha256 })).rejects.toThrow('broken.json: is not JSON')
  })
})
