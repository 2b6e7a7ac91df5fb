import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

function loadAddon() {
  const file = resolve(process.env.SHUMAI_ADDON ?? fileURLToPath(new URL('../build/shumai.node', import.meta.url)))
  if (!existsSync(file)) throw new Error(`no addon at ${file}: run ./dev build in Shumai's repository first`)
  return createRequire(import.meta.url)(file)
}

/** The C++ core. Tensors cross as handles: see memory.js for who frees them. */
export const native = loadAddon()

/** What every failure of the library throws; `code` and `status` survive the network. */
export class ShumaiError extends Error {
  constructor(message, code = 'invalid_argument', status = 400) {
    super(message)
    this.name = 'ShumaiError'
    this.code = code
    this.status = status
  }
}
native.setErrorClass(ShumaiError)
