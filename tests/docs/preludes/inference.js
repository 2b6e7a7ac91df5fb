const handlers = { forward: (user, x) => x.mul(2) }
