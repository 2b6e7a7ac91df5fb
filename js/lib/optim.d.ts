import type { Differentiated, Tensor } from '../index.js'

/** weight -= learningRate * gradient for every weight of a backward pass, or of the promise of one. */
export declare function sgd(differentiated: PromiseLike<Differentiated> & Differentiated, learningRate?: number): void & PromiseLike<void>
export declare function sgd(differentiated: Differentiated, learningRate?: number): void
export declare function sgd(differentiated: PromiseLike<Differentiated>, learningRate?: number): Promise<void>

/** The learning rate of a step, from 0; `initial` is the optimizer's own. */
export type Schedule = (step: number, initial: number) => number
/** One that can be called without the rate: then that is 1. */
export type MadeSchedule = (step: number, initial?: number) => number

/** Weights by name: an object, pairs, or a module. */
export type NamedWeights = Record<string, Tensor> | Iterable<readonly [string, Tensor]> | { namedParameters(): Iterable<[string, Tensor]> }

export interface OptimizerOptions {
  learningRate?: number
  /** The same, by PyTorch's name. */
  lr?: number
  /** What each update runs at. */
  schedule?: Schedule
  weightDecay?: number
}
export interface SGDOptions extends OptimizerOptions {
  momentum?: number
  dampening?: number
  nesterov?: boolean
}
export interface AdamOptions extends OptimizerOptions {
  betas?: readonly [number, number]
  eps?: number
  amsgrad?: boolean
}
export interface RMSpropOptions extends OptimizerOptions {
  alpha?: number
  eps?: number
  momentum?: number
  centered?: boolean
}

export interface Optimizer {
  /** One update: the same as step(). */
  (differentiated: PromiseLike<Differentiated> & Differentiated, learningRate?: number): void & PromiseLike<void>
  (differentiated: Differentiated, learningRate?: number): void
  (differentiated: PromiseLike<Differentiated>, learningRate?: number): Promise<void>
}
/** Any of the optimizers below; it can be called, and given away as a function. Formulas and defaults are PyTorch's. */
export declare class Optimizer {
  protected constructor(name: string, known: readonly string[], options?: OptimizerOptions)
  readonly name: string
  /** One update, at a learning rate of its own if there is one. Takes the promise of a backward pass too. */
  step(differentiated: PromiseLike<Differentiated> & Differentiated, learningRate?: number): void & PromiseLike<void>
  step(differentiated: Differentiated, learningRate?: number): void
  step(differentiated: PromiseLike<Differentiated>, learningRate?: number): Promise<void>
  /** Of the next update. Setting it under a schedule sets the rate that the schedule starts from. */
  learningRate: number
  schedule: Schedule | undefined
  /** Updates made so far. */
  readonly steps: number
  /** What is remembered of these weights, for a checkpoint: sm.save takes it. */
  state(weights: NamedWeights): Record<string, Tensor>
  /** Continues exactly where state() was taken. The options and the schedule aren't part of it. */
  loadState(state: Record<string, Tensor>, weights: NamedWeights): this
}
/** Gradient descent with momentum, Nesterov's form and weight decay. */
export declare class SGD extends Optimizer {
  constructor(options?: SGDOptions)
  /** Whether one update with a sum of gradients moves weights as one update with each of them does. */
  readonly isAdditive: boolean
}
/** Kingma and Ba, 2015; with `amsgrad`, Reddi et al., 2018. */
export declare class Adam extends Optimizer {
  constructor(options?: AdamOptions)
  constructor(learningRate: number, b1?: number, b2?: number, eps?: number)
}
/** Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2019). */
export declare class AdamW extends Optimizer { constructor(options?: AdamOptions) }
/** Tieleman and Hinton, 2012; with `centered`, Graves, 2013. */
export declare class RMSprop extends Optimizer { constructor(options?: RMSpropOptions) }
/** An Adam. */
export declare function adam(options?: AdamOptions): Adam
/** An AdamW. */
export declare function adamW(options?: AdamOptions): AdamW
/** An RMSprop. */
export declare function rmsprop(options?: RMSpropOptions): RMSprop

/** initial * factor(step) */
export declare function lambdaLR(factor: (step: number) => number): MadeSchedule
/** initial * gamma^floor(step / stepSize); gamma is 0.1. */
export declare function stepLR(stepSize: number, gamma?: number): MadeSchedule
/** initial * gamma^(milestones reached); gamma is 0.1. */
export declare function multiStepLR(milestones: readonly number[], gamma?: number): MadeSchedule
/** initial * gamma^step */
export declare function exponentialLR(gamma: number): MadeSchedule
/** initial * factor (1/3) before step totalIters (5), then initial. */
export declare function constantLR(factor?: number, totalIters?: number): MadeSchedule
/** From initial * startFactor (1/3) evenly to initial * endFactor (1) in totalIters (5) steps: a warmup. */
export declare function linearLR(startFactor?: number, endFactor?: number, totalIters?: number): MadeSchedule
/** initial * (1 - step / totalIters)^power */
export declare function polynomialLR(totalIters?: number, power?: number): MadeSchedule
/** Along a cosine from initial to etaMin (0) at step tMax; rises again after it. */
export declare function cosineAnnealingLR(tMax: number, etaMin?: number): MadeSchedule
/** The same from the start again after t0 steps, and each time after tMult (1) times as many. */
export declare function cosineAnnealingWarmRestarts(t0: number, tMult?: number, etaMin?: number): MadeSchedule
export interface OneCycleOptions {
  pctStart?: number
  linear?: boolean
  divFactor?: number
  finalDivFactor?: number
  threePhase?: boolean
}
/** Up to maxLR and down to almost nothing in totalSteps (Smith and Topin, 2018). */
export declare function oneCycleLR(maxLR: number, totalSteps: number, options?: OneCycleOptions): MadeSchedule
/** schedules[i] from milestones[i - 1] on, which is its step 0. */
export declare function sequentialLR(schedules: readonly Schedule[], milestones: readonly number[]): MadeSchedule

export interface ClipOptions {
  /** Which norm; 2 unless said otherwise, Infinity for the largest absolute value. */
  normType?: number
  /** Throw when the norm isn't finite, instead of giving NaN. */
  errorIfNonfinite?: boolean
}
/** What clipGradNorm returns. */
export interface ClippedGradients {
  gradients: Differentiated
  /** Before clipping. */
  totalNorm: number
}
/** The gradients scaled so that their norm as one vector is at most maxNorm. */
export declare function clipGradNorm(differentiated: PromiseLike<Differentiated> & Differentiated, maxNorm: number, options?: ClipOptions): ClippedGradients & PromiseLike<ClippedGradients>
export declare function clipGradNorm(differentiated: Differentiated, maxNorm: number, options?: ClipOptions): ClippedGradients
export declare function clipGradNorm(differentiated: PromiseLike<Differentiated>, maxNorm: number, options?: ClipOptions): Promise<ClippedGradients>
/** The gradients with every element held between -clipValue and clipValue. */
export declare function clipGradValue(differentiated: PromiseLike<Differentiated> & Differentiated, clipValue: number): Differentiated & PromiseLike<Differentiated>
export declare function clipGradValue(differentiated: Differentiated, clipValue: number): Differentiated
export declare function clipGradValue(differentiated: PromiseLike<Differentiated>, clipValue: number): Promise<Differentiated>
