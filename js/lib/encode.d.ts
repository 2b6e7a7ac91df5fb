import type { Tensor } from '../index.js'

/** The binary form of the original Shumai: a tensor as float32, whether it requires gradients, and `props` as JSON. */
export declare function encodeBinary(tensor: Tensor, props?: unknown): ArrayBuffer
/** What encodeBinary gave, here or in the original. */
export declare function decodeBinary(bytes: ArrayBuffer | Uint8Array): { tensor: Tensor; props?: any }
/** encodeBinary as text. */
export declare function encodeBase64(tensor: Tensor, props?: unknown): string
/** Inverse of encodeBase64. */
export declare function decodeBase64(text: string): { tensor: Tensor; props?: any }
/** "[[1, 2], [3, 4]]:Float32": all elements, for people and for decodeReadable. */
export declare function encodeReadable(tensor: Tensor): string
/** The tensor that encodeReadable wrote, or people: "[1, 2]" is float32, "[1, 2]: Int64" says otherwise. */
export declare function decodeReadable(text: string): Tensor
