// The promises that the library gave to the handler that is running now.
let started = null

/** Remembers a promise of the library's own work; returns it. */
export function note(promise) {
  started?.push(promise)
  return promise
}

/** [what `fn` returned, the promises noted while it ran, until its first await]. */
export function collect(fn) {
  const outer = started
  const mine = []
  started = mine
  try {
    return [fn(), mine]
  } finally {
    started = outer
  }
}
