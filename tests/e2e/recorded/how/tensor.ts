// A stand-in for the original's tensors: what its network code, the server and the client here touch.
export class Tensor {
  grad: Tensor = null
  provenance: string = null
  requires_grad = false
  op = ''
  stats: any
  grad_callback_async: any
  back: (jacobian: Tensor) => [Tensor, Tensor][] = () => []
  constructor(public data: Float32Array, public shape: number[]) {}
  get shape64() {
    return this.shape.map(BigInt)
  }
  toFloat32Array() {
    return this.data
  }
  reshape(shape: any) {
    return new Tensor(this.data, Array.from(shape, Number))
  }
  setDeps() {}
  detach() {
    return new Tensor(this.data, this.shape)
  }
  mul(weight: Tensor) {
    const out = new Tensor(this.data.map((v) => Math.fround(v * weight.data[0])), this.shape)
    out.provenance = this.provenance
    out.requires_grad = this.requires_grad || weight.requires_grad
    out.back = (jacobian) => {
      let sum = 0
      this.data.forEach((v, i) => (sum = Math.fround(sum + Math.fround(v * jacobian.data[i]))))
      const back = jacobian.data.map((v) => Math.fround(v * weight.data[0]))
      return [
        [weight, new Tensor(new Float32Array([sum]), [])],
        [this, new Tensor(back, this.shape)],
      ]
    }
    return out
  }
  async backward(jacobian?: Tensor) {
    if (this.grad_callback_async) return [await this.grad_callback_async({ backward_input: jacobian, grad_in: jacobian })]
    const found = {}
    this.back(jacobian).forEach(([tensor, grad], i) => {
      if (!tensor.requires_grad) return
      tensor.grad = grad
      found[i] = { tensor, grad }
    })
    return found
  }
}

export const tensor = (data: Float32Array) => new Tensor(data, [data.length])

export function sgd(found: any, rate: number) {
  for (const { tensor, grad } of Object.values<any>(found))
    if (tensor.requires_grad) tensor.data = tensor.data.map((v, i) => Math.fround(v - Math.fround(rate * grad.data[i])))
}
