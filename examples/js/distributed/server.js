// What the three servers of this example share: their options, how far they go
// along a gradient, and their last words. Start one with --port 0 to have it
// choose a port and print the URL.
import { parseArgs } from 'node:util'
import * as sm from '@shumai/shumai'

// Several clients train at once, so a gradient may come from weights that
// others have moved since: small steps keep that stable.
/** @param {sm.Differentiated} gradients */
export const descend = (gradients) => sm.optim.sgd(gradients, 0.02)

/**
 * The arguments without a name, and the port.
 * @param {number} fallback
 */
export function readArguments(fallback) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { port: { type: 'string' } } })
  return { urls: positionals, port: Number(values.port ?? fallback) }
}

/** @param {sm.io.Server} server */
export function announce(server) {
  console.log(`serving on ${server.url}`)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.stop())
}
