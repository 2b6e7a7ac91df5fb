// screenshot.js FILE.png [SECONDS]: the dashboard of a server that two clients have trained on digits for SECONDS (90),
// half in light and half in dark.
import { setTimeout as wait } from 'node:timers/promises'
import { writeFileSync } from 'node:fs'
import { defer, isLive, launch, open } from './browser.js'
import { trainDigits } from './digits.js'

const kWidth = 1280
const kHeight = 880
const kSecondsOfTraining = Number(process.argv[3] ?? 90)

/** Left of a slanted line the one picture, right of it the other; both as PNG. */
async function halves(browser, left, right) {
  const page = await browser.newPage({ viewport: { width: kWidth, height: kHeight } })
  const [first, second] = [left, right].map((png) => `url(data:image/png;base64,${png.toString('base64')})`)
  await page.setContent(`<style>body{margin:0}div{position:absolute;inset:0}</style>
    <div style='background:${first}'></div><div style='background:${second};clip-path:polygon(56% 0,100% 0,100% 100%,44% 100%)'></div>`)
  return page.screenshot()
}

async function main(t, file) {
  const { url } = await trainDigits(t, { pace: 40, trainers: 2 })
  const browser = await launch()
  defer(t, () => browser.close())
  const page = await open(t, browser, url, { viewport: { width: kWidth, height: kHeight }, colorScheme: 'light' })
  await isLive(page)
  await page.getByLabel('Logarithmic loss').click()
  await wait(kSecondsOfTraining * 1000)
  const light = await page.screenshot()
  await page.emulateMedia({ colorScheme: 'dark' })
  const dark = await page.screenshot()
  writeFileSync(file, await halves(browser, light, dark))
}

const ends = []
await main({ after: (end) => ends.push(end) }, process.argv[2]).finally(async () => {
  for (const end of ends) await end()
})
