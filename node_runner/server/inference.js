'use strict';

const { ServiceError, badInput, notFound } = require('./errors');
const { quote } = require('./json');

/**
 * @typedef {import('./inputs').Content} Content
 * @typedef {import('./models/worker_process').Signature} Signature
 * @typedef {import('./models/worker_process').Tensor} Tensor
 * @typedef {import('fastify').FastifyRequest} Request
 * @typedef {import('fastify').FastifyReply} Reply
 *
 * @typedef {object} Metadata of one version of a model
 * @property {string} name
 * @property {string | number} version
 * @property {string[]} labels
 * @property {number} inputHeight
 * @property {number} inputWidth
 * @property {object} [preprocessing]
 * @property {string} [runtime]
 * @property {string} [precision]
 * @property {{signatures: Record<string, Signature>, defaultSignature: string}} [model] of a model that takes tensors
 *
 * @typedef {{version: string | number, state: string, error?: string}} VersionState `error` says why it failed
 *
 * @typedef {{version: string | number, classes: string[], probabilities: Float32Array}} Found `classes` are the labels
 *
 * @typedef {object} Models what `models/` gives
 * @property {() => {name: string, versions: VersionState[], labels: Record<string, string>}[]} list
 * @property {(name: string, version?: string) => Metadata} metadata
 * @property {(name: string, input: Content & {version?: string}, options: {signal: AbortSignal, deadline: number}) =>
 *   Promise<Found>} infer
 * @property {(name: string, input: {version?: string, signature: string, inputs: Tensor[]}, options: {signal: AbortSignal, deadline: number}) =>
 *   Promise<{version: string, outputs: Tensor[]}>} compute
 * @property {(name?: string) => boolean} ready
 * @property {(name?: string) => Promise<unknown>} reload
 * @property {(options: {drain: boolean, timeoutMs: number}) => Promise<unknown>} close
 * @property {() => {models: import('./models/served_version').Stats[]}} stats
 * @property {(event: string, listener: (details: any) => void) => unknown} on
 *
 * @typedef {object} Service what the routes share
 * @property {import('./options').Options} options
 * @property {Models | null} models null while they are being loaded
 * @property {boolean} draining
 *
 * @typedef {{version: string, labels: string[], rows: number[][]}} Result probabilities of each image
 */

/**
 * @param {Service} service
 * @returns {Models}
 * @throws {ServiceError} while they are being loaded
 */
function modelsOf(service) {
  if (service.models) return service.models;
  throw new ServiceError('UNAVAILABLE', 'The models are being loaded', { retryAfterSeconds: 1 });
}

/**
 * @param {Service} service
 * @param {string} name
 * @param {string} [version]
 * @returns {Metadata}
 */
function metadataOf(service, name, version) {
  const models = modelsOf(service);
  if (!models.list().some((model) => model.name === name)) throw notFound(`There is no model ${quote(name)}`);
  return models.metadata(name, version);
}

/**
 * Answers for images. A client that goes away takes its images out of the queue.
 *
 * @param {Service} service
 * @param {Reply} reply
 * @param {{name: string, version?: string, content: Content}} question
 * @returns {Promise<Result>}
 */
async function infer(service, reply, { name, version, content }) {
  checkCount(service, 'images' in content ? content.images.length : content.tensor.shape[0]);
  return resultOf(await inTime(service, reply, (options) => modelsOf(service).infer(name, { version, ...content }, options)));
}

/**
 * Answers for tensors, of a model that takes them.
 *
 * @param {Service} service
 * @param {Reply} reply
 * @param {{name: string, version?: string, signature: string, inputs: Tensor[]}} question
 * @returns {Promise<{version: string, outputs: Tensor[]}>}
 */
async function compute(service, reply, { name, ...question }) {
  return inTime(service, reply, (options) => modelsOf(service).compute(name, question, options));
}

/**
 * @template T
 * @param {Service} service
 * @param {Reply} reply
 * @param {(options: {signal: AbortSignal, deadline: number}) => Promise<T>} ask
 * @returns {Promise<T>}
 */
async function inTime(service, reply, ask) {
  const seconds = service.options.requestTimeout;
  const aborting = new AbortController();
  const leave = () => {
    if (!reply.raw.writableEnded) aborting.abort(new ServiceError('BAD_INPUT', 'The client closed the connection', { status: 499 }));
  };
  const late = () => aborting.abort(new ServiceError('TIMEOUT', `There was no answer within ${seconds} s`, { retryAfterSeconds: 1 }));
  reply.raw.on('close', leave);
  const timer = setTimeout(late, seconds * 1000);
  try {
    const asked = ask({ signal: aborting.signal, deadline: Date.now() + seconds * 1000 });
    return await Promise.race([asked, rejection(aborting.signal)]);
  } finally {
    clearTimeout(timer);
    reply.raw.off('close', leave);
  }
}

/**
 * @param {Service} service
 * @param {number} count
 */
function checkCount({ options: { maxImages } }, count) {
  if (count === 0) throw badInput('There is no image in the request');
  if (count > maxImages) throw badInput(`There are ${count} images in the request; at most ${maxImages} are taken`, 413);
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<never>}
 */
function rejection(signal) {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}

/**
 * @param {Found} found
 * @returns {Result}
 */
function resultOf({ version, classes: labels, probabilities }) {
  if (!probabilities.every(Number.isFinite)) {
    throw badInput('The model has no finite answer for these values; are they preprocessed as the metadata say?');
  }
  const rows = [];
  for (let at = 0; at < probabilities.length; at += labels.length) rows.push(Array.from(probabilities.subarray(at, at + labels.length)));
  return { version: String(version), labels, rows };
}

/**
 * @param {number[]} row probabilities in the order of the labels
 * @returns {number[]} indices, the most probable first
 */
function ranking(row) {
  return row.map((_, i) => i).sort((a, b) => row[b] - row[a]);
}

module.exports = { checkCount, compute, infer, metadataOf, modelsOf, ranking };
