import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ago, bytes, clock, compact, count, duration, moment, number, plural, rate, seconds } from '../src/format.js'

const check = (format, cases) => {
  for (const [value, text] of cases) assert.equal(format(value), text, `of ${value}`)
}

test('numbers keep four digits, and very small and large ones an exponent', () => {
  check(number, [
    [0, '0'],
    [0.0123456, '0.01235'],
    [2.302585, '2.303'],
    [1234.56, '1234.6'],
    [1.2342e-7, '1.234e-7'],
    [3e6, '3e6'],
    [-0.5, '-0.5'],
  ])
})

test('what is not known is a dash', () => {
  for (const format of [number, count, rate, seconds, duration, bytes])
    check(format, [
      [undefined, '–'],
      [null, '–'],
      [NaN, '–'],
      [Infinity, '–'],
    ])
})

test('counts have separators, and are shortened from ten millions on', () => {
  check(count, [
    [0, '0'],
    [1234, '1,234'],
    [9_999_999, '9,999,999'],
    [12_345_678, '12.3M'],
  ])
  check(compact, [
    [950, '950'],
    [1500, '1.5k'],
  ])
})

test('rates are per second', () =>
  check(rate, [
    [0, '0/s'],
    [0.123, '0.12/s'],
    [41.26, '41.3/s'],
    [1234.5, '1,235/s'],
  ]))

test('times have the unit that fits', () => {
  check(seconds, [
    [0, '0 s'],
    [12.34e-6, '12.3 µs'],
    [0.00426, '4.26 ms'],
    [3.456, '3.46 s'],
    [125, '2 min 5 s'],
  ])
  check(duration, [
    [59.9, '59 s'],
    [3600, '1 h 0 min'],
    [90_000, '1 d 1 h'],
  ])
  check(ago, [
    [0.2, 'just now'],
    [65, '1 min 5 s ago'],
  ])
})

test('bytes are counted in powers of 1024', () =>
  check(bytes, [
    [0, '0 B'],
    [1023, '1023 B'],
    [40_960, '40 KiB'],
    [5.4 * 2 ** 20, '5.4 MiB'],
    [3 * 2 ** 40, '3 TiB'],
  ]))

test('a moment of another day has its date', () => {
  const noon = new Date(2026, 2, 5, 12, 3, 4).getTime() / 1000
  assert.equal(clock(noon), '12:03:04')
  assert.equal(clock(noon, 60), '12:03')
  assert.equal(clock(noon, 86_400), '5 Mar')
  assert.equal(moment(noon, noon + 60), '12:03:04')
  assert.equal(moment(noon, noon + 86_400), '5 Mar 12:03:04')
})

test('one is singular', () => {
  assert.equal(plural(1, 'update'), '1 update')
  assert.equal(plural(0, 'update'), '0 updates')
})
