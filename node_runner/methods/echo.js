'use strict';

/**
 * Answer with the value that came: what `pybridge doctor` and the tests of the pipe call.
 *
 * @param {{value?: unknown}} params
 */
function echo({ value }) {
  return value;
}

module.exports = { echo };
