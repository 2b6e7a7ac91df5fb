import type { Differentiated, GradFn, Tensor } from '../index.js'

export type Json = null | boolean | number | string | bigint | Json[] | { [key: string]: Json }
/** What one message carries. An array of tensors travels as tensors named by their places. */
export type Content = Tensor | Tensor[] | Record<string, Tensor> | Json | void

export interface FetchOptions {
  /** Makes the answer part of the local graph. */
  grad_fn?: GradFn
  /** Milliseconds until the last byte of the answer; default 60,000. */
  timeout?: number
  headers?: Record<string, string>
  signal?: AbortSignal
  /** Sent as a bearer token. */
  token?: string
}

/**
 * Like fetch, for tensors: sends a tensor, an object of tensors or nothing,
 * and gives what the route answers. With `grad_fn` the answer is part of the
 * local graph. The gradient of an answer carries the answer's ticket back by
 * itself. Throws ShumaiError with the server's message, `code` and `status`.
 */
export declare function tfetch<T = Tensor>(url: string, input?: Content | null, options?: FetchOptions): Promise<T>

export interface RemoteModelOptions extends Omit<FetchOptions, 'grad_fn'> {
  /** Where gradients go; then `url` is the forward route itself. */
  backwardUrl?: string
  /** Called instead of throwing when a request fails. */
  errorHandler?: (error: Error) => unknown
}
/**
 * A model behind a server as a function: `await model(x)`, then `await loss.backward()`.
 * A string for the options is the backwardUrl.
 */
export declare function remote_model(url: string, options?: RemoteModelOptions | string): (input: Tensor, options?: FetchOptions) => Promise<Tensor>

export interface ServeLimits {
  maxBodyBytes?: number
  maxConnections?: number
  maxRequestsInFlight?: number
  maxSessions?: number
  maxTickets?: number
  maxTicketsPerSession?: number
  /** Seconds. */
  ticketLifetime?: number
  /** Seconds. */
  sessionLifetime?: number
  maxStoredAnswerBytes?: number
  /** Milliseconds. */
  shutdownGrace?: number
}
export interface ServeOptions {
  /** 0: any free one. Default 3000. */
  port?: number | string
  /** Default 127.0.0.1. */
  hostname?: string
  /** Allows an address that other machines reach. */
  insecure?: boolean
  limits?: ServeLimits
  /** Further members of /statistics. */
  statistics?: () => { [key: string]: Json }
}

/**
 * A place to keep things between calls. What a forward stores belongs to the
 * ticket of its answer, and to the session, where the latest value counts.
 * Functions and tensors go when the ticket is done; other values stay.
 */
export interface User {
  /** The session's. */
  readonly id: string
  /** By custom, what forward keeps for optimize. */
  opt: (jacobian: any) => any
  [key: string]: any
}
/**
 * A handler that isn't async needn't return the backward passes and updates that
 * it starts: its answer waits for them, and their errors are its own.
 */
export type Handler = (user: User, input: any) => Content | Promise<Content>

export declare class Server {
  /** The port that it listens on. */
  readonly port: number
  readonly url: string
  /** What /statistics answers. */
  statistics(): Record<string, Json>
  /** Refuses new requests, waits for running ones up to the grace, and lets the process end. */
  stop(): Promise<void>
}
/** Serves functions: `{name: (user, tensor) => ...}`. */
export declare function serve(handlers: Record<string, Handler>, options?: ServeOptions): Server
/** Serves a model at /forward, and the way back through it at /optimize. */
export declare function serve_model(
  model: (input: Tensor) => Tensor | Promise<Tensor>,
  gradUpdate?: (differentiated: Differentiated) => void | Promise<void>,
  options?: ServeOptions,
  handlers?: Record<string, Handler>,
): Server
