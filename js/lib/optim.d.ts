import type { Differentiated } from '../index.js'

/** weight -= learningRate * gradient for every weight of a backward pass, or of the promise of one. */
export declare function sgd(differentiated: PromiseLike<Differentiated> & Differentiated, learningRate?: number): void & PromiseLike<void>
export declare function sgd(differentiated: Differentiated, learningRate?: number): void
export declare function sgd(differentiated: PromiseLike<Differentiated>, learningRate?: number): Promise<void>
