'use strict';

const { fork } = require('child_process');
const path = require('path');

/**
 * @typedef {{shape: number[], dtype: string, data: any}} Tensor
 * @typedef {{signature: string, inputs: Tensor[], byteLength: number}} Tensors for a model that takes them
 * @typedef {Uint8Array | Float32Array | Tensors} Item an encoded image, or a preprocessed one
 * @typedef {{name: string, dtype: string, shape: (number | null)[] | null}} Port
 * @typedef {{inputs: Port[], outputs: Port[]}} Signature
 * @typedef {Float32Array | {outputs: Tensor[]} | {code: string, message: string}} Result its probabilities or outputs, or why it cannot be used
 *
 * @typedef {object} Facts about a loaded package
 * @property {string[]} labels
 * @property {number} inputHeight
 * @property {number} inputWidth
 * @property {object} preprocessing
 * @property {string} precision
 * @property {string} runtime
 * @property {string} form
 * @property {string} digest SHA-256 of its manifest
 * @property {{signatures: Record<string, Signature>, defaultSignature: string}} [model] of a model that takes tensors and is no classifier
 *
 * @typedef {object} LoadOptions
 * @property {string} folder of the package
 * @property {string} [runtime] which TensorFlow.js to look for
 * @property {string} [tensorflow] a module whose `loadTensorflow` gives the TensorFlow.js to use
 * @property {number} [maxPixels] of an image
 * @property {number} [maxBytes] of an image
 * @property {number} [decodeTimeout] seconds for one image
 *
 * @typedef {LoadOptions & {kind: 'load'}} LoadMessage
 *
 * @typedef {object} ProcessOptions
 * @property {number} threads that its TensorFlow may use, unless the environment says
 * @property {number} loadTimeoutMs
 * @property {number} batchTimeoutMs
 * @property {(text: string) => void} [hear] takes what it writes to its stdout and stderr
 */

/** The process is gone, and with it the batch that it had. */
class WorkerGone extends Error {}

/** A process that computes batches, one at a time. */
class WorkerProcess {
  #child;
  #options;
  /** @type {{resolve: (message: any) => void, reject: (error: Error) => void, timer: NodeJS.Timeout} | null} */
  #asked = null;
  #count = 0;
  #reason = '';
  #output = '';

  /** @param {ProcessOptions} options */
  constructor(options) {
    this.#options = options;
    this.#child = fork(path.join(__dirname, 'worker.js'), [], {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { TF_NUM_INTRAOP_THREADS: String(options.threads), ...process.env },
    });
    this.pid = this.#child.pid;
    this.ended = new Promise((resolve) => {
      // `error` alone means that it could not be started.
      this.#child.once('error', (error) => resolve(this.#leave(error.message)));
      this.#child.once('exit', (code, signal) => resolve(this.#leave(signal ?? `exit code ${code}`)));
    });
    this.#child.on('message', (message) => this.#hear(message));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        this.#output = (this.#output + text).slice(-2000);
        options.hear?.(text);
      });
    }
  }

  /** @returns {boolean} whether it can take a batch */
  get idle() {
    return this.#asked === null && this.#child.connected;
  }

  /** @returns {string} the last that it wrote, for those who look for the cause of its end */
  get lastWords() {
    return this.#output.trim();
  }

  /**
   * @param {LoadOptions} options
   * @returns {Promise<Facts>}
   * @throws {Error} why the package cannot be loaded
   */
  async load(options) {
    const { facts, error } = await this.#ask({ kind: 'load', ...options }, this.#options.loadTimeoutMs);
    if (error) throw Object.assign(new Error(error.message), { code: error.code });
    return facts;
  }

  /**
   * @param {Item[]} items
   * @returns {Promise<Result[]>}
   * @throws {WorkerGone} where the process ended before its answer
   * @throws {Error} where the batch could not be computed
   */
  async run(items) {
    const { results, error } = await this.#ask({ kind: 'batch', id: ++this.#count, items }, this.#options.batchTimeoutMs);
    if (error) throw new Error(error.message);
    return results;
  }

  /** Lets it end by itself, or ends it where it does not. */
  async stop() {
    if (this.#child.connected) this.#child.disconnect();
    const late = setTimeout(() => this.kill('it did not end by itself'), 5000);
    await this.ended;
    clearTimeout(late);
  }

  /** @param {string} reason */
  kill(reason) {
    this.#reason ||= reason;
    this.#child.kill('SIGKILL');
  }

  /**
   * @param {object} message
   * @param {number} timeoutMs
   * @returns {Promise<any>}
   */
  #ask(message, timeoutMs) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.kill(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
      this.#asked = { resolve, reject, timer };
      // Where sending fails the channel is broken, and the process of no use.
      this.#child.send(message, (error) => error && this.kill(error.message));
    });
  }

  /** @param {any} message */
  #hear(message) {
    if (!this.#asked || (message.kind === 'batch' && message.id !== this.#count)) return;
    const { resolve, timer } = this.#asked;
    clearTimeout(timer);
    this.#asked = null;
    resolve(message);
  }

  /**
   * @param {string} how
   * @returns {string} the reason
   */
  #leave(how) {
    const reason = this.#reason || how;
    const asked = this.#asked;
    this.#asked = null;
    if (asked) clearTimeout(asked.timer);
    asked?.reject(new WorkerGone(reason));
    return reason;
  }
}

module.exports = { WorkerGone, WorkerProcess };
