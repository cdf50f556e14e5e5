'use strict';

const { EventEmitter } = require('events');
const os = require('os');
const path = require('path');
const { setTimeout: sleep } = require('timers/promises');

const { ServiceError, badInput, notFound } = require('../errors');
const { DEFAULTS } = require('../options');
const { Model } = require('./model');

/**
 * Models behind one face: each is loaded in processes of its own, its requests are put into batches, and new versions replace it
 * while it answers.
 *
 * @typedef {import('./served_version').Settings} Settings
 * @typedef {import('./worker_process').Facts} Facts
 * @typedef {import('./worker_process').Item} Item
 *
 * @typedef {object} Logger
 * @property {(details: object, message: string) => void} debug
 * @property {(details: object, message: string) => void} info
 * @property {(details: object, message: string) => void} warn
 * @property {(details: object, message: string) => void} error
 *
 * @typedef {object} ModelsOptions where there is no default here, it is that of the server's option (`options.json`)
 * @property {import('./model').Place[]} models each path is a package, or a folder with packages named `1`, `2`, ...
 * @property {number} [workers] processes of each model; TensorFlow uses all cores in one
 * @property {number} [maxBatch] images computed together
 * @property {number} [batchDelayMs] longest wait for a fuller batch while requests come in numbers
 * @property {number} [maxQueue] images of a model that may wait
 * @property {number} [maxQueueBytes] bytes of them, default 256 MiB
 * @property {number} [maxPixels] of an image
 * @property {number} [maxBytes] of an image
 * @property {number} [maxQueuePixels] of the images that may wait, decoded, default 10^9
 * @property {number} [maxBatchPixels] of the images that are decoded together, default 64 million
 * @property {number} [decodeTimeout] seconds for one image, default 10
 * @property {number} [loadTimeoutMs] default 120 s
 * @property {number} [batchTimeoutMs] after which a worker counts as stuck and is replaced, default 60 s
 * @property {string} [runtime] which TensorFlow.js the packages shall look for
 * @property {string} [tensorflow] a module whose `loadTensorflow()` gives the TensorFlow.js to use
 * @property {Logger} [logger]
 * @property {{intervalMs: number} | false} [reload] how often to look for new versions; false for never
 *
 * @typedef {{version?: string | number, images: Uint8Array[]} | {version?: string | number, tensor: {shape: number[], data: Float32Array}}} Input
 * @typedef {import('./worker_process').Tensor} Tensor
 * @typedef {{signal?: AbortSignal, deadline?: number}} InferOptions `deadline` in milliseconds since the epoch
 */

/** Decoded pixels in memory at a time, of 6 bytes each while a picture is made of them, for each process that computes. */
const BATCH_PIXELS = 64e6;
/** Decoded pixels of the images that may wait: those of a few seconds' work. */
const QUEUE_PIXELS = 1e9;
const DECODE_SECONDS = 10;

const REFUSAL_MS = 250;
const MOST_ATTEMPTS = 3;

/** Emits `batch` {name, version, size, queued, milliseconds, waits}, `version` {name, version, state, error} and `crash` {name, pid, reason}. */
class Models extends EventEmitter {
  /** @type {Map<string, Model>} */
  #models = new Map();
  #logger;
  #reload;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #closing = false;

  /** @param {ModelsOptions} options */
  constructor({ models, logger, reload = { intervalMs: DEFAULTS.reload * 1000 }, ...given }) {
    super();
    this.#logger = logger;
    this.#reload = reload;
    const workers = given.workers ?? DEFAULTS.workers;
    const cores = typeof os.availableParallelism === 'function' ? os.availableParallelism() : os.cpus().length;
    /** @type {Settings} */
    const settings = {
      workers,
      threads: Math.max(Math.floor(cores / workers), 1),
      maxBatch: given.maxBatch ?? DEFAULTS.maxBatch,
      batchDelayMs: given.batchDelayMs ?? DEFAULTS.batchDelay,
      maxQueue: given.maxQueue ?? DEFAULTS.maxQueue,
      maxQueueBytes: given.maxQueueBytes ?? 256 * 1024 * 1024,
      maxQueuePixels: given.maxQueuePixels ?? Math.max(QUEUE_PIXELS, given.maxPixels ?? 0),
      maxBatchPixels: given.maxBatchPixels ?? BATCH_PIXELS,
      decodeTimeout: given.decodeTimeout ?? DECODE_SECONDS,
      loadTimeoutMs: given.loadTimeoutMs ?? 120000,
      batchTimeoutMs: given.batchTimeoutMs ?? 60000,
      runtime: given.runtime,
      tensorflow: given.tensorflow && path.resolve(given.tensorflow),
      maxPixels: given.maxPixels,
      maxBytes: given.maxBytes,
    };
    const report = (/** @type {string} */ event, /** @type {any} */ details) => this.#hear(event, details);
    for (const place of models) this.#models.set(place.name, new Model(place, settings, report));
  }

  async start() {
    const outcomes = await Promise.allSettled([...this.#models.values()].map((model) => this.#startModel(model)));
    const failed = outcomes.find(({ status }) => status === 'rejected');
    if (failed) throw /** @type {PromiseRejectedResult} */ (failed).reason;
    if (!this.#reload) return;
    this.#timer = setInterval(() => this.#checkAll(), this.#reload.intervalMs).unref();
  }

  /** @returns {{name: string, versions: {version: string, state: string, error?: string}[], labels: Record<string, string>}[]} */
  list() {
    return [...this.#models.values()].map((model) => model.list());
  }

  /**
   * @param {string} name
   * @param {string | number} [version] by default the newest
   * @returns {{name: string, version: string} & Facts}
   * @throws {ServiceError} `NOT_FOUND` or `UNAVAILABLE`
   */
  metadata(name, version) {
    const served = this.#model(name).version(version);
    return { name, version: served.version, .../** @type {Facts} */ (served.facts) };
  }

  /**
   * @param {string} name
   * @param {Input} input encoded images; or preprocessed ones, float32 of shape [images, height, width, 3]
   * @param {InferOptions} [options]
   * @returns {Promise<{version: string, classes: string[], probabilities: Float32Array}>} the labels, and a probability for each of
   *   them, image by image
   * @throws {ServiceError} of any code; the signal's reason where it is aborted
   */
  async infer(name, input, options = {}) {
    const { served, results } = await this.#ask(name, input.version, options, (facts) => {
      if (facts.model) throw badInput('The model takes tensors, and not images');
      return 'tensor' in input ? fromTensor(input.tensor, facts) : fromImages(input.images);
    });
    const { labels } = /** @type {Facts} */ (served.facts);
    const probabilities = new Float32Array(results.length * labels.length);
    results.forEach((row, i) => probabilities.set(/** @type {Float32Array} */ (row), i * labels.length));
    return { version: served.version, classes: labels, probabilities };
  }

  /**
   * Of a model that takes tensors.
   *
   * @param {string} name
   * @param {{version?: string, signature: string, inputs: Tensor[]}} input in the order of the signature's inputs
   * @param {InferOptions} [options]
   * @returns {Promise<{version: string, outputs: Tensor[]}>} in the order of its outputs
   * @throws {ServiceError} of any code; the signal's reason where it is aborted
   */
  async compute(name, { version, signature, inputs }, options = {}) {
    const byteLength = inputs.reduce((sum, { data }) => sum + data.byteLength, 0);
    const { served, results } = await this.#ask(name, version, options, ({ model }) => {
      if (!model) throw badInput('The model takes images, and not tensors of its own');
      return [{ signature, inputs, byteLength }];
    });
    return { version: served.version, outputs: /** @type {{outputs: Tensor[]}} */ (results[0]).outputs };
  }

  /**
   * @param {string} name
   * @param {string | number | undefined} version
   * @param {InferOptions} options
   * @param {(facts: Facts) => Item[]} itemsFor
   */
  async #ask(name, version, options, itemsFor) {
    for (let attempt = 1; ; attempt++) {
      if (this.#closing) throw new ServiceError('UNAVAILABLE', 'The server is ending', { retryAfterSeconds: 1 });
      const served = this.#model(name).version(version);
      const items = itemsFor(/** @type {Facts} */ (served.facts));
      try {
        return { served, results: await served.infer(items, options) };
      } catch (error) {
        const { code, moved } = /** @type {any} */ (error);
        // Clients that ask again at once when they are refused would take the processor from those that are answered.
        if (code === 'OVERLOADED') await sleep(REFUSAL_MS);
        // While it waited, its version broke and another one took over.
        if (!moved || version !== undefined || attempt === MOST_ATTEMPTS || this.#closing) throw error;
      }
    }
  }

  /**
   * @param {string} [name] by default all
   * @returns {boolean} whether requests are answered
   */
  ready(name) {
    if (name !== undefined) return !this.#closing && this.#models.get(name)?.ready === true;
    return !this.#closing && [...this.#models.values()].every(({ ready }) => ready);
  }

  /**
   * Looks for other versions now, and tries those again that failed.
   *
   * @param {string} [name] by default all
   * @returns {Promise<void>} once they answer, or have failed: see `list`
   */
  async reload(name) {
    const models = name === undefined ? [...this.#models.values()] : [this.#model(name)];
    await Promise.allSettled(models.map((model) => model.check(true)));
  }

  /**
   * @param {{drain?: boolean, timeoutMs?: number}} [options] `drain` answers everything that was accepted first, within `timeoutMs`
   */
  async close({ drain = true, timeoutMs = 30000 } = {}) {
    this.#closing = true;
    clearInterval(this.#timer);
    const models = [...this.#models.values()];
    if (drain) {
      /** @type {NodeJS.Timeout | undefined} */
      let timer;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs)));
      await Promise.race([Promise.all(models.map((model) => model.empty())), late]);
      clearTimeout(timer);
    }
    await Promise.all(models.map((model) => model.stop()));
  }

  /** @returns {{models: import('./served_version').Stats[]}} figures of each version that works */
  stats() {
    return { models: [...this.#models.values()].flatMap((model) => model.stats()) };
  }

  /** @param {Model} model */
  async #startModel(model) {
    await model.check(true).catch((error) => {
      throw new ServiceError('UNAVAILABLE', `The model ${model.name} cannot be loaded: ${error.message}`, { cause: error });
    });
  }

  #checkAll() {
    for (const model of this.#models.values()) {
      model.check().catch((error) => this.#logger?.error({ model: model.name, error: String(error) }, 'looking for new versions failed'));
    }
  }

  /**
   * @param {string} name
   * @returns {Model}
   */
  #model(name) {
    const model = this.#models.get(name);
    if (!model) throw notFound(`There is no model ${JSON.stringify(String(name).slice(0, 100))}`);
    return model;
  }

  /**
   * @param {string} event
   * @param {any} details
   */
  #hear(event, details) {
    if (event === 'output') this.#logger?.debug(details, 'a worker wrote');
    if (event === 'crash') this.#logger?.error(details, 'a worker ended and is started again');
    if (event === 'version') this.#logger?.[details.state === 'FAILED' ? 'error' : 'info'](details, 'a version changed its state');
    if (event !== 'output') this.emit(event, details);
  }
}

/**
 * @param {ModelsOptions} options
 * @returns {Promise<Models>} once all models answer
 * @throws {ServiceError} `UNAVAILABLE` where one cannot be loaded; its message names it and says why
 */
async function createModels(options) {
  const models = new Models(options);
  try {
    await models.start();
  } catch (error) {
    await models.close({ drain: false });
    throw error;
  }
  return models;
}

/**
 * @param {Uint8Array[]} images
 * @returns {Item[]}
 */
function fromImages(images) {
  if (!Array.isArray(images) || images.length === 0) throw badInput('There is no image in the request');
  return images;
}

/**
 * @param {{shape: number[], data: Float32Array}} tensor
 * @param {Facts} facts
 * @returns {Item[]}
 */
function fromTensor({ shape, data }, { inputHeight, inputWidth }) {
  const size = inputHeight * inputWidth * 3;
  const [count, ...rest] = shape;
  if (rest.join() !== `${inputHeight},${inputWidth},3` || !(count >= 1) || data.length !== count * size) {
    throw badInput(`The tensor has the shape [${shape.join(', ')}]; the model takes [images, ${inputHeight}, ${inputWidth}, 3]`);
  }
  return Array.from({ length: count }, (_, i) => data.subarray(i * size, (i + 1) * size));
}

module.exports = { createModels };
