import { createRequire } from 'node:module'

/** The C++ core. Tensors cross as handles: see memory.js for who frees them. */
export const native = createRequire(import.meta.url)(process.env.SHUMAI_ADDON ?? '../build/shumai.node')

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
