// What the program `shumai` does with a file that exports a model: see docs/program.md.
import { decodeReadable, encodeReadable } from './encode.js'
import { serve_model } from './server.js'
import { noGrad } from './tensor.js'
import { ShumaiError } from './native.js'
import { createInterface } from 'node:readline'

function exported(module, command, names) {
  for (const name of names) {
    const what = name === 'default' ? 'a model as its default' : name
    if (typeof module[name] !== 'function') throw new ShumaiError(`${process.argv[1]} must export ${what}, a function`)
  }
}

/** Calls `each` with every line that isn't empty; one that fails is named and counted. */
async function eachLine(command, each) {
  let number = 0
  let failures = 0
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    ++number
    if (line.trim() === '') continue
    try {
      await each(line)
    } catch (error) {
      ++failures
      console.error(`shumai: ${command}: line ${number}: ${error?.message ?? error}`)
    }
  }
  return failures
}

const commands = {
  serve(module) {
    const server = serve_model(module.default, module.backward, module.options)
    console.log(`serving ${process.argv[1]} at ${server.url}`)
  },

  async infer(module) {
    exported(module, 'infer', ['default'])
    const failures = await eachLine('infer', async (line) => {
      const input = decodeReadable(line)
      const output = await noGrad(() => module.default(input))
      process.stdout.write(`${encodeReadable(output)}\n`)
    })
    if (failures > 0 && !process.env.SHUMAI_KEEP_GOING) process.exitCode = 1
  },

  /** On lines "x | y": the original's, where `loss` gets the reference first. */
  async train(module) {
    exported(module, 'train', ['default', 'loss', 'backward'])
    let last
    const failures = await eachLine('train', async (line) => {
      const [x, y, ...more] = line.split('|')
      if (y === undefined || more.length > 0) throw new ShumaiError('expected "x | y"')
      const [input, reference] = [decodeReadable(x), decodeReadable(y)]
      const loss = module.loss(reference, await module.default(input))
      await module.backward(await loss.backward())
      last = loss.toFloat32()
    })
    if (last !== undefined) console.log(`loss ${last}`)
    if (failures > 0) process.exitCode = 1
  },
}

async function guarded(name, module) {
  try {
    await commands[name](module)
  } catch (error) {
    console.error(`shumai: ${name}: ${error?.message ?? error}`)
    process.exitCode = 1
  }
}

// The program finds the package by this, whatever name it was imported by.
globalThis[Symbol.for('shumai.commands')] = Object.fromEntries(Object.keys(commands).map((name) => [name, (module) => guarded(name, module)]))
