import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoff, EventReader } from '../src/connection.js'

const events = (...chunks) => {
  const reader = new EventReader()
  return chunks.flatMap((chunk) => reader.push(chunk))
}

test('events are read however they are cut', () => {
  const stream = 'id: 0.1\ndata: {"a":1}\n\ndata: {"b":2}\n\n'
  for (let cut = 0; cut <= stream.length; ++cut)
    assert.deepEqual(events(stream.slice(0, cut), stream.slice(cut)), ['{"a":1}', '{"b":2}'], `cut at ${cut}`)
})

test('line ends of Windows, comments and several lines of data are read as the standard says', () => {
  assert.deepEqual(events(': here\r\n\r\ndata: a\r\ndata: b\r', '\n\r\n'), ['a\nb'])
})

test('an event that is not complete is not told', () => assert.deepEqual(events('data: a\n'), []))

test('the way back takes longer each time, up to 15 s', () => {
  assert.deepEqual(
    [0, 1, 2, 10].map((failures) => backoff(failures, 1)),
    [500, 1000, 2000, 15_000],
  )
  assert.equal(backoff(0, 0), 250)
})
