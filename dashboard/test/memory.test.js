// An hour of events in seconds.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defer, isLive, launch, open, until } from './browser.js'
import { Mock, someCheckpoints, someModels } from './mock.js'
import { measure } from './measure.js'

const kPoints = 600

test('an hour of events leaves no memory, nodes or listeners behind', async (t) => {
  const browser = await launch()
  defer(t, () => browser.close())
  const mock = await new Mock({ points: 1, models: someModels, checkpoints: someCheckpoints(1_763_900_000) }).start()
  defer(t, () => mock.stop())
  const page = await open(t, browser, mock.url, { viewport: { width: 1000, height: 420 } })
  await isLive(page)
  let sent = 0
  const send = async (events) => {
    for (const end = sent + events; sent < end; ++sent) {
      if (mock.points >= kPoints) mock.merge()
      else mock.advance()
      // As fast as the page draws, and not faster, as there would be nothing to measure in a queue.
      if (sent % 20 === 0)
        await until(
          page,
          (time) => document.querySelector('#summary').textContent.includes(time),
          `${mock.version.toLocaleString('en')} updates`,
        )
    }
  }
  const session = await page.context().newCDPSession(page)
  await send(900)
  const before = await measure(session)
  await send(2700)
  const after = await measure(session)
  assert.ok(after.heap - before.heap < 300_000, `the heap grew from ${before.heap} to ${after.heap} bytes`)
  assert.ok(after.nodes <= before.nodes + 20, `nodes: ${before.nodes} to ${after.nodes}`)
  assert.ok(after.listeners <= before.listeners + 5, `listeners: ${before.listeners} to ${after.listeners}`)
})
