'use strict';

const { checkStructure } = require('./image/decode');
const { formatOf } = require('./image/format');
const { pixelsOf } = require('./image/size');
const { toSource } = require('./input');

/**
 * @typedef {import('./classifier').Engine} Engine
 * @typedef {import('./prepare').Source | {values: Float32Array}} Source `values` are prepared already
 * @typedef {Float32Array | Error} Outcome
 *
 * @typedef {object} Parts what a classifier is made of
 * @property {Engine} engine
 * @property {import('./prepare').Preparer} preparer
 * @property {import('./input').Reading} reading
 * @property {number[]} shape of one prepared picture: height, width, 3
 */

/** Decoded pixels that TensorFlow may hold at a time: 3 bytes each, and as much again while it turns them upright. */
const MOST_PIXELS = 64e6;

/**
 * The probabilities of each input. One that cannot be used costs the others nothing: its error stands in its place. A Float32Array is
 * a prepared picture.
 *
 * @param {Parts} parts
 * @param {unknown[]} inputs
 * @param {AbortSignal} [signal]
 * @returns {Promise<Outcome[]>}
 */
async function predictBatch({ engine, preparer, reading, shape }, inputs, signal) {
  const sources = await Promise.all(inputs.map((input) => sourceOf(input, shape, reading, signal).catch(asError)));
  signal?.throwIfAborted();
  /** @type {(Outcome | undefined)[]} */
  const outcomes = sources.map((source) => (source instanceof Error ? source : undefined));
  for (const group of engine.predictFiles ? groupsOf(sources, reading.maxPixels) : []) await byFiles(engine, sources, group, outcomes);
  await byPreparing(engine, preparer, sources, shape, outcomes, signal);
  return /** @type {Outcome[]} */ (outcomes);
}

/**
 * @param {unknown} input
 * @param {number[]} shape
 * @param {import('./input').Reading} reading
 * @param {AbortSignal} [signal]
 * @returns {Promise<Source>}
 */
async function sourceOf(input, [height, width, channels], reading, signal) {
  if (input instanceof Float32Array && input.length === height * width * channels) return { values: input };
  return toSource(input, reading, signal);
}

/**
 * @param {(Source | Error)[]} sources
 * @param {number} maxPixels of one picture
 * @returns {number[][]} positions of the files that TensorFlow may decode together
 */
function groupsOf(sources, maxPixels) {
  /** @type {number[][]} */
  const groups = [];
  let room = 0;
  sources.forEach((source, i) => {
    const pixels = !(source instanceof Error) && 'bytes' in source ? pixelsForTensorflow(source.bytes) : null;
    if (pixels === null || pixels > maxPixels) return;
    room -= pixels;
    if (room < 0 || groups.length === 0) {
      groups.push([]);
      room = MOST_PIXELS - pixels;
    }
    groups[groups.length - 1].push(i);
  });
  return groups;
}

/**
 * @param {Uint8Array} file
 * @returns {number | null} null for one that is not given to TensorFlow: the decoder in JavaScript says what is wrong with it
 */
function pixelsForTensorflow(file) {
  try {
    checkStructure(file);
    return ['jpeg', 'png'].includes(formatOf(file)) ? pixelsOf(file) : null;
  } catch {
    return null;
  }
}

/**
 * Lets TensorFlow decode. It does not say which file of a batch is damaged, so the batch is halved until that one is alone; it is left
 * to the decoder in JavaScript, which has the words for it.
 *
 * @param {Engine} engine
 * @param {(Source | Error)[]} sources
 * @param {number[]} group
 * @param {(Outcome | undefined)[]} outcomes
 * @returns {Promise<void>}
 */
async function byFiles(engine, sources, group, outcomes) {
  let output;
  try {
    output = engine.predictFiles?.(group.map((i) => /** @type {{bytes: Uint8Array}} */ (sources[i]).bytes));
  } catch {
    if (group.length === 1) return;
    const middle = group.length >> 1;
    await byFiles(engine, sources, group.slice(0, middle), outcomes);
    return byFiles(engine, sources, group.slice(middle), outcomes);
  }
  (await rowsOf(output)).forEach((row, position) => (outcomes[group[position]] = row));
}

/**
 * @param {Engine} engine
 * @param {import('./prepare').Preparer} preparer
 * @param {(Source | Error)[]} sources
 * @param {number[]} shape
 * @param {(Outcome | undefined)[]} outcomes those that are missing are made
 * @param {AbortSignal} [signal]
 */
async function byPreparing(engine, preparer, sources, shape, outcomes, signal) {
  const missing = outcomes.flatMap((outcome, i) => (outcome === undefined ? [i] : []));
  const prepared = await Promise.all(
    missing.map(async (i) => {
      const source = /** @type {Source} */ (sources[i]);
      return 'values' in source ? source.values : preparer.prepare(source, signal).catch(asError);
    }),
  );
  signal?.throwIfAborted();
  /** @type {Float32Array[]} */
  const good = [];
  missing.forEach((i, position) => {
    const values = prepared[position];
    if (values instanceof Error) outcomes[i] = values;
    else good.push(values);
  });
  if (good.length === 0) return;
  const size = good[0].length;
  const values = new Float32Array(good.length * size);
  good.forEach((picture, row) => values.set(picture, row * size));
  const batch = engine.tf.tensor(values, [good.length, ...shape], 'float32');
  let rows;
  try {
    rows = await rowsOf(engine.predict(batch));
  } finally {
    batch.dispose();
  }
  for (const i of missing) outcomes[i] ??= rows.shift();
}

/**
 * @param {any} output of shape [rows, classes], which is disposed of
 * @returns {Promise<Float32Array[]>}
 */
async function rowsOf(output) {
  const [count, classes] = output.shape;
  try {
    const values = await output.data();
    return Array.from({ length: count }, (_, row) => values.slice(row * classes, (row + 1) * classes));
  } finally {
    output.dispose();
  }
}

/**
 * @param {unknown} reason
 * @returns {Error}
 */
function asError(reason) {
  return reason instanceof Error ? reason : new Error(String(reason));
}

module.exports = { predictBatch };
