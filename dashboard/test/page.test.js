// The page against a server that does as it is told.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { poll } from '../../js/test/common.js'
import { assertAccessible, defer, isLive, keepPicture, launch, open, until } from './browser.js'
import { Mock, someCheckpoints, someModels } from './mock.js'

let browser
before(async () => (browser = await launch()))
after(() => browser.close())

const kRefused = /status of (401|403|409|502|503)/
const kLost = /ERR_(INCOMPLETE_CHUNKED_ENCODING|CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE)/

async function mocked(t, options) {
  const mock = await new Mock({ points: 60, ...options }).start()
  defer(t, () => mock.stop())
  return mock
}

const readout = (page, title) => page.locator('figure', { hasText: title }).locator('.readout')
const picture = (page) =>
  page
    .locator('figure canvas')
    .first()
    .evaluate((canvas) => canvas.toDataURL())
const everything = () => ({ checkpoints: someCheckpoints(1_763_900_060), models: someModels })
const summary = (page, term) => page.locator('#summary div', { hasText: term }).locator('dd').first()

test('curves, summary and routes move with each event', async (t) => {
  const mock = await mocked(t)
  const page = await open(t, browser, mock.url)
  await isLive(page)
  const before = [await readout(page, 'Loss').textContent(), await picture(page)]
  assert.equal(await summary(page, 'Version').textContent(), '2,460')
  mock.advance()
  await until(page, () => document.querySelector('#summary').textContent.includes('2,501'))
  assert.notEqual(await readout(page, 'Loss').textContent(), before[0])
  assert.notEqual(await picture(page), before[1])
  assert.equal(
    await page.getByRole('row', { name: /^optimize/ }).textContent(),
    'optimize2,50141/s03.8 ms7.1 ms12.3 ms',
  )
})

test('points that the server merged replace those before', async (t) => {
  const mock = await mocked(t, { points: 600 })
  const page = await open(t, browser, mock.url)
  await isLive(page)
  const points = () => Number(document.querySelector('[aria-label="Loss, moment"]').getAttribute('aria-valuemax'))
  assert.equal(await page.evaluate(points), 599)
  mock.merge()
  await until(
    page,
    () => Number(document.querySelector('[aria-label="Loss, moment"]').getAttribute('aria-valuemax')) === 299,
  )
})

test('curves without data say how to get it', async (t) => {
  const mock = await mocked(t, { empty: true })
  const page = await open(t, browser, mock.url)
  await isLive(page)
  const loss = page.locator('figure', { hasText: 'Loss' }).first()
  assert.match(await loss.textContent(), /remote_model\(url, \{ reportLoss: true \}\)/)
  assert.match(await loss.textContent(), /'Shumai-Loss': loss, 'Shumai-Step': step/)
  assert.equal(await loss.locator('canvas').count(), 0)
  await assertAccessible(page, 'without data')
})

test('a token is asked for, kept out of the URL, sent along, and forgotten', async (t) => {
  const mock = await mocked(t, { token: 'a-secret-of-the-team' })
  const page = await open(t, browser, mock.url, { expected: [kRefused] })
  const field = page.getByLabel('Token', { exact: true })
  await field.waitFor()
  assert.equal(await field.getAttribute('type'), 'password')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'token')
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await assertAccessible(page, `the form, ${colorScheme}`)
  }
  await keepPicture(page, 'mock-token')
  await field.fill('wrong')
  await page.keyboard.press('Enter')
  await page.getByText("The server doesn't know this token").waitFor()
  await field.fill('a-secret-of-the-team')
  await page.keyboard.press('Enter')
  await isLive(page)
  assert.equal(await field.isVisible(), false)
  assert.equal(page.url(), mock.url)
  await page.reload()
  await isLive(page)
  await page.getByRole('button', { name: 'Forget the token' }).click()
  await field.waitFor()
  assert.equal(await page.evaluate(() => sessionStorage.length), 0)
})

test('a token that is taken back is asked for again', async (t) => {
  const mock = await mocked(t, { token: 'a-secret-of-the-team' })
  const page = await open(t, browser, mock.url, { expected: [kRefused] })
  await page.getByLabel('Token', { exact: true }).fill('a-secret-of-the-team')
  await page.keyboard.press('Enter')
  await isLive(page)
  mock.token = 'another-secret-by-now'
  mock.drop()
  await page.getByText("The server doesn't know this token").waitFor()
  assert.equal(await page.locator('#summary').isVisible(), false, 'what it showed is hidden')
})

test("a token that isn't for statistics is told so, and another may be entered", async (t) => {
  const mock = await mocked(t, { token: 'a-secret-of-the-team', scoped: 'the-phone-of-the-team' })
  const page = await open(t, browser, mock.url, { expected: [kRefused] })
  await page.getByLabel('Token', { exact: true }).fill('the-phone-of-the-team')
  await page.keyboard.press('Enter')
  await page.getByText('This token isn\'t for statistics: the token "phone" isn\'t for "statistics"').waitFor()
  await page.getByLabel('Token', { exact: true }).fill('a-secret-of-the-team')
  await page.keyboard.press('Enter')
  await isLive(page)
})

test('a server that goes is missed, and one that comes back begins its curves anew', async (t) => {
  const mock = await mocked(t)
  const page = await open(t, browser, mock.url, { expected: [kLost] })
  await isLive(page)
  const { port } = mock
  await mock.stop()
  await page.locator('#state[data-kind=lost]').waitFor()
  assert.equal(await page.locator('#state').textContent(), 'Connection lost, trying again')
  assert.ok(await summary(page, 'Version').isVisible(), 'what was known stays')
  await assertAccessible(page, 'connection lost')
  Object.assign(mock, { id: '2abc', points: 5 })
  await mock.start(port)
  await isLive(page)
  await page.getByText('The server was restarted: the curves begin anew.').waitFor()
  assert.equal(await page.locator('[aria-label="Loss, moment"]').getAttribute('aria-valuemax'), '4')
})

test('a server with too many watchers is asked again', async (t) => {
  const mock = await mocked(t, { refuse: [503, '32 pages watch already'] })
  const page = await open(t, browser, mock.url, { expected: [kRefused] })
  await page.getByText('The server answers: 32 pages watch already.').waitFor()
  mock.refuse = undefined
  await isLive(page)
  assert.equal(await page.getByText('32 pages').isVisible(), false)
})

test('models are a tree with what is wrong, and each can be followed and left', async (t) => {
  const mock = await mocked(t, everything())
  const page = await open(t, browser, mock.url)
  await isLive(page)
  assert.equal(
    await page.locator('.message.bad').textContent(),
    'Model 0.0 (127.0.0.1:4003) is down. Model 1 (127.0.0.1:4002) refuses this server.',
  )
  assert.deepEqual(await page.locator('#tree .condition').allTextContents(), ['● up', '▲ down', '■ refused'])
  assert.match(await page.locator('#tree').textContent(), /connect: Connection refused/)
  await page.getByRole('link', { name: '0: 127.0.0.1:4001' }).click()
  await page.getByText('Model 0, 127.0.0.1:4001').waitFor()
  await isLive(page)
  assert.match(page.url(), /#model=0$/)
  await page.getByRole('link', { name: 'http://127.0.0.1:4001' }).waitFor()
  assert.equal(await page.getByRole('button', { name: /Roll back/ }).count(), 0, 'checkpoints of others are theirs')
  await page.getByRole('link', { name: 'This server' }).click()
  await page.locator('#tree').getByText('0.0: 127.0.0.1:4003').waitFor()
  assert.match(page.url(), /#model$/)
})

test('a page that begins with a model finds the names of those above it', async (t) => {
  const mock = await mocked(t, everything())
  const page = await open(t, browser, mock.url, { hash: '#model=0.0' })
  await isLive(page)
  await page.getByText('Model 0.0, 127.0.0.1:4003').waitFor()
  await page.getByRole('link', { name: 'Model 0, 127.0.0.1:4001' }).waitFor()
})

test("a model whose feed can't be had says why, until it can", async (t) => {
  for (const status of [502, 403]) {
    const mock = await mocked(t, { ...everything(), refuseModel: [status, 'connect: Connection refused'] })
    const page = await open(t, browser, mock.url, { hash: '#model=1', expected: [kRefused] })
    await page.getByText("Model 1 can't be followed: connect: Connection refused.").waitFor()
    await page.getByText(status === 403 ? 'Not allowed' : 'No figures, trying again').waitFor()
    assert.equal(
      await page.getByLabel('Token', { exact: true }).isVisible(),
      false,
      'the token of this server is right',
    )
    if (status === 403) continue
    mock.refuseModel = undefined
    await isLive(page)
  }
})

test('rolling back asks first, says what is lost, and tells how it went', async (t) => {
  const mock = await mocked(t, everything())
  const page = await open(t, browser, mock.url, { expected: [kRefused] })
  await isLive(page)
  const open120 = page.getByRole('button', { name: 'Roll back to version 120' })
  const dialog = page.getByRole('dialog')
  await open120.focus()
  await page.keyboard.press('Enter')
  await dialog.waitFor()
  assert.match(await dialog.textContent(), /version 2,460 now, so 2,340 updates will be lost/)
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Cancel')
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await assertAccessible(page, `the dialog, ${colorScheme}`)
    await keepPicture(page, `mock-roll-back-${colorScheme}`)
  }
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
  assert.deepEqual(mock.restored, [])
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Roll back to version 120')

  mock.restoreFails = [409, 'stop the other replicas first']
  await open120.click()
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await dialog.getByText('Not rolled back: stop the other replicas first.').waitFor()
  mock.restoreFails = undefined
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await page.getByText('Rolled back to version 120. The model is at version 2,461 now, with those weights.').waitFor()
  assert.deepEqual(mock.restored, [120])
})

test("checkpoints that can't be restored say why, and those that aren't shown as well", async (t) => {
  const checkpoints = { ...someCheckpoints(1_763_900_060), restorable: false, why: 'stop the other replicas first' }
  const mock = await mocked(t, { checkpoints })
  const page = await open(t, browser, mock.url)
  await page.getByText("They can't be restored now: stop the other replicas first").waitFor()
  assert.equal(await page.getByRole('button', { name: /Roll back/ }).count(), 0)
  assert.equal(await page.getByRole('button', { name: /Download/ }).count(), 3)
  mock.checkpoints = undefined
  mock.statistics = { checkpoint: { version: 1 } }
  mock.advance()
  await page.getByText("This token isn't for the route checkpoints").waitFor()
  mock.statistics = {}
  mock.advance()
  await page.getByText("this server doesn't write any").waitFor()
})

test('a checkpoint is downloaded with the token', async (t) => {
  const mock = await mocked(t, { ...everything(), token: 'a-secret-of-the-team' })
  const page = await open(t, browser, mock.url, { expected: [kRefused] })
  await page.getByLabel('Token', { exact: true }).fill('a-secret-of-the-team')
  await page.keyboard.press('Enter')
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download checkpoint 8200' }).click(),
  ])
  assert.equal(download.suggestedFilename(), 'checkpoint-8200.safetensors')
  assert.equal(await readFile(await download.path(), 'utf8'), 'checkpoint 8200')
})

test('replicas, batches and what a program adds are shown', async (t) => {
  const replicas = {
    id: 'b',
    members: ['a', 'b'],
    forming: 3,
    round: 7,
    averages: 7,
    drift: 0.01,
    bytes_sent: 4096,
    failures: 1,
    failure: 'a left',
    seconds_since_average: 2,
  }
  const mock = await mocked(t, {
    statistics: { replicas, batches: { forward: { mean_size: 3.5 }, backward: { mean_size: 2 } }, epoch: 12 },
  })
  const page = await open(t, browser, mock.url)
  await isLive(page)
  assert.deepEqual(await page.locator('.members li').allTextContents(), ['a', 'b (this one)'])
  assert.match(await page.locator('#replicas').textContent(), /2 membersformed 3 times.*the last 2 s ago.*a left/)
  assert.match(await page.locator('#server').textContent(), /Mean batch3\.5.*epoch12/)
})

test('keys alone reach everything, and read values off the curves', async (t) => {
  const mock = await mocked(t, everything())
  const page = await open(t, browser, mock.url)
  await isLive(page)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'skip')
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main')
  const reached = new Set()
  for (let i = 0; i < 40; ++i) {
    await page.keyboard.press('Tab')
    reached.add(
      await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.id ?? ''),
    )
  }
  for (const name of [
    'span',
    'smooth',
    'log',
    'Loss, moment',
    'Latency, mean, moment',
    'Download checkpoint 9840',
    'Roll back to version 120',
  ])
    assert.ok(reached.has(name), name)

  const loss = page.getByRole('slider', { name: 'Loss, moment' })
  await loss.focus()
  await page.keyboard.press('Home')
  assert.equal(await loss.getAttribute('aria-valuenow'), '0')
  for (let i = 0; i < 3; ++i) await page.keyboard.press('ArrowRight')
  assert.equal(await loss.getAttribute('aria-valuenow'), '3')
  const said = await loss.getAttribute('aria-valuetext')
  assert.match(said, /^\d\d:\d\d:\d\d · raw \S+ · smooth \S+ · step 123$/)
  assert.match(await readout(page, 'Latency').textContent(), new RegExp(`^${said.slice(0, 8)} · `), 'all charts follow')
  mock.advance()
  await until(page, () => document.querySelector('[aria-label="Loss, moment"]').getAttribute('aria-valuemax') === '60')
  assert.equal(await loss.getAttribute('aria-valuenow'), '3', 'the cursor stays at its moment')
  await page.keyboard.press('Escape')
  assert.equal(await loss.getAttribute('aria-valuenow'), '60')
})

test('the mouse reads values off all curves', async (t) => {
  const mock = await mocked(t)
  const page = await open(t, browser, mock.url)
  await isLive(page)
  await page.locator('figure', { hasText: 'Updates' }).locator('.u-over').hover()
  assert.match(await readout(page, 'Updates').textContent(), /^\d\d:\d\d:\d\d · \S+\/s$/)
  assert.match(await readout(page, 'Memory').textContent(), /^\d\d:\d\d:\d\d · process/)
})

test('logarithm, smoothing and span are switched, and remembered', async (t) => {
  const mock = await mocked(t, { points: 200 })
  const page = await open(t, browser, mock.url)
  await isLive(page)
  let last = await picture(page)
  for (const name of ['Logarithmic loss', 'Smooth']) {
    await page.getByLabel(name).click()
    assert.notEqual(await picture(page), last, name)
    last = await picture(page)
  }
  await page.getByRole('combobox', { name: 'Show' }).selectOption('the last minute')
  assert.notEqual(await picture(page), last)
  assert.doesNotMatch(await readout(page, 'Loss').textContent(), /smooth/)
  await page.reload()
  await isLive(page)
  assert.equal(await page.getByLabel('Logarithmic loss').isChecked(), true)
  assert.equal(await page.getByLabel('Smooth').isChecked(), false)
  assert.equal(await page.getByRole('combobox', { name: 'Show' }).inputValue(), '60')
})

test('nothing serious is in the way of anyone, in light and in dark', async (t) => {
  const mock = await mocked(t, everything())
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(t, browser, mock.url, { colorScheme })
    await isLive(page)
    await assertAccessible(page, colorScheme)
    await keepPicture(page, `mock-${colorScheme}`)
  }
})

test('a phone shows all of it without scrolling sideways', async (t) => {
  const routes = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [
      `a_route_with_quite_a_long_name_${i}`,
      { requests: 123_456_789, errors: i, seconds: 1, p50_seconds: 0.0123, p95_seconds: 0.0234, p99_seconds: 12.3 },
    ]),
  )
  const models = [
    { ...someModels[1], url: `http://${'a-long-name.'.repeat(8)}example:65535`, error: `connect: ${'x'.repeat(200)}` },
  ]
  const mock = await mocked(t, { ...everything(), routes, models })
  const page = await open(t, browser, mock.url, {
    viewport: { width: 360, height: 740 },
    hasTouch: true,
    isMobile: true,
  })
  await isLive(page)
  assert.deepEqual(await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]), [360, 360])
  assert.equal(await page.getByRole('row').count(), 31 + 5 + 4, 'tables are tables for those who hear them')
  await keepPicture(page, 'mock-phone')
  await page.getByRole('button', { name: 'Roll back to version 120' }).tap()
  await page.getByRole('dialog').waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360)
  await assertAccessible(page, 'on a phone')
})

test('a tab that is hidden for a minute lets go, and goes on when it is seen', async (t) => {
  const mock = await mocked(t)
  const page = await open(t, browser, mock.url, {
    clock: true,
    init: () => {
      window.seen = true
      Object.defineProperty(document, 'hidden', { get: () => !window.seen })
      window.look = (seen) => {
        window.seen = seen
        document.dispatchEvent(new Event('visibilitychange'))
      }
    },
  })
  await isLive(page)
  await page.evaluate(() => window.look(false))
  const before = await summary(page, 'Version').textContent()
  mock.advance()
  await page.clock.runFor(59_000)
  assert.notEqual(await page.locator('#state').textContent(), 'Paused')
  await page.clock.runFor(2000)
  await page.locator('#state[data-kind=paused]').waitFor()
  await poll(() => mock.watchers === 0, 'the stream to end')
  assert.equal(await summary(page, 'Version').textContent(), before, 'nothing is drawn for nobody')
  await page.evaluate(() => window.look(true))
  await isLive(page)
  await until(page, () => document.querySelector('#summary').textContent.includes('2,501'))
})

test('a gateway may have it under a path of its own', async (t) => {
  const mock = await mocked(t, { base: '/models/a/', ...everything() })
  const page = await open(t, browser, mock.url)
  await isLive(page)
  assert.match(await page.locator('h1').textContent(), /\/models\/a$/)
  await page.getByRole('button', { name: 'Roll back to version 120' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click()
  await page.getByText('Rolled back').waitFor()
  assert.ok(mock.requests.includes('POST /checkpoints/120/restore'))
})

test("what servers are called is text, and a link leads to the web or isn't one", async (t) => {
  const markup = '<img src=x onerror=alert(1)>'
  const models = [{ ...someModels[0], url: 'javascript:alert(1)', error: markup, state: 'down' }]
  const mock = await mocked(t, { routes: { [markup]: { requests: 1, errors: 0 } }, models })
  const page = await open(t, browser, mock.url)
  await page.getByRole('rowheader', { name: markup }).waitFor()
  assert.equal(await page.locator('img').count(), 0)
  await page.goto(`${mock.url}#model=0`)
  await page.getByText("A model's checkpoints are on the dashboard of its own server: javascript:alert(1)").waitFor()
  assert.equal(await page.locator('a[href^="javascript"]').count(), 0)
})
