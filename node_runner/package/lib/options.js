'use strict';

const { DeployError } = require('./errors');

/**
 * A misspelt option would silently leave the default.
 *
 * @param {unknown} options
 * @param {string[]} known
 * @param {string} of the function
 * @throws {DeployError}
 */
function checkOptions(options, known, of) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new DeployError(`The options of ${of} must be an object such as {${known[0]}}, not ${options === null ? 'null' : typeof options}`, 'ERR_INPUT');
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new DeployError(`${of} has no option ${JSON.stringify(unknown.slice(0, 100))}; it has ${known.join(', ')}`, 'ERR_INPUT');
  }
}

module.exports = { checkOptions };
