const secret = 'a-secret-of-enough-characters'
const x = sm.randn([4])
const handlers = { forward: (user, y) => y.mul(2) }
