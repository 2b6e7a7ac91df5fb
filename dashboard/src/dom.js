// The little that the page needs of a framework: nodes made once, and changed only where what they say changes.

/** An element: properties (or attributes with a dash, and role), then children. */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-') || name === 'role' || name === 'for') node.setAttribute(name, value)
    else node[name] = value
  }
  node.append(...children)
  return node
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible
}

export const byId = (id) => document.getElementById(id)

/**
 * Children of `parent`, one for each item: `make(item)` returns {node, update(item)} once for a key, and what has no item
 * any more goes. Nodes that stay keep their focus.
 */
export function keyed(parent, keyOf, make) {
  const parts = new Map()
  return (items) => {
    const keys = items.map(keyOf)
    const kept = new Set(keys)
    for (const [key, part] of parts)
      if (!kept.has(key)) {
        part.node.remove()
        parts.delete(key)
      }
    items.forEach((item, i) => {
      let part = parts.get(keys[i])
      if (!part) parts.set(keys[i], (part = make(item)))
      part.update(item)
      if (parent.children[i] !== part.node) parent.insertBefore(part.node, parent.children[i] ?? null)
    })
  }
}
