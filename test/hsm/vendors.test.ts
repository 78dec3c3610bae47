import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lentRetailMac, retailMac } from '../../hsm/commands/mac.ts'
import { KeyTable } from '../../hsm/key-table.ts'
import { readVendors, vendorOf } from '../../hsm/pkcs11/vendors.ts'
import { openTwin } from '../../hsm/twin/token.ts'
import { hex, text } from './world.ts'

test('every vendor has a name, words to know it by, and numbers of its own only', () => {
  const vendors = readVendors()
  expect(vendors.map(({ name }) => name)).toEqual([
    'Unbound (Dyadic)',
    'Thales Luna',
    'Thales ProtectServer',
    'SoftHSM',
    'Utimaco',
  ])
  const words = vendors.flatMap(({ match }) => match)
  expect(new Set(words).size).toBe(words.length)
  expect(vendors.filter(({ tested }) => tested !== null).map(({ name }) => name)).toEqual(['SoftHSM'])
})

test('a token is known by what it calls itself', () => {
  expect(vendorOf({ manufacturer: 'SoftHSM project', model: 'SoftHSM v2' })).toMatchObject({ insecure: true })
  expect(vendorOf({ manufacturer: 'Safenet, Inc.', model: 'LunaSA' })?.mechanisms).toEqual({
    'retail-mac': 0x80000150,
  })
  expect(vendorOf({ manufacturer: 'Nobody', model: 'X' })).toBeUndefined()
})

test('the documentation names every vendor, and says of each whether it was run', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/hsm.md'), 'utf8')
  for (const { name, tested } of readVendors()) {
    expect(page).toContain(`| ${name} | ${tested ?? 'not tested here'} |`)
  }
})

const good = { name: 'A', match: ['aaa'], tested: null, insecure: false, mechanisms: {}, source: 'a header' }
test.each([
  ['no name', { ...good, name: '' }],
  ['no words', { ...good, match: [] }],
  ['no source', { ...good, source: undefined }],
  ['a mechanism that is none', { ...good, mechanisms: { 'pin-guess': '0x80000001' } }],
  ['a number of the standard’s', { ...good, mechanisms: { 'retail-mac': '0x00000133' } }],
  ['a number that is a number', { ...good, mechanisms: { 'retail-mac': 0x80000001 } }],
])('a file with %s is refused', (_, content) => {
  const folder = mkdtempSync(join(tmpdir(), 'mafraq-vendors-'))
  writeFileSync(join(folder, 'a.json'), JSON.stringify(content))
  expect(() => readVendors(folder)).toThrow('vendors/a.json')
  rmSync(folder, { recursive: true })
})

test('where a token has a retail MAC of its own, one object and one call give the same answer as the two', () => {
  const value = hex('0123456789ABCDEFFEDCBA9876543210')
  const token = openTwin([])
  const data = hex('4E6F77206973207468652074696D6520666F7220616C6C20')
  const context = { token, keys: new KeyTable([]), random: () => undefined }
  const object = token.lend({
    label: 'a',
    id: 'M3C:08D7B4',
    kind: 'DES2',
    value,
    grants: ['sign'],
    mechanisms: ['retail-mac'],
  })
  expect(text(retailMac(token, { object, parts: new Map() }, data))).toBe('A1C72E74EA3FA9B6')
  expect(text(lentRetailMac(context, value, data))).toBe('A1C72E74EA3FA9B6')
})
