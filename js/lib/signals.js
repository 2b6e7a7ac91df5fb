import { isMainThread } from 'node:worker_threads'

const kSignals = ['SIGTERM', 'SIGINT']
const servers = new Set()

// A process that listens for a signal itself decides what it does.
async function shutDown(signal) {
  if (process.listenerCount(signal) > 1) return
  for (const name of kSignals) process.off(name, shutDown)  // so that a second one ends it at once
  await Promise.allSettled([...servers].map((server) => server.stop()))
  process.exit(0)
}

/** From now on SIGTERM and SIGINT stop the server, and then end the process. Workers get no signals. */
export function stopAtSignals(server) {
  if (!isMainThread) return
  if (servers.size === 0) for (const name of kSignals) process.on(name, shutDown)
  servers.add(server)
}

export function ignoreSignals(server) {
  if (servers.delete(server) && servers.size === 0) for (const name of kSignals) process.off(name, shutDown)
}
