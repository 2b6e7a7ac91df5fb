// Models as JSON, here and in C++.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, cppProgram, Program, temporaryFolder } from './common.js'

const kModel = { layers: [{ layer: 'Linear', inputs: 2, outputs: 8 }, 'tanh', { layer: 'Linear', inputs: 8, outputs: 1 }] }

// One of each layer, with the shape that it takes.
const kEvery = [
  [{ layer: 'Linear', inputs: 3, outputs: 5, bias: false }, [2, 3]],
  [{ layer: 'Conv1d', inputs: 3, outputs: 5, kernel: 2, stride: 2 }, [2, 3, 6]],
  [{ layer: 'Conv2d', inputs: 3, outputs: 6, kernel: [3, 1], groups: 3, padding: 1 }, [2, 3, 7, 7]],
  [{ layer: 'AvgPool2d', kernel: 2 }, [1, 2, 4, 4]],
  [{ layer: 'MaxPool2d', kernel: 3, stride: 1, padding: 1 }, [1, 2, 4, 4]],
  ['Flatten', [3, 2, 2]],
  [{ layer: 'LayerNorm', shape: [2, 4] }, [3, 2, 4]],
  [{ layer: 'RMSNorm', shape: 4, epsilon: 0.1 }, [3, 4]],
  [{ layer: 'GroupNorm', groups: 2, channels: 4 }, [3, 4, 5]],
  [{ layer: 'BatchNorm2d', channels: 4 }, [3, 4, 5, 5]],
  ['Dropout', [3, 4]],
  [{ layer: 'LSTM', inputs: 3, hidden: 4, layers: 2 }, [2, 5, 3]],
  [{ layer: 'GRU', inputs: 3, hidden: 4, bidirectional: true, last: true }, [2, 5, 3]],
  [{ layer: 'MultiheadAttention', width: 4, heads: 2, causal: true }, [2, 5, 4]],
  [{ layer: 'TransformerPositionalEncoding', width: 4 }, [2, 5, 4]],
  [{ layer: 'TransformerEncoderLayer', width: 4, heads: 2, activation: 'gelu', feedforward: 8 }, [2, 5, 4]],
  [{ layer: 'TransformerEncoder', layers: 2, width: 4, heads: 2, feedforward: 8, causal: true, norm_first: true }, [2, 5, 4]],
  [{ layer: 'Sequential', layers: ['relu', { layer: 'Linear', inputs: 3, outputs: 2 }] }, [2, 3]],
  [{ layer: 'Residual', layers: [{ layer: 'Linear', inputs: 3, outputs: 3 }] }, [2, 3]],
  [{ layer: 'leaky_relu', slope: 0.2 }, [2, 3]],
  [{ layer: 'mean', axes: [1] }, [2, 3]],
  [{ layer: 'reshape', shape: [-1, 2] }, [2, 3]],
  [{ layer: 'softmax', axis: 1 }, [2, 3]],
]

test('every layer is the same in C++ and here, from one file', async (t) => {
  const folder = temporaryFolder(t)
  for (const [layer, shape] of kEvery) {
    const model = sm.module.fromJSON([layer])
    model.eval()
    const file = path.join(folder, 'model.safetensors')
    model.save(file)
    const x = sm.rand(shape)
    x.save(path.join(folder, 'x.npy'))
    const program = new Program(t, '/bin/sh', ['-c', `'${cppProgram('shumai')}' infer '${file}' --npy < '${folder}/x.npy' > '${folder}/y.npy'`])
    await program.succeed()
    const { tensor } = sm.load(path.join(folder, 'y.npy'))
    const expected = model(x)
    assert.deepEqual(tensor.shape, expected.shape, JSON.stringify(layer))
    close(tensor, expected, 1e-5)
    close(sm.module.openModel(file).eval()(x), expected, 0)
  }
})

test('a seed gives the weights that the same code would have', () => {
  sm.manual_seed(4)
  const described = sm.module.fromJSON(JSON.stringify(kModel))
  sm.manual_seed(4)
  const coded = sm.module.sequential(sm.module.linear(2, 8), sm.tanh, sm.module.linear(8, 1))
  const x = sm.rand([3, 2])
  close(described(x), coded(x), 0)
  assert.equal(sm.module.describe(described).layers[0].bias, true)
  assert.equal(sm.module.describe(coded), undefined)
})

test('a description alone opens with new weights', (t) => {
  const file = path.join(temporaryFolder(t), 'model.json')
  writeFileSync(file, JSON.stringify(kModel))
  assert.deepEqual(sm.module.openModel(file)(sm.rand([3, 2])).shape, [3, 1])
})

test('errors name the layer and the field', () => {
  assert.throws(() => sm.module.fromJSON([{ layer: 'Linear', inputs: 2, outputs: 'ten' }]), {
    code: 'invalid_argument',
    message: 'model: layers[0] (Linear): "outputs" must be a whole number above 0, got "ten"',
  })
})

test('the checkpoints of a served one are all that the program needs', async (t) => {
  const directory = path.join(temporaryFolder(t), 'checkpoints')
  const model = sm.module.fromJSON(kModel)
  const server = sm.io.serve_model(model, new sm.optim.SGD({ lr: 0.1 }), { port: 0, checkpoint: { directory, durability: 'every-update' }, signals: false })
  const remote = sm.io.remote_model(server.url)
  const output = await remote(sm.ones([1, 2]))
  await output.sum().backward()
  await server.stop()
  const expected = model(sm.ones([1, 2])).toFloat32()
  const answer = new Program(t, '/bin/sh', ['-c', `echo '[[1, 1]]' | '${cppProgram('shumai')}' infer '${directory}'`])
  close(sm.io.decodeReadable(await answer.succeed()), [expected])
})
