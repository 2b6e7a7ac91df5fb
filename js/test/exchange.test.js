// Modules begin the same, have the same files and compute the same in C++ and JavaScript.
import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import * as sm from '../index.js'
import { close, cppProgram, Program, temporaryFolder } from './common.js'

const m = sm.module
const padding = sm.tensor([[false, false, true], [false, false, false]])

// What module_files writes: how each is made here, and called.
const kModules = {
  Linear: [() => new m.Linear(3, 4)],
  Conv1d: [() => new m.Conv1d(4, 6, 3, { stride: 2, padding: 1, groups: 2 })],
  Conv2d: [() => new m.Conv2d(3, 4, [3, 2], { stride: 2, padding: [1, 0] })],
  AvgPool2d: [() => new m.AvgPool2d(3, { stride: 2, padding: 1 })],
  MaxPool2d: [() => new m.MaxPool2d(2)],
  LayerNorm: [() => new m.LayerNorm([2, 3])],
  RMSNorm: [() => new m.RMSNorm([3])],
  GroupNorm: [() => new m.GroupNorm(2, 4)],
  BatchNorm2d: [() => new m.BatchNorm2d(3)],
  Dropout: [() => new m.Dropout(0.5)],
  Sequential: [() => new m.Sequential(new m.Linear(3, 4), sm.relu, new m.Linear(4, 2))],
  Embedding: [() => new m.Embedding(6, 3)],
  LSTM: [
    () => new m.LSTM(3, 4, { layers: 2, bidirectional: true }),
    (lstm, x, hidden, cell) => {
      const { output, state } = lstm(x, { hidden, cell })
      return [output, state.hidden, state.cell]
    },
  ],
  GRU: [() => new m.GRU(3, 4, { layers: 2, batchFirst: false }), (gru, x) => Object.values(gru(x))],
  TransformerPositionalEncoding: [() => new m.TransformerPositionalEncoding(7)],
  DotProductAttention: [() => new m.DotProductAttention(), (attention, ...inputs) => attention(...inputs, { padding })],
  MultiheadAttention: [() => new m.MultiheadAttention(6, 2), (attention, ...inputs) => attention(...inputs, { padding })],
  TransformerEncoderLayer: [() => new m.TransformerEncoderLayer(4, 2, { feedforward: 6 })],
  TransformerEncoder: [() => new m.TransformerEncoder(4, 2, 2, { feedforward: 6, normFirst: true }), (encoder, x) => encoder(x, { causal: true, padding })],
  TransformerDecoderLayer: [() => new m.TransformerDecoderLayer(4, 2, { feedforward: 6 }), (layer, ...inputs) => layer(...inputs, { causal: true }, { padding })],
  TransformerDecoder: [() => new m.TransformerDecoder(4, 2, 2, { feedforward: 6, normFirst: true }), (decoder, ...inputs) => decoder(...inputs, { causal: true }, { padding })],
}

function assertSame(actual, expected, tolerance, what) {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), what)
  for (const [name, tensor] of Object.entries(expected)) {
    assert.deepEqual(actual[name].shape, tensor.shape, `${what}: ${name}`)
    close(actual[name], tensor, tolerance)
  }
}

const numbered = (calls, side) => Object.keys(calls).filter((name) => name.startsWith(side)).sort().map((name) => calls[name])

test('every kind of module is the same in C++ and here', async (t) => {
  const folder = temporaryFolder(t)
  await new Program(t, cppProgram('module_files'), [folder]).succeed()
  for (const [name, [make, call = (module, x) => module(x)]] of Object.entries(kModules)) {
    const file = (end) => path.join(folder, `${name}.${end}`)
    sm.manual_seed(7)
    const module = make()
    assertSame(module.state(), sm.load(file('begin.safetensors')), 0, `${name}, as seed 7 begins it`)
    assert.equal(module.load(file('safetensors')), module)
    const calls = sm.load(file('calls.safetensors'))
    const outputs = sm.noGrad(() => [call(module.eval(), ...numbered(calls, 'in.'))].flat())
    const expected = numbered(calls, 'out.')
    assert.equal(outputs.length, expected.length, name)
    assertSame({ ...outputs }, { ...expected }, 1e-6, `${name}, called`)
    module.save(file('back'))
    assertSame(sm.load(file('back')), sm.load(file('safetensors')), 0, `${name}, saved`)
  }
})
