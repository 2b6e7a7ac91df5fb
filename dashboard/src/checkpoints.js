// The list of checkpoints, downloads, and the way back to one.
import { ago, bytes, count, moment, plural } from './format.js'
import { byId, h, keyed, say, show } from './dom.js'
import { isWeb } from './models.js'

const kNone =
  "No checkpoints: this server doesn't write any. It does with the option checkpoint: { directory: 'weights' }."
const kHidden = "This token isn't for the route checkpoints, so they aren't shown."
const kOnlyAtStart = 'the weights of this server are loaded when it starts only.'
const kFirst = 'None is written yet.'

export class Checkpoints {
  constructor({ request, tell, store }) {
    Object.assign(this, { request, tell, store })
    const body = h('tbody')
    this.why = h('p', { className: 'nothing' })
    this.elsewhere = h('p', { className: 'nothing' })
    this.table = h(
      'table',
      { 'aria-labelledby': 'checkpoints-title' },
      h('thead', {}, h('tr', {}, ...['Version', 'Written'].map((name) => h('th', { scope: 'col' }, name)), h('td'))),
      body,
    )
    byId('checkpoints').append(this.why, this.elsewhere, this.table)
    this.set = keyed(
      body,
      ({ version }) => version,
      (item) => this.#row(item),
    )
    this.dialog = new RollBack(this)
  }

  #row({ version, bytes: size }) {
    const written = h('span')
    const passed = h('span', { className: 'note' })
    const download = h('button', { type: 'button', 'aria-label': `Download checkpoint ${version}` }, 'Download')
    const back = h(
      'button',
      { type: 'button', 'aria-label': `Roll back to version ${version}`, 'aria-haspopup': 'dialog' },
      'Roll back',
    )
    const node = h(
      'tr',
      {},
      h('th', { scope: 'row' }, count(version)),
      h('td', {}, written, passed),
      h('td', { className: 'buttons' }, download, back),
    )
    let latest
    download.addEventListener('click', () => this.#download(version, download))
    back.addEventListener('click', () => this.dialog.ask(latest))
    return {
      node,
      update(item) {
        latest = item
        say(written, moment(item.time, item.now))
        say(passed, `${ago(Math.max(0, item.now - item.time))}, ${bytes(size)}`)
        show(back, item.restorable)
      },
    }
  }

  update({ statistics, checkpoints, time }, { path, url }) {
    const list = checkpoints?.list ?? []
    const why = path ? '' : this.#reason(statistics, checkpoints)
    say(this.why, why)
    show(this.why, Boolean(why))
    this.#pointTo(path, url)
    show(this.table, !path && list.length > 0)
    this.set(path ? [] : list.map((item) => ({ ...item, now: time, restorable: checkpoints.restorable })))
  }

  #reason(statistics, checkpoints) {
    if (!checkpoints) return statistics.checkpoint ? kHidden : kNone
    if (checkpoints.list.length === 0) return kFirst
    return checkpoints.restorable ? '' : `They can't be restored now: ${checkpoints.why ?? kOnlyAtStart}`
  }

  // A server doesn't hand on another's checkpoints.
  #pointTo(path, url) {
    show(this.elsewhere, Boolean(path))
    if (!path) return
    const key = url ?? ''
    if (this.elsewhere.dataset.url === key) return
    this.elsewhere.dataset.url = key
    const where = url && isWeb(url) ? h('a', { href: url, rel: 'noreferrer' }, url) : (url ?? 'that server')
    this.elsewhere.replaceChildren("A model's checkpoints are on the dashboard of its own server: ", where)
  }

  async #download(version, button) {
    button.disabled = true
    try {
      const answer = await this.request(`checkpoints/${version}`)
      const link = h('a', {
        href: URL.createObjectURL(await answer.blob()),
        download: `checkpoint-${version}.safetensors`,
      })
      link.click()
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
    } catch (error) {
      this.tell(`Checkpoint ${version} wasn't downloaded: ${error.message}.`)
    } finally {
      button.disabled = false
    }
  }
}

/** Asks before it takes updates away. */
class RollBack {
  constructor({ request, tell, store }) {
    Object.assign(this, { request, tell, store })
    this.dialog = byId('ask')
    byId('ask-no').addEventListener('click', () => this.dialog.close())
    byId('ask-yes').addEventListener('click', () => this.#restore())
  }

  ask(checkpoint) {
    this.checkpoint = checkpoint
    const { weights } = this.store.statistics
    const since = Math.max(0, weights.version - checkpoint.version)
    // Versions only grow: after a roll-back, some of them are of updates that it took away.
    const lost = `${weights.restored > 0 ? 'up to ' : ''}${plural(since, 'update')}`
    say(byId('ask-title'), `Roll back to version ${count(checkpoint.version)}?`)
    byId('ask-text').replaceChildren(
      h(
        'p',
        {},
        `Weights and optimizer become what they were at ${moment(checkpoint.time, this.store.time)}. The model is at version ${count(weights.version)} now, so `,
        h('strong', {}, `${lost} will be lost`),
        '.',
      ),
      h(
        'p',
        {},
        'Clients go on by themselves: live tickets expire, and each client makes its forward again. Every checkpoint stays.',
      ),
    )
    say(byId('ask-error'), '')
    this.dialog.showModal()
  }

  async #restore() {
    const { version } = this.checkpoint
    const yes = byId('ask-yes')
    yes.disabled = true
    try {
      const answer = await this.request(`checkpoints/${version}/restore`, { method: 'POST' })
      const { version: now } = await answer.json()
      this.dialog.close()
      this.tell(
        `Rolled back to version ${count(version)}. The model is at version ${count(now)} now, with those weights.`,
      )
    } catch (error) {
      say(byId('ask-error'), `Not rolled back: ${error.message}.`)
    } finally {
      yes.disabled = false
    }
  }
}
