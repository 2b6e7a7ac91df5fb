// Debian's Chromium for tests: pages that fail a test by what they write to the console or ask of others.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { chromium } from 'playwright-core'

// Generous: a busy machine is slow, and a test that passes never waits this long.
export const patience = 60_000

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const ends = new WeakMap()
/** `end` runs after the test, before what was deferred earlier: pages go before their servers. */
export function defer(t, end) {
  if (!ends.has(t)) {
    const stack = []
    ends.set(t, stack)
    t.after(async () => {
      for (const one of stack.reverse()) await one()
      const wrong = stack.wrong ?? []
      assert.deepEqual(wrong, [], 'pages are quiet, and talk to their servers only')
    })
  }
  ends.get(t).push(end)
  return ends.get(t)
}

/** For those that only know `t.after`. */
export const deferring = (t) => ({ after: (end) => defer(t, end) })

export const launch = () =>
  chromium.launch({
    executablePath: process.env.SHUMAI_CHROMIUM ?? '/usr/bin/chromium',
    chromiumSandbox: process.getuid() !== 0,
    timeout: patience,
    args: ['--enable-precise-memory-info', '--js-flags=--expose-gc'],
  })

/**
 * A page of its own context, closed at the end of the test. The test fails where the page logs an error that is not of
 * `expected` (patterns), throws, or sends a request to any origin but `url`'s. `clock`: its time is the test's.
 */
export async function open(t, browser, url, { expected = [], hash = '', init, clock, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: 'reduce',
    ...options,
  })
  context.setDefaultTimeout(patience)
  if (init) await context.addInitScript(init)
  const page = await context.newPage()
  const wrong = (defer(t, () => context.close()).wrong ??= [])
  page.on('console', (message) => {
    if (message.type() === 'error' && !expected.some((pattern) => pattern.test(message.text())))
      wrong.push(message.text())
  })
  page.on('pageerror', (error) => wrong.push(error.stack))
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (!['data:', 'blob:'].includes(protocol) && origin !== new URL(url).origin)
      wrong.push(`a request to ${request.url()}`)
  })
  if (clock) await page.clock.install()
  await page.goto(url + hash)
  return page
}

/** Waits until `ask(argument)`, in the page, is true. */
export const until = (page, ask, argument) => page.waitForFunction(ask, argument, { timeout: patience, polling: 50 })

export const isLive = (page) => page.locator('#state[data-kind=live]').waitFor()

/** Fails on what axe finds, but for matters of taste. */
export async function assertAccessible(page, what) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => window.axe.run(document))
  const found = violations
    .filter(({ impact }) => impact !== 'minor')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`)
  assert.deepEqual(found, [], `accessible: ${what}`)
}

/** Keeps a picture of all of the page in the folder that SHUMAI_SCREENSHOTS names, if any. */
export async function keepPicture(page, name) {
  const folder = process.env.SHUMAI_SCREENSHOTS
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  const { width, height } = page.viewportSize()
  // What is out of sight isn't drawn.
  await page.setViewportSize({ width, height: await page.evaluate(() => document.documentElement.scrollHeight) })
  await until(page, () => [...document.querySelectorAll('.plot:not([hidden])')].every((plot) => plot.firstChild))
  await page.screenshot({ path: path.join(folder, `${name}.png`) })
  await page.setViewportSize({ width, height })
}
