// The page: shows what the model answers while one draws, and sends corrections.
import { Pen } from './pen.js'
import { kSide, picture } from './picture.js'
import { Teacher } from './teacher.js'

const find = (id) => document.getElementById(id)
const percent = (part) => `${Math.round(100 * part)}%`

const { modelPort } = await (await fetch('settings.json')).json()
const teacher = new Teacher(`${location.protocol}//${location.hostname}:${modelPort}`)
teacher.token = sessionStorage.getItem('token') ?? ''

// One request at a time: what was drawn meanwhile is asked for when it is back.
let asking = false
let teaching = false
let outdated = false
let corrections = 0

const bars = Array.from({ length: 10 }, (_, digit) => {
  const item = document.createElement('li')
  item.innerHTML = `<span>${digit}</span><div class="track"><div class="bar"></div></div><output>0%</output>`
  find('bars').append(item)
  return { item, bar: item.querySelector('.bar'), text: item.querySelector('output') }
})

/** @param {number[]} probabilities; none: nothing is drawn */
function show(probabilities) {
  const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1
  bars.forEach(({ item, bar, text }, digit) => {
    const part = probabilities?.[digit] ?? 0
    bar.style.width = percent(part)
    text.textContent = percent(part)
    item.classList.toggle('best', digit === best)
  })
  find('verdict').textContent = probabilities ? `It reads ${best}, ${percent(probabilities[best])} sure.` : 'Nothing is drawn yet.'
}

function showSeen() {
  const context = find('seen').getContext('2d')
  const image = context.createImageData(kSide, kSide)
  const pixels = pen.strokes.length ? picture(pen.strokes) : new Float32Array(kSide * kSide)
  pixels.forEach((ink, i) => image.data.set([255 * ink, 255 * ink, 255 * ink, 255], 4 * i))
  context.putImageData(image, 0, 0)
}

function fail(error) {
  find('problem').textContent = error.message
  if (error.status === 401) find('access').hidden = false
}

async function ask() {
  outdated = true
  document.body.dataset.state = 'asking'
  if (asking || teaching) return
  asking = true
  while (outdated && !teaching) {
    outdated = false
    try {
      const probabilities = pen.strokes.length ? await teacher.ask(pen.strokes) : undefined
      show(pen.strokes.length ? probabilities : undefined)
      find('problem').textContent = ''
      if (!outdated) document.body.dataset.state = 'shown'
    } catch (error) {
      fail(error)
    }
  }
  asking = false
}

function setTeaching(on) {
  teaching = on
  for (const button of find('digits').children) button.setAttribute('aria-disabled', String(on))
}

async function teach(digit) {
  if (teaching) return
  if (pen.strokes.length === 0) return void (find('told').textContent = 'Draw something first.')
  setTeaching(true)
  find('told').textContent = `Teaching that this is a ${digit} …`
  try {
    const { steps, before, after } = await teacher.teach(pen.strokes.map((stroke) => [...stroke]), digit)
    ++corrections
    const taken = `${steps} gradient ${steps === 1 ? 'step' : 'steps'} on copies of it and on the page's own digits: ${percent(before)} sure that it is a ${digit} before, ${percent(after)} now.`
    find('told').textContent = `${steps ? taken : `No step was needed: it is sure that this is a ${digit}.`} Corrections so far: ${corrections}.`
    find('problem').textContent = ''
  } catch (error) {
    find('told').textContent = ''
    fail(error)
  }
  setTeaching(false)
  ask()
}

const pen = new Pen(find('paper'), () => {
  showSeen()
  ask()
})
showSeen()

for (let digit = 0; digit < 10; ++digit) {
  const button = document.createElement('button')
  button.type = 'button'
  button.textContent = String(digit)
  button.addEventListener('click', () => teach(digit))
  find('digits').append(button)
}
find('clear').addEventListener('click', () => pen.clear())
document.addEventListener('keydown', (event) => {
  if (event.target === find('token') || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === 'Escape') pen.clear()
  else if (/^[0-9]$/.test(event.key)) teach(Number(event.key))
})
find('access').addEventListener('submit', (event) => {
  event.preventDefault()
  teacher.token = find('token').value.trim()
  sessionStorage.setItem('token', teacher.token)
  find('access').hidden = true
  find('problem').textContent = ''
  ask()
})
