'use strict';

/**
 * Answer with the value that came: what `pybridge doctor` and the tests of the pipe call.
 *
 * @param {{value?: unknown}} params
 */
function echo({ value }) {
  return value;
}

/**
 * Answer with the number of elements of an array: what it costs to bring an array to Node.js and nothing back.
 *
 * @param {{value: import('../rpc/ndarray').NDArray}} params
 */
function size({ value }) {
  return value.size;
}

module.exports = { echo, size };
