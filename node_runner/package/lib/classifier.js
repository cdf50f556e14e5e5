'use strict';

const { DeployError, IntegrityError } = require('./errors');
const { MAX_BYTES, MAX_PIXELS } = require('./image/decode');
const { preparerHere } = require('./prepare');
const { checkOptions } = require('./options');
const { predictBatch } = require('./predict_batch');

/**
 * @typedef {import('./preprocess').Preprocessing} Preprocessing
 *
 * @typedef {object} Manifest what `manifest.json` says, as far as it is used here
 * @property {string} format
 * @property {number} version
 * @property {string[]} labels
 * @property {Preprocessing} preprocessing
 * @property {{file: string, layers: string | null}} model
 * @property {{file: string} | null} [graph] the fused form
 * @property {SavedModelForm | null} saved_model
 * @property {{width: number, height: number, labels?: string[], probabilities: number[], tolerance: number}} check `labels` whose they are
 * @property {Record<string, string>} versions
 * @property {Record<string, {sha256: string, bytes: number}>} files
 *
 * @typedef {{folder: string, input: string, output: string}} Stage
 * @typedef {{tensorflow: string, stages: Stage[], images?: {folder: string, inputs: string[], output: string}}} SavedModelForm `images`
 *   makes the model's input of encoded images
 *
 * @typedef {object} Engine what computes
 * @property {any} tf the TensorFlow.js namespace
 * @property {string} runtime its name for people, such as `tfjs-node` or `wasm`
 * @property {string} form `graph`, `layers` or `saved_model`
 * @property {(batch: any) => any} predict from a preprocessed batch to probabilities, which the caller disposes of
 * @property {(files: Uint8Array[]) => any} [predictFiles] from encoded JPEG and PNG files to probabilities, likewise; throws where one
 *   of them cannot be decoded
 * @property {() => void} dispose
 *
 * @typedef {{label: string, probability: number}} Answer
 * @typedef {{topK?: number, signal?: AbortSignal}} ClassifyOptions
 * @typedef {ClassifyOptions & {batchSize?: number}} ManyOptions
 *
 * @typedef {object} ReadingOptions
 * @property {import('./input').Reading['readFile']} [readFile]
 * @property {(preprocessing: Preprocessing, limits: import('./prepare').Limits) => import('./prepare').Preparer} [preparer]
 * @property {number} [maxPixels]
 * @property {number} [maxBytes]
 */

/** Answers with labels and probabilities; made by `load`. */
class Classifier {
  /** @type {Engine | null} */
  #engine;
  /** @type {import('./input').Reading} */
  #reading;
  /** @type {import('./prepare').Preparer} */
  #preparer;

  /**
   * @param {Manifest} manifest
   * @param {Engine} engine
   * @param {ReadingOptions} [options]
   */
  constructor(manifest, engine, { readFile, preparer = preparerHere, maxPixels = MAX_PIXELS, maxBytes = MAX_BYTES } = {}) {
    const limits = { maxPixels: positive(maxPixels, 'maxPixels'), maxBytes: positive(maxBytes, 'maxBytes') };
    this.#engine = engine;
    this.#reading = { readFile, ...limits };
    this.#preparer = preparer(manifest.preprocessing, limits);
    this.manifest = manifest;
    this.labels = Object.freeze([...manifest.labels]);
    this.runtime = engine.runtime;
    this.form = engine.form;
  }

  /**
   * @param {unknown} input an image; see `toSource` in `input.js`
   * @param {ClassifyOptions} [options] how many answers; all by default
   * @returns {Promise<Answer[]>} best first
   */
  async classify(input, options = {}) {
    checkOptions(options, ['topK', 'signal'], 'classify');
    const [answers] = await this.#run([input], { ...options, batchSize: 1 });
    return answers;
  }

  /**
   * @param {Iterable<unknown>} inputs
   * @param {ManyOptions} [options] `batchSize` images, 16 by default, are in memory at a time
   * @returns {Promise<Answer[][]>} in the order of the inputs
   */
  async classifyMany(inputs, options = {}) {
    checkOptions(options, ['topK', 'signal', 'batchSize'], 'classifyMany');
    if (typeof inputs !== 'object' || inputs === null || !(Symbol.iterator in inputs) || ArrayBuffer.isView(inputs)) {
      throw new DeployError('classifyMany takes an array of images; for one image there is classify', 'ERR_INPUT');
    }
    return this.#run([...inputs], options);
  }

  /**
   * For servers, which put the pictures of many callers into one batch.
   *
   * @param {unknown[]} inputs one batch of images
   * @returns {Promise<(Float32Array | Error)[]>} for each the probabilities in the order of `labels`; an image that cannot be used costs
   *   the others nothing: its error stands in its place
   */
  async settle(inputs) {
    return this.#settle(inputs);
  }

  /**
   * @param {any} batch float32 tensor of shape [images, height, width, 3], preprocessed; it stays the caller's
   * @returns {any} tensor of shape [images, labels], the caller's to dispose
   */
  predict(batch) {
    const { height, width } = this.manifest.preprocessing;
    const shape = batch?.shape;
    if (!Array.isArray(shape) || shape.length !== 4 || shape.slice(1).join() !== `${height},${width},3` || batch.dtype !== 'float32') {
      const found = Array.isArray(shape) ? `a ${batch.dtype} tensor of shape [${shape.join(', ')}]` : typeof batch;
      throw new DeployError(`predict takes a float32 tensor of shape [images, ${height}, ${width}, 3], not ${found}`, 'ERR_INPUT');
    }
    return this.#running().predict(batch);
  }

  /** Frees the model. Calls that come later are rejected; it may be called twice. */
  dispose() {
    this.#preparer.close();
    this.#engine?.dispose();
    this.#engine = null;
  }

  /**
   * @param {unknown[]} inputs
   * @param {ManyOptions} options
   * @returns {Promise<Answer[][]>}
   */
  async #run(inputs, { topK = this.labels.length, batchSize = 16, signal }) {
    positive(topK, 'topK');
    positive(batchSize, 'batchSize');
    this.#running();
    signal?.throwIfAborted();
    /** @type {Answer[][]} */
    const results = [];
    for (let start = 0; start < inputs.length; start += batchSize) {
      const found = await this.#settle(inputs.slice(start, start + batchSize), signal);
      signal?.throwIfAborted();
      found.forEach((probabilities, i) => {
        if (probabilities instanceof Error) throw inputs.length > 1 ? withIndex(probabilities, start + i) : probabilities;
        results.push(this.#answers(probabilities, topK));
      });
    }
    return results;
  }

  /**
   * @param {unknown[]} inputs
   * @param {AbortSignal} [signal]
   * @returns {Promise<(Float32Array | Error)[]>}
   */
  async #settle(inputs, signal) {
    const { height, width } = this.manifest.preprocessing;
    const parts = { engine: this.#running(), preparer: this.#preparer, reading: this.#reading, shape: [height, width, 3] };
    try {
      return await predictBatch(parts, inputs, signal);
    } catch (error) {
      this.#running();
      throw error;
    }
  }

  /**
   * @param {Float32Array} probabilities
   * @param {number} topK
   * @returns {Answer[]}
   */
  #answers(probabilities, topK) {
    return this.labels
      .map((label, i) => ({ label, probability: probabilities[i] }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, topK);
  }

  /** @returns {Engine} */
  #running() {
    if (!this.#engine) throw new DeployError('The classifier was disposed of; load it again', 'ERR_DISPOSED');
    return this.#engine;
  }
}

/**
 * Runs the picture whose probabilities the manifest has from Python. It shows that this TensorFlow.js computes the same, and
 * warms it up.
 *
 * @param {Classifier} classifier
 * @returns {Promise<number>} the largest difference of a probability
 */
async function selfCheck(classifier) {
  const { width, height, labels = classifier.labels, probabilities, tolerance } = classifier.manifest.check;
  if (labels.length !== classifier.labels.length || labels.some((label, i) => label !== classifier.labels[i])) {
    throw new IntegrityError('manifest.json has other labels than those that Python answered with. Install or deploy the package again');
  }
  const [found] = await classifier.settle([{ data: checkPicture(width, height), width, height }]);
  if (found instanceof Error) throw found;
  const { length } = classifier.labels;
  if (found.length !== length || probabilities.length !== length) {
    throw new IntegrityError(`manifest.json has ${length} labels for a model of ${found.length}. Install or deploy the package again`);
  }
  const worst = Math.max(...Array.from(found, (probability, i) => Math.abs(probability - probabilities[i])));
  if (!(worst <= tolerance)) {
    throw new DeployError(
      `This TensorFlow.js (${classifier.runtime}) computes other probabilities than Python: they differ by ${worst}, and at most ` +
        `${tolerance} are expected. Use another version of TensorFlow.js, or load with {check: false} to go on all the same`,
      'ERR_RUNTIME',
    );
  }
  return worst;
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array} a pattern of coloured waves; Python makes the same
 */
function checkPicture(width, height) {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const wave = (x * (3 + channel) + y * (5 - channel) + 40 * channel) % 510;
        data[at++] = wave < 256 ? wave : 510 - wave;
      }
    }
  }
  return data;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number}
 */
function positive(value, name) {
  if (!Number.isInteger(value) || Number(value) < 1) {
    throw new DeployError(`${name} must be a whole number of at least 1, not ${String(value)}`, 'ERR_INPUT');
  }
  return Number(value);
}

/**
 * @param {Error} error
 * @param {number} index of the input that it is about
 * @returns {Error} the same
 */
function withIndex(error, index) {
  if (!(error instanceof DeployError)) return error;
  error.message = `inputs[${index}]: ${error.message}`;
  return Object.assign(error, { index });
}

module.exports = { Classifier, selfCheck };
