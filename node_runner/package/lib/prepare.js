'use strict';

const { decodeImage } = require('./image/decode');
const { preprocess } = require('./preprocess');

/**
 * @typedef {import('./image/decode').Picture} Picture
 * @typedef {import('./preprocess').Preprocessing} Preprocessing
 *
 * @typedef {{maxPixels: number, maxBytes: number}} Limits
 * @typedef {{bytes: Uint8Array} | {picture: Picture}} Source an encoded picture, or its pixels
 *
 * @typedef {object} Preparer what makes a model's input of a source
 * @property {(source: Source, signal?: AbortSignal) => Promise<Float32Array>} prepare it may take the source's memory over
 * @property {() => void} close
 */

/**
 * @param {Source} source
 * @param {Preprocessing} preprocessing
 * @param {Limits} limits
 * @param {import('./image/decode').DecodeForeign} [decodeForeign]
 * @returns {Promise<Float32Array>} `height * width * 3` numbers
 * @throws {import('./errors').ImageError}
 */
async function prepare(source, preprocessing, limits, decodeForeign) {
  const picture = 'bytes' in source ? await decodeImage(source.bytes, limits, decodeForeign) : source.picture;
  const values = new Float32Array(preprocessing.height * preprocessing.width * 3);
  preprocess(picture, preprocessing, values);
  return values;
}

/**
 * Prepares in the thread that calls, one picture after the other. It blocks; in between, others have their turn and signals are heard.
 *
 * @param {Preprocessing} preprocessing
 * @param {Limits} limits
 * @param {import('./image/decode').DecodeForeign} [decodeForeign] absent in browsers
 * @returns {Preparer}
 */
function preparerHere(preprocessing, limits, decodeForeign) {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return {
    prepare(source, signal) {
      const made = last.then(() => {
        signal?.throwIfAborted();
        return prepare(source, preprocessing, limits, decodeForeign);
      });
      last = made.then(pause, pause);
      return made;
    },
    close() {},
  };
}

/** @returns {Promise<void>} */
function pause() {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });
}

module.exports = { prepare, preparerHere };
