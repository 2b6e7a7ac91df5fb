// The data team's side, as the seed's document lists it in its stateful form:
// the gradient is asked for, read and sent by hand. Only get_data is filled in
// (what this team knows and the model team doesn't is that y = 3 x), and what is told at the end.
import * as sm from '@shumai/shumai'
const url = 'localhost:3000'

function get_data() {
  const input = sm.randn([128])
  return [input, input.mul(3)]
}

const losses = []
for (const _ of sm.util.viter(200)) {
  const [input, ref_output] = get_data()
  const output = await sm.io.tfetch(`${url}/forward`, input)

  output.requires_grad = true
  const loss = sm.loss.mse(output, ref_output)
  loss.backward()
  await sm.io.tfetch(`${url}/optimize`, output.grad)
  losses.push(loss.toFloat32())
}
console.log(`loss ${losses[0].toPrecision(3)} -> ${losses[199].toPrecision(3)}`)
