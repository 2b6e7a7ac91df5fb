// A canvas to draw on, with a mouse, a finger or a pen.

/** @typedef {import('./picture.js').Point} Point */

const kStep = 0.008 // between points, in parts of the canvas
const kSlow = 0.03 // a shorter step is a slow hand's
const kWidth = 0.06 // of a line

export class Pen {
  /** @type {Point[][]} */
  strokes = []
  #canvas
  #changed
  /** The pointer that draws. @type {number | null} */
  #pointer = null

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} changed called after each change of `strokes`
   */
  constructor(canvas, changed) {
    this.#canvas = canvas
    this.#changed = changed
    canvas.addEventListener('pointerdown', (event) => this.#down(event))
    canvas.addEventListener('pointermove', (event) => this.#move(event))
    for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) canvas.addEventListener(end, (event) => this.#up(event))
    new ResizeObserver(() => this.#resize()).observe(canvas)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw())
  }

  clear() {
    this.strokes = []
    this.#pointer = null
    this.#draw()
    this.#changed()
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect()
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height }
  }

  #down(event) {
    if (this.#pointer !== null || event.button !== 0) return
    event.preventDefault()
    this.#pointer = event.pointerId
    this.#canvas.setPointerCapture(event.pointerId)
    this.strokes.push([this.#place(event)])
    this.#draw()
    this.#changed()
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return
    const events = event.getCoalescedEvents?.() ?? []
    for (const each of events.length ? events : [event]) this.#add(this.#place(each))
    this.#draw()
    this.#changed()
  }

  // A slow hand trembles: short steps go half of the way. A fast one gives few points, and all of them count.
  #add(point) {
    const stroke = this.strokes[this.strokes.length - 1]
    const last = stroke[stroke.length - 1]
    const length = Math.hypot(point.x - last.x, point.y - last.y)
    if (length < kStep) return
    const part = length < kSlow ? 0.5 : 1
    stroke.push({ x: last.x + part * (point.x - last.x), y: last.y + part * (point.y - last.y) })
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return
    this.#pointer = null
    if (event.type === 'pointerup') this.strokes[this.strokes.length - 1].push(this.#place(event))
    this.#draw()
    this.#changed()
  }

  #resize() {
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio)
    if (side === 0 || this.#canvas.width === side) return
    this.#canvas.width = this.#canvas.height = side
    this.#draw()
  }

  // Curves through the middles between points, with the points as their handles.
  #draw() {
    const context = this.#canvas.getContext('2d')
    const side = this.#canvas.width
    context.clearRect(0, 0, side, side)
    context.strokeStyle = getComputedStyle(this.#canvas).color
    context.lineWidth = kWidth * side
    context.lineCap = context.lineJoin = 'round'
    for (const stroke of this.strokes) {
      context.beginPath()
      context.moveTo(stroke[0].x * side, stroke[0].y * side)
      for (let i = 0; i + 1 < stroke.length; ++i) {
        const [a, b] = [stroke[i], stroke[i + 1]]
        context.quadraticCurveTo(a.x * side, a.y * side, ((a.x + b.x) / 2) * side, ((a.y + b.y) / 2) * side)
      }
      const last = stroke[stroke.length - 1]
      context.lineTo(last.x * side, last.y * side)
      context.stroke()
    }
  }
}
