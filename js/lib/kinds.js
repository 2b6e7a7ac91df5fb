// What messages say of values that aren't what was expected.

const kMost = 40

export const isClass = (value) => typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))

/** 'a promise: await it first', 'an array', '"abc"', 'undefined'. */
export function kindOf(value) {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return isClass(value) ? `the class ${value.name}` : 'a function'
  if (typeof value === 'string') return JSON.stringify(value.length > kMost ? `${value.slice(0, kMost)}…` : value)
  if (typeof value !== 'object') return String(value)
  if (typeof value.then === 'function') return 'a promise: await it first'
  const name = Array.isArray(value) ? 'array' : (value.constructor?.name ?? 'object')
  if (name === 'Object') return 'an object'
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`
}

/** How many letters have to be added, removed or replaced to make one of the other, whatever their case. */
function distance(one, other) {
  const [a, b] = [one.toLowerCase().replaceAll('_', ''), other.toLowerCase().replaceAll('_', '')]
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; ++i) {
    const next = [i]
    for (let j = 1; j <= b.length; ++j) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]
}

/** 'there is a, b', and which of them was meant, if one is near. */
export function oneOf(name, known) {
  const nearest = known.map((other) => [other.startsWith(name) ? 0 : distance(name, other), other]).sort(([a], [b]) => a - b)[0]
  const meant = nearest && nearest[0] <= Math.min(2, name.length / 2) ? `; did you mean ${JSON.stringify(nearest[1])}?` : ''
  return `there is ${known.join(', ')}${meant}`
}
