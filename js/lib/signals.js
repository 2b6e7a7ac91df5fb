import { isMainThread } from 'node:worker_threads'

const kSignals = ['SIGTERM', 'SIGINT']
const servers = new Set()

// `kill` of a process and then of its group, as timeout(1) does, is one request that arrives twice.
const kSameRequest = 1000
let askedAt

// A process that listens for a signal itself decides what it does.
async function shutDown(signal) {
  if (process.listenerCount(signal) > 1) return
  if (askedAt !== undefined) {
    if (performance.now() - askedAt < kSameRequest) return
    for (const name of kSignals) process.off(name, shutDown)
    process.kill(process.pid, signal)
    return
  }
  askedAt = performance.now()
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
  if (servers.delete(server) && servers.size === 0 && askedAt === undefined) for (const name of kSignals) process.off(name, shutDown)
}
