// The page's own small data set: how people write the ten digits. What a correction teaches is practised together
// with these, since a network that sees only one thing soon forgets the others (Robins, "Catastrophic forgetting,
// rehearsal and pseudorehearsal", 1995).

/** @typedef {import('./picture.js').Point} Point */

/** @param {...number[]} points */
const line = (...points) => points.map(([x, y]) => ({ x, y }))

/** A part of an ellipse, in degrees clockwise from its right end. */
const arc = (x, y, width, height, from, to) =>
  Array.from({ length: 17 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / 16) * Math.PI) / 180
    return { x: x + (width / 2) * Math.cos(angle), y: y + (height / 2) * Math.sin(angle) }
  })

/** [digit, strokes] of each. @type {[number, Point[][]][]} */
export const ownDrawings = [
  [0, [arc(0.5, 0.5, 0.5, 0.8, -70, -430)]],
  [0, [arc(0.5, 0.5, 0.36, 0.8, -90, -450)]],
  [1, [line([0.5, 0.1], [0.5, 0.9])]],
  [1, [line([0.32, 0.3], [0.52, 0.1], [0.52, 0.9])]],
  [2, [[...arc(0.5, 0.32, 0.46, 0.44, -160, 40), ...line([0.28, 0.9], [0.76, 0.9])]]],
  [2, [[...arc(0.48, 0.3, 0.4, 0.4, -180, 60), ...arc(0.32, 0.8, 0.16, 0.16, 120, 300), ...line([0.6, 0.88], [0.78, 0.82])]]],
  [3, [[...arc(0.46, 0.3, 0.44, 0.4, -150, 90), ...arc(0.46, 0.7, 0.52, 0.4, -90, 150)]]],
  [3, [line([0.26, 0.1], [0.7, 0.1], [0.44, 0.42]).concat(arc(0.46, 0.66, 0.52, 0.48, -90, 150))]],
  [4, [line([0.56, 0.1], [0.22, 0.62], [0.8, 0.62]), line([0.62, 0.4], [0.62, 0.9])]],
  [4, [line([0.28, 0.1], [0.26, 0.54], [0.74, 0.54]), line([0.7, 0.1], [0.66, 0.9])]],
  [5, [line([0.72, 0.1], [0.34, 0.1], [0.3, 0.46]).concat(arc(0.48, 0.66, 0.52, 0.48, -120, 140))]],
  [5, [line([0.34, 0.12], [0.3, 0.46]).concat(arc(0.48, 0.66, 0.52, 0.48, -120, 140)), line([0.34, 0.12], [0.72, 0.1])]],
  [6, [[...arc(0.74, 0.52, 0.92, 0.84, -110, -180), ...arc(0.52, 0.68, 0.48, 0.44, 180, 520)]]],
  [6, [[...arc(0.66, 0.5, 0.64, 0.8, -90, -200), ...arc(0.5, 0.7, 0.4, 0.4, 160, 500)]]],
  [7, [line([0.22, 0.12], [0.76, 0.12], [0.42, 0.9])]],
  [7, [line([0.22, 0.12], [0.76, 0.12], [0.42, 0.9]), line([0.38, 0.5], [0.72, 0.5])]],
  [8, [[...arc(0.5, 0.3, 0.38, 0.4, -60, -270), ...arc(0.5, 0.7, 0.46, 0.4, -90, 270), ...arc(0.5, 0.3, 0.38, 0.4, 90, -60)]]],
  [8, [arc(0.5, 0.3, 0.38, 0.38, -90, 270), arc(0.5, 0.7, 0.46, 0.42, -90, 270)]],
  [9, [[...arc(0.48, 0.34, 0.44, 0.44, 0, -360), ...line([0.7, 0.34], [0.66, 0.9])]]],
  [9, [[...arc(0.48, 0.34, 0.44, 0.44, -20, -380), ...arc(0.44, 0.46, 0.52, 0.88, 0, 110)]]],
]
