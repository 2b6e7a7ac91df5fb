// The token: asked for when the server wants one, kept in this tab alone.
import { address } from './connection.js'
import { byId, say, show } from './dom.js'

// Servers behind one gateway share an origin, not a token.
const key = `shumai-token ${address('.').pathname}`

export class Token {
  secret = sessionStorage.getItem(key) ?? ''

  constructor(onChange) {
    byId('token-form').addEventListener('submit', (event) => {
      event.preventDefault()
      this.#keep(byId('token').value.trim())
      byId('token').value = ''
      onChange()
    })
    byId('forget').addEventListener('click', () => {
      this.#keep('')
      onChange()
    })
  }

  #keep(secret) {
    this.secret = secret
    if (secret) sessionStorage.setItem(key, secret)
    else sessionStorage.removeItem(key)
  }

  /** Shows the form; `refusal` is what the server answered. */
  ask(refusal) {
    const wrong =
      refusal.status === 403
        ? `This token isn't for statistics: ${refusal.message}. Enter another.`
        : "The server doesn't know this token. Enter another."
    say(
      byId('entry-why'),
      this.secret || refusal.status === 403 ? wrong : 'The statistics of this server are for those who have a token.',
    )
    show(byId('entry'), true)
    show(byId('forget'), false)
    byId('token').focus()
  }

  close() {
    show(byId('entry'), false)
    show(byId('forget'), this.secret !== '')
  }
}
