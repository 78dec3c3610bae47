import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openBook, readBook } from '../../simulators/book.ts'
import { newFolder } from './folder.ts'

const newPath = async (): Promise<string> => join(await newFolder(), 'book.jsonl')
const linesOf = async (path: string): Promise<unknown[]> => {
  const lines: unknown[] = []
  for await (const line of readBook(path)) lines.push(line)
  return lines
}

test('a line is in the file when its promise resolves', async () => {
  const path = await newPath()
  const book = await openBook(path)
  await book.record({ event: 'debit', amountMinor: '12500' })
  expect(await readFile(path, 'utf8')).toBe('{"event":"debit","amountMinor":"12500"}\n')
  await book.close()
})

test('lines recorded together keep their order, gathered or not', async () => {
  for (const gatherMs of [0, 5]) {
    const path = await newPath()
    const book = await openBook(path, { gatherMs })
    const numbers = Array.from({ length: 500 }, (_, number) => ({ number }))
    await Promise.all(numbers.map((line) => book.record(line)))
    await book.close()
    expect(await linesOf(path)).toEqual(numbers)
  }
})

test('closing waits for what was recorded', async () => {
  const path = await newPath()
  const book = await openBook(path, { gatherMs: 5 })
  const recorded = book.record({ event: 'last' })
  await book.close()
  await recorded
  expect(await linesOf(path)).toEqual([{ event: 'last' }])
  await expect(book.record({ event: 'after' })).rejects.toThrow('closed')
})

test('a book that is opened again goes on where it was, wherever the crash cut its last line', async () => {
  const whole = '{"event":"one"}\n{"event":"two"}\n'
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (cutAt) => {
      const path = await newPath()
      await writeFile(path, whole.slice(0, cutAt))
      const before = await linesOf(path)
      const book = await openBook(path)
      await book.record({ event: 'after' })
      await book.close()
      expect(before).toHaveLength(whole.slice(0, cutAt).split('\n').length - 1)
      expect(await linesOf(path)).toEqual([...before, { event: 'after' }])
    }),
    { numRuns: 40 },
  )
})

test('a torn line longer than one read is cut away too', async () => {
  const path = await newPath()
  await writeFile(path, `{"event":"kept"}\n{"event":"${'x'.repeat(20_000)}`)
  const book = await openBook(path)
  await book.record({ event: 'after' })
  await book.close()
  expect(await linesOf(path)).toEqual([{ event: 'kept' }, { event: 'after' }])
})

test('a torn last line is left out by the reader, a broken line in the middle is a fault', async () => {
  const path = await newPath()
  await writeFile(path, '{"event":"one"}\n{"event":"tw')
  expect(await linesOf(path)).toEqual([{ event: 'one' }])
  await appendFile(path, '\n{"event":"three"}\n')
  await expect(linesOf(path)).rejects.toThrow('book')
})

test('an empty book has no lines', async () => {
  const path = await newPath()
  await writeFile(path, '')
  expect(await linesOf(path)).toEqual([])
})
