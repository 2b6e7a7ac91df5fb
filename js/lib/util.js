import { spawn } from 'node:child_process'
import { kindOf } from './kinds.js'
import { native } from './native.js'

export { Float16Array } from './elements.js'
export { readlines, readlinesCallback } from './io.js'
export * from './encode.js'
export { memoryOptions, tidy, tidyExclude } from './memory.js'

/** range(end), range(start, end) or range(start, end, step). */
export function* range(start, end = null, step = 1) {
  if (end === null) [start, end] = [0, start]
  if (step === 0) throw new RangeError('range: step can\'t be 0')
  for (let i = start; step > 0 ? i < end : i > end; i += step) yield i
}

/** Shuffles an array in place and returns it. */
export function shuffle(array) {
  for (let left = array.length; left > 1; ) {
    const other = Math.floor(Math.random() * left--)
    ;[array[left], array[other]] = [array[other], array[left]]
  }
  return array
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Awaits promises that run at the same time: all(a, b) or all([a, b]). */
export const all = (...promises) => Promise.all(promises.length === 1 && Array.isArray(promises[0]) ? promises[0] : promises)

/** Runs commands, each a program and its arguments with spaces between, at the same time; what each wrote to standard output. */
export const run = (...commands) =>
  Promise.all(
    commands.map(
      (command) =>
        new Promise((resolve, reject) => {
          const [program, ...args] = command.trim().split(/\s+/)
          const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
          let output = ''
          child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
          child.once('error', reject)
          child.once('close', () => resolve(output))
        }),
    ),
  )

const kFrames = ['⡆', '⠇', '⠋', '⠙', '⠸', '⢰', '⣠', '⣄']

/** One line with a turning wheel, written over itself. */
export function tuiLoad(text) {
  process.stderr.write(`\r\u001b[2K${kFrames[Math.floor(performance.now() / 100) % kFrames.length]} ${text}`)
}

function span(seconds) {
  if (!Number.isFinite(seconds)) return '?'
  const whole = Math.round(seconds)
  const pad = (value) => String(value).padStart(2, '0')
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`
}

/**
 * Iterates over 0 to n - 1, or over an array, with a progress bar on standard
 * error: rate, time left, and what `callback(i)` returns. Where that is no
 * terminal, a plain line now and then.
 */
export function* viter(lengthOrArray, callback) {
  const items = typeof lengthOrArray === 'number' ? null : lengthOrArray
  const count = items ? items.length : lengthOrArray
  if (!Number.isInteger(count) || count < 0) throw new TypeError(`viter: expected a count or an array, got ${kindOf(lengthOrArray)}`)
  if (callback !== undefined && callback !== null && typeof callback !== 'function')
    throw new TypeError(`viter: expected a function that returns what to show, got ${kindOf(callback)}`)
  const live = process.stderr.isTTY
  const every = live ? 100 : 5000
  const began = performance.now()
  let drawn = live ? -Infinity : began
  const draw = (done) => {
    const rate = (done / Math.max(performance.now() - began, 1e-3)) * 1000
    const note = callback ? ` ${callback(Math.min(done, count - 1)) ?? ''}` : ''
    const facts = `${done}/${count} ${rate.toFixed(rate < 10 ? 2 : 0)}/s ${done < count ? `${span((count - done) / rate)} left` : span(done / rate)}${note}`
    if (!live) return process.stderr.write(`${facts}\n`)
    const width = 20
    const filled = count ? Math.floor((done / count) * width) : width
    process.stderr.write(`\r\u001b[2K${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${facts}`)
  }
  try {
    for (let i = 0; i < count; ++i) {
      yield items ? items[i] : i
      const now = performance.now()
      if (now - drawn < every || i + 1 === count) continue
      drawn = now
      draw(i + 1)
    }
    draw(count)
  } finally {
    if (live) process.stderr.write('\n')
  }
}

/** Tensors and bytes that JavaScript objects hold now. */
export const held = () => native.held()
