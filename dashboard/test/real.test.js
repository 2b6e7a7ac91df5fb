// The page that a server answers, over servers that learn.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { freePort, makeApp, startServer } from '../../js/test/apps.js'
import { poll, Program, temporaryFolder } from '../../js/test/common.js'
import { assertAccessible, deferring, isLive, keepPicture, launch, open, until } from './browser.js'
import { trainDigits } from './digits.js'

let browser
before(async () => (browser = await launch()))
after(() => browser.close())

const kToken = 'the-secret-of-the-dashboard-test'
const kRefused = /status of (401|502)/

const aboveStep = (page, step) =>
  until(
    page,
    (least) =>
      Number(
        document
          .querySelector('#summary')
          .textContent.match(/step ([\d,]+)/)?.[1]
          .replaceAll(',', ''),
      ) > least,
    step,
  )

async function enter(page) {
  await page.getByLabel('Token', { exact: true }).fill(kToken)
  await page.keyboard.press('Enter')
}

async function rollBackToOldest(page) {
  const button = page.getByRole('button', { name: /^Roll back to version/ }).last()
  const version = Number((await button.getAttribute('aria-label')).match(/\d+$/)[0])
  await button.click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText(/updates will be lost/).waitFor()
  await dialog.getByRole('button', { name: 'Roll back' }).click()
  await page.getByText(`Rolled back to version ${version.toLocaleString('en')}.`).waitFor()
  return version
}

for (const token of [undefined, kToken]) {
  const how = token ? 'with' : 'without'
  test(`digits are learned before one's eyes, and rolled back, ${how} a token`, async (t) => {
    const { url, trainers } = await trainDigits(t, { token, pace: 100 })
    const page = await open(t, browser, url, { expected: [kRefused] })
    if (token) await enter(page)
    await isLive(page)
    await aboveStep(page, 20)
    await page.locator('figure', { hasText: 'Gradient norm' }).locator('canvas').waitFor()
    const loss = () => Number(document.querySelector('#summary dd').textContent)
    const first = await page.evaluate(loss)
    await until(page, (worse) => Number(document.querySelector('#summary dd').textContent) < worse / 2, first)
    await page.locator('figure', { hasText: 'Loss' }).locator('canvas').first().waitFor()
    await page
      .getByRole('button', { name: /^Roll back/ })
      .nth(1)
      .waitFor()
    await assertAccessible(page, 'of a server that learns')
    await keepPicture(page, `digits-${how}-token`)

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page
        .getByRole('button', { name: /^Download checkpoint/ })
        .first()
        .click(),
    ])
    const file = await readFile(await download.path())
    const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE())))
    assert.deepEqual(header['4.weight'].shape, [10, 196])

    await rollBackToOldest(page)
    const headers = token ? { authorization: `Bearer ${token}` } : {}
    const { weights, loss: reported } = await (await fetch(new URL('statistics', url), { headers })).json()
    assert.equal(weights.restored, 1)
    await aboveStep(page, reported.step + 5)
    assert.ok(trainers[0].running, trainers[0].output)
    assert.equal(page.url(), url)
    await keepPicture(page, `rolled-back-${how}-token`)
  })
}

test('nginx may have the page under a path, with its events and roll-backs', async (t) => {
  const owner = deferring(t)
  const { url: model } = await trainDigits(t, { pace: 50 })
  const folder = temporaryFolder(owner)
  const port = await freePort()
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  writeFileSync(
    `${folder}/nginx.conf`,
    `daemon off; master_process off; pid ${folder}/pid; events {} http { access_log off; ${scratch} server { listen 127.0.0.1:${port};
      location /models/a/ { proxy_pass ${model}; proxy_set_header Host $http_host; } } }`,
  )
  const url = `http://127.0.0.1:${port}/models/a/`
  const gateway = new Program(owner, '/usr/sbin/nginx', ['-e', 'stderr', '-c', `${folder}/nginx.conf`])
  await poll(() => {
    if (!gateway.running) throw new Error(gateway.output)
    return fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
  }, 'nginx')
  const page = await open(t, browser, url)
  await isLive(page)
  await aboveStep(page, 20)
  await page
    .getByRole('button', { name: /^Roll back/ })
    .nth(1)
    .waitFor()
  await rollBackToOldest(page)
})

test('the models behind a composed server are followed, and missed when they go', async (t) => {
  const owner = deferring(t)
  const app = makeApp(owner)
  const start = (name, args) =>
    startServer(owner, process.execPath, [`${app}/distributed/${name}.js`, ...args, '--port', '0'], { cwd: app })
  const [a, b] = await Promise.all([start('model_a', []), start('model_b', [])])
  const composed = await start('composed', [a.url, b.url])
  const data = new Program(
    owner,
    process.execPath,
    [`${app}/distributed/data.js`, composed.url, '--steps', '1000000'],
    { cwd: app },
  )
  const page = await open(t, browser, `${composed.url}/`, { expected: [kRefused] })
  await isLive(page)
  const states = page.locator('#tree .condition')
  await until(page, () => document.querySelectorAll('#tree [data-state=up]').length === 2)
  await keepPicture(page, 'composed')
  await page.locator('#tree').getByRole('link').first().click()
  await page
    .locator('#breadcrumb')
    .getByText(/^Model 0, /)
    .waitFor()
  await isLive(page)
  const version = () => Number(document.querySelectorAll('#summary dd:not(.note)')[1].textContent.replaceAll(',', ''))
  const before = await page.evaluate(version)
  await until(
    page,
    (least) => Number(document.querySelectorAll('#summary dd:not(.note)')[1].textContent.replaceAll(',', '')) > least,
    before,
  )
  await page.getByText("A model's checkpoints are on the dashboard of its own server").waitFor()
  await assertAccessible(page, 'of a model that is followed')
  await keepPicture(page, 'composed-model-0')

  await page.getByRole('link', { name: 'This server' }).click()
  await states.first().waitFor()
  data.child.kill('SIGKILL')
  b.program.child.kill('SIGKILL')
  await page.locator('#tree [data-state=down]').waitFor()
  await page.getByText(/Model 1 \(.*\) is down\./).waitFor()
  await keepPicture(page, 'composed-down')
  await page.goto(`${composed.url}/#model=1`)
  await page.getByText(/Model 1 can't be followed: /).waitFor()
})
