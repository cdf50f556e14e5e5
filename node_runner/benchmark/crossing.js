'use strict';

/** What `pybridge bench` calls across the bridge: a user's own functions. */

/** @type {Float32Array} */
let array = new Float32Array(0);

/** @param {Float32Array} values @returns {number} */
exports.size = (values) => values.length ?? /** @type {any} */ (values).size;

/** @param {number} size */
exports.make = (size) => {
  array = Float32Array.from({ length: size }, Math.random);
};

/** @returns {Float32Array} */
exports.give = () => array;

/** @param {number} number @returns {number} */
exports.same = (number) => number;
