// Numbers as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })

const known = (value) => typeof value === 'number' && Number.isFinite(value)
const kNothing = '–'

const shortened = (value) => short.format(value).replace('K', 'k')

/** Three significant digits, without a tail of zeros. */
const digits = (value) => String(Number(value.toPrecision(3)))

export const count = (value) =>
  !known(value) ? kNothing : Math.abs(value) < 1e7 ? whole.format(value) : shortened(value)

export const compact = (value) => (known(value) ? shortened(value) : kNothing)

/** Four significant digits: 0.01234, 1.234e-7. */
export function number(value) {
  if (!known(value)) return kNothing
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-4 || size >= 1e6))
    return value
      .toExponential(3)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e')
  return size >= 1000 ? String(Number(value.toFixed(1))) : String(Number(value.toPrecision(4)))
}

export function rate(value) {
  if (!known(value)) return kNothing
  return `${value >= 100 ? whole.format(value) : Number(value.toFixed(value >= 10 ? 1 : 2))}/s`
}

export function seconds(value) {
  if (!known(value)) return kNothing
  if (value === 0) return '0 s'
  if (value < 1e-3) return `${digits(value * 1e6)} µs`
  if (value < 1) return `${digits(value * 1e3)} ms`
  if (value < 60) return `${digits(value)} s`
  return duration(value)
}

/** Its two largest units: 2 min 5 s, 3 h 20 min, 4 d 1 h. */
export function duration(value) {
  if (!known(value)) return kNothing
  const all = Math.floor(value)
  if (all < 60) return `${all} s`
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`
  if (all < 86400) return `${Math.floor(all / 3600)} h ${Math.floor(all / 60) % 60} min`
  return `${Math.floor(all / 86400)} d ${Math.floor(all / 3600) % 24} h`
}

export function bytes(value) {
  if (!known(value)) return kNothing
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  for (; Math.abs(value) >= 1024 && unit < units.length - 1; ++unit) value /= 1024
  return `${unit === 0 ? Math.round(value) : digits(value)} ${units[unit]}`
}

const two = (value) => String(value).padStart(2, '0')
const kMonths = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** A moment in the reader's time zone; `precision` in seconds says how exact it has to be. */
export function clock(unix, precision = 1) {
  const at = new Date(unix * 1000)
  if (precision >= 86400) return `${at.getDate()} ${kMonths[at.getMonth()]}`
  const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`
  return precision >= 60 ? minutes : `${minutes}:${two(at.getSeconds())}`
}

/** With the day, unless `now` is of the same. */
export function moment(unix, now) {
  const sameDay = new Date(unix * 1000).toDateString() === new Date(now * 1000).toDateString()
  return sameDay ? clock(unix) : `${clock(unix, 86400)} ${clock(unix)}`
}

export const ago = (passed) => (passed < 1 ? 'just now' : `${duration(passed)} ago`)

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`
