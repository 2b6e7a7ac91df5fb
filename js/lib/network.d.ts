import type { Differentiated, GradFn, Tensor } from '../index.js'
import type { Module } from './module.js'

/** A value of JSON. */
export type Json = null | boolean | number | string | bigint | Json[] | { [key: string]: Json }
/** What one message carries. An array of tensors travels as tensors named by their places. */
export type Content = Tensor | Tensor[] | Record<string, Tensor> | Json | void

/** How a client speaks TLS, for https:// URLs. Names of files in PEM format, which are read again when they change. */
export interface ClientTlsOptions {
  /** Whom to trust instead of the system's certificate authorities. */
  ca?: string
  /** The client's own certificate, and those between it and its root, for servers that want one. */
  cert?: string
  /** Its key, without a passphrase. */
  key?: string
  /** The name or address in the server's certificate, when it isn't the URL's host. */
  serverName?: string
}

export interface FetchOptions {
  tls?: ClientTlsOptions
  /** Makes the answer part of the local graph. */
  grad_fn?: GradFn
  /** Milliseconds until the last byte of the answer, retries included; default 60,000. */
  timeout?: number
  /**
   * For how many milliseconds failures are retried that another attempt may
   * cure: the server can't be reached, or answers 429 or 503; and, for requests
   * that may be repeated, the connection breaks. Default 10,000, of remote_model
   * 60,000. Waits grow from 25 ms to 2 s, and come after what Retry-After asks
   * for. A server that never answered this process is waited for 5 s at most.
   */
  retryFor?: number
  /**
   * Running the request twice does no harm. True in any case of one with a
   * ticket, which runs once, of one without a body and of one with a grad_fn.
   */
  repeatable?: boolean
  headers?: Record<string, string>
  /** Ends the request, also while it waits for its next attempt. */
  signal?: AbortSignal
  /** Sent as a bearer token. Nothing that the request leads to sends it on. */
  token?: string
  /**
   * How tensors are written, both ways. 'bf16' and 'f16': float32 is rounded to
   * two bytes on the way and is float32 again for the receiver; f16 ends at
   * 65504, beyond which the call fails. 'shumai': the binary of the original
   * Shumai, for its servers. Default 'safetensors'. See docs/wire.md.
   */
  wire?: 'safetensors' | 'bf16' | 'f16' | 'shumai'
  /** 'zstd': compresses requests that get smaller by it, and asks for answers so. An original Shumai doesn't know it. */
  compress?: 'zstd'
  /** With wire 'shumai': who the server takes this client for, up to 16 hexadecimal digits. Default: the process. */
  id?: string
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
  /** For `backwardUrl`; default: `token` when it is on the same server, else none. */
  backwardToken?: string
  /** Called instead of throwing when a request fails for good. */
  errorHandler?: (error: Error) => unknown
  /**
   * The server is told the loss with each gradient, for its dashboard: the value of the tensor that backward() was
   * called on, when it has one element, and how many gradients were sent. Default false.
   */
  reportLoss?: boolean
}
/**
 * A model behind a server as a function: `await model(x)`, then `await loss.backward()`.
 * When the server has forgotten the forward by the time of the gradient (it was
 * restarted, say, or finds it stale), the forward is repeated with the input,
 * which is kept for that, and the gradient goes to the new one. A string for the options is the backwardUrl.
 */
export declare function remote_model(url: string, options?: RemoteModelOptions | string): (input: Tensor, options?: FetchOptions) => Promise<Tensor>

/** What a server takes and keeps before it refuses. All times in milliseconds. */
export interface ServeLimits {
  /** 413; default 1 GiB. */
  maxBodyBytes?: number
  /** 431; default 16 KiB. */
  maxHeaderBytes?: number
  /** 431; default 100. */
  maxHeaders?: number
  /** 503; default 10,000. */
  maxConnections?: number
  /** 503; default 1,000. */
  maxRequestsInFlight?: number
  /** 429; default 256. */
  maxRequestsInFlightPerSession?: number
  /** Servers that call each other for one request: 508; default 16. */
  maxHops?: number
  /** 408; default 10,000. */
  headerTimeout?: number
  /** The longest silence within a body: 408; default 30,000. */
  bodyTimeout?: number
  /** Bytes a second over a whole body: 408; default 1024; 0: any. */
  minBodyRate?: number
  /** Between requests; default 75,000. */
  keepAliveTimeout?: number
  /** Without taking a byte of an answer; default 30,000. */
  writeTimeout?: number
  /** For reading why a request was refused; default 2,000. */
  lingerTimeout?: number
  /** 429 for a new one; default 100,000. */
  maxSessions?: number
  /** Live ones; 429 for a new one; default 100,000. */
  maxTickets?: number
  /** Beyond it the session's oldest expires; default 1,000. */
  maxTicketsPerSession?: number
  /** Of the graphs that live tickets hold: over it a new forward is answered 429; default 4 GiB. */
  maxTicketBytes?: number
  /** Without the weights, which sessions share; beyond it the session's oldest expire; default 1 GiB. */
  maxTicketBytesPerSession?: number
  /** 410 afterwards; default 600,000. */
  ticketLifetime?: number
  /** Since its last request; default 3,600,000. */
  sessionLifetime?: number
  /** For how long it is remembered that a ticket's step was taken; default 3,600,000. */
  finishedLifetime?: number
  /** Of how many tickets; default 100,000. */
  maxFinishedTickets?: number
  /** For how long answers are kept for retries; default 300,000. */
  answerLifetime?: number
  /** And how much of them; default 64 MiB. */
  maxStoredAnswerBytes?: number
  /** For running requests, and the last checkpoint, at stop(); default 10,000. */
  shutdownGrace?: number
}

/** What an optimizer remembers of weights, for checkpoints. */
export interface OptimizerState {
  state(weights: Record<string, Tensor>): Record<string, Tensor>
  loadState(state: Record<string, Tensor>, weights: Record<string, Tensor>): unknown
}

/**
 * Saves what a server has learned; serve() resumes from the newest checkpoint
 * that is whole. A checkpoint is a safetensors file, checkpoint-N.safetensors
 * with N the number of updates, that appears complete or not at all, with the
 * steps that were taken, so that a retry after a crash isn't a second step. An
 * update belongs to the checkpoint of the call that made it when nothing that
 * takes time is awaited between the update and the handler's answer.
 */
export interface CheckpointOptions {
  /** Made when it is missing. */
  directory: string
  /** What is saved and resumed: the state of a module, or tensors. serve_model takes its module by itself. */
  weights?: Module | Tensor[] | Record<string, Tensor>
  /** Its state is saved and resumed too. serve_model takes its optimizer, such as sm.optim.adam(), by itself. */
  optimizer?: OptimizerState
  /** Milliseconds between checkpoints of 'interval'; default 10,000. */
  interval?: number
  /**
   * 'interval', the default: now and then; a crash loses the updates since the
   * last one. 'every-update': before an update is acknowledged; updates that
   * wait at the same time share one write.
   */
  durability?: 'interval' | 'every-update'
  /** Older checkpoints are removed; default 3. */
  keep?: number
}

/**
 * What happens to a gradient whose forward saw older weights. `scale` divides
 * it by 1 + the number of updates since; `reject` answers 409 with the code
 * "stale" above `limit` updates (default 0), and remote_model repeats the forward.
 */
export type StalenessPolicy = 'accept' | 'scale' | 'reject'

/**
 * Several servers of one model that learn together, each from its own clients:
 * see docs/replicas.md. Every so often they average what each learned, in the
 * background, with an outer optimizer (Douillard et al., "DiLoCo", 2023).
 */
export interface ReplicaOptions {
  /** Where they find each other: a folder that all share, or redis://[:PASSWORD@]HOST[:PORT][/DATABASE]. */
  rendezvous: string
  /** Tells groups in one place apart; default 'model'. */
  group?: string
  /** This server's name, the same after a restart; default: host and port. Sessions begin with it. */
  id?: string
  /** Where other replicas reach this machine, on any port of a private network; default '127.0.0.1'. */
  address?: string
  /** Updates of one server between averages; 0: by time alone. Default 50. */
  every?: number
  /** Milliseconds between averages; default 0: by updates alone. */
  interval?: number
  /** Every update is averaged before it is acknowledged. */
  synchronous?: boolean
  /** Nesterov's momentum on what an average moves; default rate 0.7, momentum 0.9. Rate 1 and momentum 0: the mean. */
  outer?: { rate?: number; momentum?: number }
  /** Milliseconds of silence after which a member is gone until it comes back; default 2,000. */
  timeout?: number
  /** What is averaged. Default: the checkpoint's, or in serve_model its module. */
  weights?: Module | Tensor[] | Record<string, Tensor>
}

/** A tensor as the Open Inference Protocol describes it. */
export interface InferenceTensor {
  name: string
  datatype: 'BOOL' | 'UINT8' | 'INT8' | 'INT16' | 'UINT16' | 'INT32' | 'UINT32' | 'INT64' | 'UINT64' | 'FP16' | 'BF16' | 'FP32' | 'FP64'
  /** -1: any size. */
  shape: number[]
}
/** A route as a model of the Open Inference Protocol. */
export interface InferenceModel {
  /** Default 'model'. */
  name?: string
  /** Default 'forward'. */
  route?: string
  /** Checked when given; else metadata tells what the route saw last. */
  inputs?: InferenceTensor[]
  outputs?: InferenceTensor[]
}

/**
 * How serve_model runs several clients at once: inputs of one dtype and one
 * shape but for their rows (axis 0) go through the model together, and each
 * client gets its rows. So do gradients of answers that came of one batch, when
 * they arrive within `delay` of each other. For models in which no row's answer
 * depends on other rows: not for batch norm in training, say. A batch that
 * fails, or has NaN or infinity in it, is run again, each client alone.
 */
export interface BatchOptions {
  /** Rows; 1, the default: no batches. */
  max?: number
  /** Milliseconds that a request waits for others, while others may still come; default 1. */
  delay?: number
  /**
   * 'each': one update for each client, as without batches, by a backward pass
   * through the whole batch for each. 'summed': one with the sum of all whose
   * gradients went back together, which comes to the same for plain gradient
   * descent, and is one step on a larger batch for others; not with
   * `guard.maxNorm`. 'auto', the default: 'summed' for sm.optim.sgd itself and
   * an sm.optim.SGD without momentum, weight decay and schedule.
   */
  updates?: 'auto' | 'each' | 'summed'
}

/** Only its hash stays in memory. */
export interface Token {
  /** In logs and statistics, and its session. Letters, digits, '.', '_', '-'. */
  name: string
  /** At least 16 visible characters, such as of `openssl rand -hex 32`. */
  secret: string
  /** "statistics", "metrics" and "/" count as routes. Default: all. */
  routes?: string[]
}

/**
 * How a server speaks TLS. Names of files in PEM format, which are looked at
 * every second: new connections get what they hold then, and files that can't
 * be used are reported in the log while what was loaded before stays in use.
 */
export interface TlsOptions {
  /** The certificate, then those between it and its root. */
  cert: string
  /** Without a passphrase. */
  key: string
  /** Clients must have a certificate that one of these signed; `user.peerName` says whose. */
  clientCa?: string
  /** Default '1.2'. */
  minVersion?: '1.2' | '1.3'
}

export interface ServeOptions {
  /** https instead of http. */
  tls?: TlsOptions
  /** 0: any free one. Default 3000. */
  port?: number | string
  /** Default 127.0.0.1. */
  hostname?: string
  /** Who may connect to the file of a `unix:` hostname; default 0o600, its owner. */
  socketMode?: number
  /** One token, named "default", for all routes: requests carry it as `Authorization: Bearer TOKEN`. */
  token?: string
  /**
   * With any token every request needs one, but those of /health/*: 401 without,
   * 403 for a route that it isn't for. Sessions and tickets belong to tokens.
   */
  tokens?: Token[]
  /** More of them, one a line: name secret [route,route...]. Read again when it changes. */
  tokenFile?: string
  /** One more, named "environment", whose secret is in SHUMAI_TOKEN. */
  tokenFromEnvironment?: boolean
  /** Allows an address that other machines reach without any token. */
  insecure?: boolean
  /** Origins ("https://app.example") whose pages may call from a browser; "*": all. */
  cors?: string[]
  /** Names beside localhost by which a server without tokens may be called, such as a proxy's; "*": all. */
  allowedHosts?: string[]
  limits?: ServeLimits
  checkpoint?: CheckpointOptions
  /** Default 'accept'. */
  staleness?: StalenessPolicy | { policy: StalenessPolicy; limit?: number }
  /**
   * Gradients with NaN or infinity, or with a norm above `maxNorm`, are refused
   * with 422 before any weight changes. false: they aren't.
   */
  guard?: boolean | { maxNorm?: number }
  /** Of serve_model. */
  batch?: BatchOptions
  replicas?: ReplicaOptions
  /**
   * SIGTERM and SIGINT stop the server and end the process with status 0,
   * unless the process listens for the signal itself. false: they do what they
   * did before.
   */
  signals?: boolean
  /** What /v2/models has (see docs/inference.md). Default: `model` for the route `forward`, if there is one. */
  inference?: InferenceModel | InferenceModel[]
  /** Further members of /statistics. They may have to be awaited; those of the last time stand in after 10 ms. */
  statistics?: () => { [key: string]: Json } | Promise<{ [key: string]: Json }>
}

/**
 * A place to keep things between calls. What a forward stores belongs to the
 * ticket of its answer, and to the session, where the latest value counts.
 * Functions and tensors go when the ticket is done; other values stay.
 */
export interface User {
  /** The session's. */
  readonly id: string
  /**
   * Whose verified certificate the client has, where the server's `tls.clientCa`
   * asks for one: its common name, else its first URI, DNS name or mail address.
   */
  readonly peerName?: string
  /** The name of the token that the request came with; undefined when the server has none. */
  readonly token?: string
  /** By custom, what forward keeps for optimize. */
  opt: (jacobian: any) => any
  [key: string]: any
}
/**
 * A handler that isn't async needn't return the backward passes and updates that
 * it starts: its answer waits for them, and their errors are its own.
 */
export type Handler = (user: User, input: any) => Content | Promise<Content>

/** A server that runs. */
export declare class Server {
  /** The port that it listens on. */
  readonly port: number
  /** "http://127.0.0.1:3000", or "unix:/path", whose routes are "unix:/path:/route". */
  readonly url: string
  /** What /statistics answers. */
  statistics(): Record<string, Json>
  /** Refuses new requests, waits for running ones up to the grace, writes a last checkpoint, and lets the process end. */
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

export interface RunnerOptions extends Pick<ServeOptions, 'token' | 'tokens' | 'tokenFile' | 'tokenFromEnvironment' | 'hostname' | 'signals'> {
  /** Default 3113. */
  port?: number
  /** Milliseconds that a command may take, and a model to start; default 60,000. */
  timeLimit?: number
  /** Bytes kept of each of a command's streams, and of a model's; default 1 MiB. */
  maxOutput?: number
  /** Running at once; default 4. */
  maxCommands?: number
  /** Where commands run; default: the process's own. */
  directory?: string
  /** Gets a line for the begin and end of everything that is run; default: standard error. */
  log?: (line: string) => void
}
/**
 * Runs commands and serves models for remote_runner. Whoever has its token may
 * do all that this process may; without one it doesn't start. Commands end at
 * `timeLimit`, and with this process.
 */
export declare function serve_runner(options: RunnerOptions): Server

/** How a command ended. */
export interface CommandResult {
  stdout: string
  stderr: string
  /** null when a signal ended it. */
  status: number | null
  signal: string | null
  /** Bytes of output beyond maxOutput. */
  dropped: number
}
/** A runner on another machine. */
export interface RemoteRunner {
  /** What a command writes to its standard output. As a template, with its values quoted. */
  shell(command: string | TemplateStringsArray, ...values: unknown[]): Promise<string>
  run(command: string | TemplateStringsArray, ...values: unknown[]): Promise<CommandResult>
  /** What the served model has written last. */
  logs(): Promise<{ stdout: string; stderr: string }>
  /** Serves the default export of a file, trained by its `backward`, in place of the model before it; default port 3000. */
  serve_model(file: string, port?: number): Promise<(input: Tensor, options?: FetchOptions) => Promise<Tensor>>
}
/** The runner that serve_runner serves at `url`. */
export declare function remote_runner(url: string, options: { token: string; timeout?: number }): RemoteRunner
