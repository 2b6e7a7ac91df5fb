// From pen strokes to the picture that the model was trained on: 28 x 28, ink 1 on paper 0, as large as a digit is
// there and in the middle, drawn with one width of pen however large the hand wrote.
export const kSide = 28

const kExtent = 20 // of a digit, in pixels of the picture
const kPen = 1.25 // its radius
const kSmallest = 0.15 // of the canvas: a dot isn't blown up to a digit

/** @typedef {{ x: number, y: number }} Point in parts of the canvas, from 0 to 1 */
/** @typedef {{ turn?: number, slant?: number, stretch?: number, size?: number, x?: number, y?: number, pen?: number }} Change */

/**
 * Cuts the corners of a stroke (Chaikin, "An algorithm for high-speed curve generation", 1974), but not its ends.
 * @param {Point[]} stroke
 */
function smooth(stroke) {
  if (stroke.length < 3) return stroke
  const curve = [stroke[0]]
  for (let i = 0; i + 1 < stroke.length; ++i) {
    const [a, b] = [stroke[i], stroke[i + 1]]
    for (const part of [0.25, 0.75]) curve.push({ x: a.x + part * (b.x - a.x), y: a.y + part * (b.y - a.y) })
  }
  curve.push(stroke[stroke.length - 1])
  return curve
}

/** @param {Point[]} points */
function boundsOf(points) {
  const [left, top] = [Math.min(...points.map(({ x }) => x)), Math.min(...points.map(({ y }) => y))]
  const [right, bottom] = [Math.max(...points.map(({ x }) => x)), Math.max(...points.map(({ y }) => y))]
  return { x: (left + right) / 2, y: (top + bottom) / 2, extent: Math.max(right - left, bottom - top, kSmallest) }
}

/**
 * Turned, slanted and widened as `change` says, then moved to the picture.
 * @param {Point[][]} strokes
 * @param {Change} change
 */
function place(strokes, { turn = 0, slant = 0, stretch = 1, size = 1, x = 0, y = 0 }) {
  const [sine, cosine] = [Math.sin(turn), Math.cos(turn)]
  const bent = strokes.map((stroke) =>
    smooth(stroke).map((point) => {
      const wide = stretch * point.x - slant * point.y
      return { x: cosine * wide - sine * point.y, y: sine * wide + cosine * point.y }
    }),
  )
  const bounds = boundsOf(bent.flat())
  const scale = (kExtent * size) / bounds.extent
  const middle = kSide / 2
  return bent.map((stroke) => stroke.map((point) => ({ x: middle + x + scale * (point.x - bounds.x), y: middle + y + scale * (point.y - bounds.y) })))
}

/** The distance of a point to a segment. */
function distance(x, y, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y]
  const along = Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy || 1)))
  return Math.hypot(x - a.x - along * dx, y - a.y - along * dy)
}

/**
 * The picture of a drawing, row by row. Computed here rather than read from a canvas, which browsers round and smooth
 * in ways of their own.
 * @param {Point[][]} strokes
 * @param {Change} [change]
 */
export function picture(strokes, change = {}) {
  const pixels = new Float32Array(kSide * kSide)
  const pen = kPen * (change.pen ?? 1)
  const reach = pen + 0.5
  for (const stroke of place(strokes, change))
    for (let i = 0; i < stroke.length; ++i) {
      const [a, b] = [stroke[Math.max(0, i - 1)], stroke[i]]
      const [left, right] = [Math.floor(Math.min(a.x, b.x) - reach), Math.ceil(Math.max(a.x, b.x) + reach)]
      const [top, bottom] = [Math.floor(Math.min(a.y, b.y) - reach), Math.ceil(Math.max(a.y, b.y) + reach)]
      for (let row = Math.max(0, top); row < Math.min(kSide, bottom); ++row)
        for (let column = Math.max(0, left); column < Math.min(kSide, right); ++column) {
          const ink = Math.min(1, reach - distance(column + 0.5, row + 0.5, a, b))
          if (ink > pixels[row * kSide + column]) pixels[row * kSide + column] = ink
        }
    }
  return pixels
}

const between = (low, high) => low + (high - low) * Math.random()

/**
 * The same drawing `count` times as the same hand might have made it: a little turned, slanted, widened and moved.
 * @param {Point[][]} strokes
 * @param {number} count
 */
export function variations(strokes, count) {
  return Array.from({ length: count }, () =>
    picture(strokes, {
      turn: between(-0.15, 0.15),
      slant: between(-0.15, 0.15),
      stretch: between(0.88, 1.12),
      size: between(0.85, 1.1),
      x: between(-2, 2),
      y: between(-2, 2),
      pen: between(0.8, 1.3),
    }),
  )
}
