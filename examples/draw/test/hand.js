// Draws with the mouse as a person does: in a place, size and slant of its own each time, and not quite steadily.

/** @typedef {{ x: number, y: number }} Point */

const line = (...points) => points.map(([x, y]) => ({ x, y }))

/** A part of an ellipse, in degrees clockwise from its right end. */
function arc(x, y, rx, ry, from, to) {
  return Array.from({ length: 25 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / 24) * Math.PI) / 180
    return { x: x + rx * Math.cos(angle), y: y + ry * Math.sin(angle) }
  })
}

/** @type {Point[][][]} */
export const digits = [
  [arc(0.5, 0.5, 0.2, 0.32, -90, -455)],
  [line([0.4, 0.3], [0.52, 0.18], [0.52, 0.82])],
  [[...arc(0.5, 0.35, 0.18, 0.17, -170, 30), ...line([0.34, 0.8], [0.7, 0.8])]],
  [[...arc(0.48, 0.34, 0.17, 0.16, -150, 90), ...arc(0.48, 0.66, 0.2, 0.17, -90, 150)]],
  [line([0.56, 0.18], [0.3, 0.6], [0.72, 0.6]), line([0.6, 0.4], [0.6, 0.84])],
  [[...line([0.66, 0.2], [0.4, 0.2], [0.37, 0.46]), ...arc(0.48, 0.62, 0.19, 0.19, -120, 140)]],
  [[...arc(0.62, 0.5, 0.28, 0.36, -100, -180), ...arc(0.5, 0.65, 0.16, 0.17, 180, 540)]],
  [line([0.32, 0.2], [0.7, 0.2], [0.45, 0.82])],
  [[...arc(0.5, 0.34, 0.15, 0.15, -60, -270), ...arc(0.5, 0.66, 0.18, 0.17, -90, 270), ...arc(0.5, 0.34, 0.15, 0.15, 90, -60)]],
  [[...arc(0.5, 0.36, 0.16, 0.17, 0, -360), ...line([0.64, 0.6], [0.6, 0.84])]],
]

/** A sign that no digit looks like: an arrow down, crossed. */
export const madeUp = [line([0.25, 0.3], [0.5, 0.75], [0.75, 0.3]), line([0.2, 0.52], [0.8, 0.52]), line([0.5, 0.2], [0.5, 0.4])]

/** Numbers between -1 and 1, the same ones for a seed: a linear congruential generator. */
export function trembles(seed) {
  let state = BigInt(seed)
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number(state >> 33n) / 2 ** 30 - 1
  }
}

/** The same strokes, drawn once more. */
export function again(strokes, tremble) {
  const [turn, slant, width, x, y] = [0.08 * tremble(), 0.1 * tremble(), 1 + 0.08 * tremble(), 0.08 * tremble(), 0.06 * tremble()]
  const place = ({ x: px, y: py }) => {
    const [u, v] = [(px - 0.5) * width - slant * (py - 0.5), py - 0.5]
    return {
      x: 0.5 + x + u * Math.cos(turn) - v * Math.sin(turn) + 0.006 * tremble(),
      y: 0.5 + y + u * Math.sin(turn) + v * Math.cos(turn) + 0.006 * tremble(),
    }
  }
  return strokes.map((stroke) => stroke.map(place))
}

/** The places at which a mouse reports itself along a stroke. */
const dense = (stroke) =>
  stroke.slice(1).flatMap((end, i) => {
    const start = stroke[i]
    const steps = Math.ceil(Math.hypot(end.x - start.x, end.y - start.y) / 0.03)
    return Array.from({ length: steps }, (_, k) => ({ x: start.x + ((k + 1) / steps) * (end.x - start.x), y: start.y + ((k + 1) / steps) * (end.y - start.y) }))
  })

/** Moves the mouse along the strokes, over the element. */
export async function draw(page, selector, strokes) {
  await page.locator(selector).scrollIntoViewIfNeeded()
  const box = await page.locator(selector).boundingBox()
  const at = ({ x, y }) => [box.x + x * box.width, box.y + y * box.height]
  for (const stroke of strokes) {
    await page.mouse.move(...at(stroke[0]))
    await page.mouse.down()
    // Not one by one: a mouse doesn't wait for the page either, which then gets several places at once.
    await Promise.all(dense(stroke).map((point) => page.mouse.move(...at(point))))
    await page.mouse.up()
  }
}
