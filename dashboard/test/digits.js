// A served network that learns digits: what the dashboard is looked at with.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startServer } from '../../js/test/apps.js'
import { Program, temporaryFolder } from '../../js/test/common.js'
import { deferring } from './browser.js'

export const bin = process.env.SHUMAI_BIN_DIR ?? fileURLToPath(new URL('../../build/test/bin', import.meta.url))

const model = {
  layers: [
    { layer: 'Conv2d', inputs: 1, outputs: 4, kernel: 5, stride: 2, padding: 2 },
    'relu',
    { layer: 'MaxPool2d', kernel: 2 },
    'Flatten',
    { layer: 'Linear', inputs: 196, outputs: 10 },
  ],
}

/**
 * {server, trainers, url}: processes that end with `t`; a checkpoint is written twice a second. What a server remembers of
 * finished tickets is little, so that memory which grows is somebody else's.
 */
export async function trainDigits(test, { token, pace, trainers = 1 } = {}) {
  const t = deferring(test)
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'model.json')
  writeFileSync(file, JSON.stringify(model))
  const env = { SHUMAI_TOKEN: token }
  const feed = await startServer(t, `${bin}/digits_feed`, ['--port', '0'])
  const options = [
    '--port',
    '0',
    '--seed',
    '1',
    '--lr',
    '0.003',
    '--interval',
    '0.5',
    '--keep',
    '20',
    '--limit',
    'max_finished_tickets=500',
  ]
  const server = new Program(
    t,
    `${bin}/shumai`,
    ['serve', file, '--checkpoint', path.join(folder, 'weights'), ...options],
    { env },
  )
  const [, url] = await server.find(/^serving .* at (\S+)$/m)
  const script = fileURLToPath(new URL('trainer.js', import.meta.url))
  const train = () =>
    new Program(t, process.execPath, [script, url, feed.url, ...(pace ? [String(pace)] : [])], { env })
  return { server, trainers: Array.from({ length: trainers }, train), url: `${url}/` }
}
