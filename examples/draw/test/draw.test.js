// The page in Chromium, with a network that is trained for it here.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { poll, Program } from '../../../js/test/common.js'
import { again, digits, draw, madeUp, trembles } from './hand.js'

// The dashboard's tests have them too.
const require = createRequire(new URL('../../../dashboard/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const axe = require('axe-core')
const screenshots = process.env.SHUMAI_SCREENSHOTS
const kSeed = Number(process.env.DRAW_SEED ?? 1)
const kSecret = 'known-to-the-test-only'

let browser
let trained // a folder, which has a trained network after the first test
let meaning // what the sign is taught to be
before(async () => {
  trained = mkdtempSync(path.join(tmpdir(), 'shumai-draw-'))
  const args = process.getuid() === 0 ? ['--no-sandbox'] : []
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args })
})
after(async () => {
  await browser?.close()
  rmSync(trained, { recursive: true, force: true })
})

/** Starts the example; its network is trained when the folder is new. */
async function start(t, directory, ...args) {
  const script = fileURLToPath(new URL('../server.js', import.meta.url))
  const program = new Program(t, process.execPath, [script, '--port', '0', '--model-port', '0', '--directory', directory, '--seed', String(kSeed), '--steps', '800', ...args])
  const [, url] = await program.find(/^serving on (\S+)/m)
  const [, model] = /dashboard are at ([^;]+);/.exec(program.output)
  return { program, url, model }
}

/** What the page says, as a person at it sees it. */
class Visitor {
  constructor(page, tremble) {
    this.page = page
    this.tremble = tremble
  }

  static async open(t, url, options = {}) {
    const context = await browser.newContext(options)
    t.after(() => context.close())
    const page = await context.newPage()
    const problems = []
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto(url)
    await page.locator('#digits button').last().waitFor()
    t.after(() => assert.deepEqual(problems, []))
    return new Visitor(page, trembles(kSeed))
  }

  text = (selector) => this.page.locator(selector).innerText()

  /** Draws, and waits until the network has answered to the last stroke. */
  async draw(strokes) {
    await this.page.keyboard.press('Escape')
    await draw(this.page, '#paper', again(strokes, this.tremble))
    await this.settled()
    return Number(/^It reads (\d)/.exec(await this.text('#verdict'))[1])
  }

  /** The page asks until what it shows is of what is drawn. */
  settled = () => this.page.waitForFunction(() => document.body.dataset.state === 'shown')

  async correct(digit, how) {
    await this.page.evaluate(() => (document.getElementById('told').textContent = ''))
    await how(digit)
    const count = await poll(async () => /so far: (\d+)/.exec(await this.text('#told'))?.[1], 'the end of a correction')
    await this.settled()
    return count
  }

  byButton = (digit) => this.page.locator('#digits').getByRole('button', { name: String(digit) }).click()
  byKey = (digit) => this.page.keyboard.press(String(digit))

  /** What an audit of accessibility finds. */
  async barriers() {
    await this.page.evaluate(axe.source)
    const { violations } = await this.page.evaluate(() => globalThis.axe.run())
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
  }

  async keep(name) {
    if (!screenshots) return
    mkdirSync(screenshots, { recursive: true })
    await this.page.screenshot({ path: path.join(screenshots, `${name}.png`), fullPage: true })
  }
}

test('a drawn digit is read, and a sign is learned by ten corrections', async (t) => {
  const { program, url, model } = await start(t, trained)
  assert.match(program.output, /^trained: 9\d\.\d% .* after \d+ steps/m)
  const visitor = await Visitor.open(t, url)

  const read = []
  for (const strokes of digits) read.push(await visitor.draw(strokes))
  const right = read.filter((answer, digit) => answer === digit).length
  t.diagnostic(`${right} of 10 drawn digits are read right: ${read}`)
  assert.ok(right >= 9, `0 to 9 were read as ${read}`)
  assert.equal(await visitor.draw(digits[3]), 3)
  await visitor.keep('draw-a-three')
  assert.deepEqual(await visitor.barriers(), [])

  meaning = (await visitor.draw(madeUp)) === 7 ? 2 : 7
  for (let i = 0; i < 10; ++i) {
    await visitor.draw(madeUp)
    assert.equal(await visitor.correct(meaning, i % 2 ? visitor.byKey : visitor.byButton), String(i + 1))
    assert.match(await visitor.text('#verdict'), new RegExp(`^It reads ${meaning}`), await visitor.text('#told'))
  }
  await visitor.keep('draw-a-correction')
  for (let i = 0; i < 5; ++i) assert.equal(await visitor.draw(madeUp), meaning)
  for (let i = 0; i < 3; ++i) assert.equal(await visitor.draw(digits[3]), 3)
  await visitor.keep('draw-learned')

  const { loss } = await (await fetch(`${model}/statistics`)).json()
  assert.ok(loss.reports > 0 && loss.last < 2, JSON.stringify(loss))

  program.child.kill('SIGTERM')
  assert.match(await program.succeed(), /^draw: [1-9]\d* gradient steps of corrections are in the network$/m)
})

test('a network that was taught knows it after a restart, and a token keeps others out', async (t) => {
  const { program, url } = await start(t, trained, '--token', kSecret)
  assert.doesNotMatch(program.output, /trained/)
  const visitor = await Visitor.open(t, url, { colorScheme: 'dark', viewport: { width: 360, height: 740 }, hasTouch: true })
  await draw(visitor.page, '#paper', again(madeUp, visitor.tremble))
  await visitor.page.locator('#access').waitFor()
  await visitor.page.locator('#token').fill('not-known-to-the-test')
  await visitor.page.keyboard.press('Enter')
  await visitor.page.locator('#access').waitFor()
  assert.deepEqual(await visitor.barriers(), [])
  await visitor.page.locator('#token').fill(kSecret)
  await visitor.page.keyboard.press('Enter')
  await visitor.settled()
  assert.match(await visitor.text('#verdict'), new RegExp(`^It reads ${meaning}`))
  assert.equal(await visitor.draw(madeUp), meaning)
  assert.equal(await visitor.draw(digits[3]), 3)
  await visitor.correct(3, visitor.byKey)
  await visitor.keep('draw-on-a-phone-in-the-dark')
  const wide = await visitor.page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
  assert.equal(wide, false, 'the page is wider than a phone')
})

test('a page whose model is gone says so', async (t) => {
  const { program, url } = await start(t, trained)
  const visitor = await Visitor.open(t, url)
  program.child.kill('SIGTERM')
  await program.succeed()
  await draw(visitor.page, '#paper', again(digits[1], visitor.tremble))
  await poll(async () => /can't be reached/.test(await visitor.text('#problem')), 'the message')
})

test('fine-tuning from the checkpoint of the page learns signs within a few steps', async (t) => {
  const script = fileURLToPath(new URL('../../finetune/finetune.js', import.meta.url))
  const output = await new Program(t, process.execPath, [script, '--directory', trained, '--seed', String(kSeed), '--steps', '40']).succeed()
  assert.doesNotMatch(output, /trained:/)
  const [, before, after] = /^finetune: (\d+)% -> (\d+)%/m.exec(output).map(Number)
  assert.ok(before < 60 && after >= 80, output)
})
