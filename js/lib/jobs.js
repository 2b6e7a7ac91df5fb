import { spawn } from 'node:child_process'
import { ShumaiError } from './native.js'

// Runs "$@" beside a guard in the same process group. The guard holds one end
// of a pipe whose other end is the runner's: when the runner is gone, killed
// even, the pipe ends and the guard ends the group.
const kGuarded = '(exec >/dev/null 2>&1; read -r _ <&3; kill -KILL 0) & exec 3<&-; exec "$@"'

/** The first bytes of a stream, or the last ones, as text. */
class Kept {
  #parts = []
  #bytes = 0
  dropped = 0
  constructor(stream, most, last) {
    stream?.on('data', (part) => (last ? this.#keepLast(part, most) : this.#keepFirst(part, most)))
  }
  #keepFirst(part, most) {
    const room = Math.max(most - this.#bytes, 0)
    this.dropped += Math.max(part.length - room, 0)
    this.#parts.push(part.subarray(0, room))
    this.#bytes += Math.min(part.length, room)
  }
  #keepLast(part, most) {
    this.#parts.push(part)
    this.#bytes += part.length
    while (this.#bytes - this.#parts[0].length >= most) {
      this.dropped += this.#parts[0].length
      this.#bytes -= this.#parts.shift().length
    }
  }
  text() {
    return Buffer.concat(this.#parts).toString()
  }
}

/** A program in a process group of its own, which ends with the program, with stop(), or with this process. */
export class Job {
  #child
  #stopped = false

  constructor(command, { cwd, env, maxOutput, keepLast = false, input, extra = 0 }) {
    const stdio = [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', 'pipe', ...Array(extra).fill('pipe')]
    this.#child = spawn('/bin/sh', ['-c', kGuarded, 'shumai-runner', ...command], { cwd, env, detached: true, stdio })
    this.stdout = new Kept(this.#child.stdout, maxOutput, keepLast)
    this.stderr = new Kept(this.#child.stderr, maxOutput, keepLast)
    this.extra = this.#child.stdio[4]
    for (const stream of this.#child.stdio) stream?.on('error', () => {})
    // What it left running would keep its streams open.
    this.#child.once('exit', () => this.stop())
    /** {status, signal} once the program and its streams have ended. */
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', (error) => reject(new ShumaiError(`runner: can't start a process: ${error.message}`, 'internal', 500)))
      this.#child.once('close', (status, signal) => resolve({ status, signal }))
    })
    this.ended.catch(() => {})
    if (input !== undefined) this.#child.stdin?.end(input)
  }

  get pid() {
    return this.#child.pid
  }

  /** Ends the group. The guard is in it, so its number can't be another's by now. */
  stop() {
    if (this.#stopped || this.pid === undefined) return
    this.#stopped = true
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      // It is gone.
    }
  }
}
