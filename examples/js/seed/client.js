// The data team's side, as the seed's document lists it in its functional form:
// the backward pass crosses the network by itself. Only get_data is filled in
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

  // this will be called automatically
  /** @param {sm.GradContext} grad */
  const backward = async (grad) => {
    await sm.io.tfetch(`${url}/optimize`, grad.grad_in)
  }

  const output = await sm.io.tfetch(`${url}/forward`, input, { grad_fn: backward })

  const loss = sm.loss.mse(output, ref_output)
  await loss.backward()
  losses.push(loss.toFloat32())
}
console.log(`loss ${losses[0].toPrecision(3)} -> ${losses[199].toPrecision(3)}`)
