const url = 'https://localhost:3000/forward'
const x = sm.randn([3])
const model = sm.module.linear(3, 3)
