const url = 'localhost:3000'
const get_data = () => {
  const input = sm.randn([128])
  return [input, input.mul(3)]
}
