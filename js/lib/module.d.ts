import type { Tensor } from '../index.js'

export interface Module {
  (...inputs: any[]): any
}
/** A layer or a model: subclass it, give it tensors and modules as fields, and call it like a function. */
export declare class Module {
  /** What calling the module does. */
  forward(...inputs: any[]): any
  namedParameters(prefix?: string): Generator<[string, Tensor], void, void>
  parameters(): Tensor[]
  /** Writes the parameters to a safetensors file, atomically. */
  save(file: string): void
  /** Reads what save() wrote. */
  load(file: string): this
}
/** x W + b, with W of shape [inputs, outputs]. */
export declare class Linear extends Module {
  constructor(inputs: number, outputs: number)
  weight: Tensor
  bias: Tensor
}
export declare function linear(inputs: number, outputs: number): Linear
type Step = (...inputs: any[]) => any
/** Modules and functions one after another. */
export declare class Sequential extends Module {
  constructor(...modules: Step[])
  modules: Step[]
}
export declare function sequential(...modules: Step[]): Sequential
