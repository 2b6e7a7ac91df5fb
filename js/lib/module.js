import { Conv1d, Conv2d, AvgPool2d, MaxPool2d, Linear } from './modules/layers.js'
import { GRU, LSTM } from './modules/recurrent.js'
import { Sequential } from './modules/sequential.js'

export { checkpoint, Module } from './modules/module.js'
export * from './modules/attention.js'
export { describe, fromJSON, openModel } from './modules/json.js'
export * from './modules/layers.js'
export * from './modules/norm.js'
export * from './modules/recurrent.js'
export * from './modules/sequential.js'
export * from './modules/transformer.js'

const maker = (Class) => (...args) => new Class(...args)

export const linear = maker(Linear)
export const conv1d = maker(Conv1d)
export const conv2d = maker(Conv2d)
export const avgPool2d = maker(AvgPool2d)
export const maxPool2d = maker(MaxPool2d)
export const lstm = maker(LSTM)
export const gru = maker(GRU)
export const sequential = maker(Sequential)
