'use strict';

const path = require('node:path');
const { inspect } = require('node:util');
const { JAVASCRIPT_ERROR } = require('./protocol');

const MOST_CAUSES = 10;
const MOST_MEMBERS = 50;
const MOST_CHARACTERS = 10_000;
// Between a caller and the function that was called lie only frames of the pipe and of Node.js.
const RUNNER = path.dirname(__dirname);
const OWN_FRAME = [path.join(RUNNER, 'rpc'), path.join(RUNNER, 'methods', 'script'), path.join(RUNNER, 'methods', 'objects'), path.join(RUNNER, 'tensorflow', 'index.js'), 'node:internal/'];

/** An error with a JSON-RPC code, and a hint that says what the caller can do about it. */
class RpcError extends Error {
  /**
   * @param {number} code
   * @param {string} message
   * @param {string} [hint]
   */
  constructor(code, message, hint) {
    super(message);
    this.name = 'RpcError';
    this.code = code;
    this.hint = hint;
  }
}

/** What a Python function raised that JavaScript has called. */
class PythonError extends Error {
  /** @param {import('./protocol').ErrorObject} error */
  constructor({ message, data }) {
    super(message);
    // Not enumerable, as in other errors: these are not members that a script has added.
    Object.defineProperty(this, 'name', { value: data?.name ?? 'PythonError', configurable: true, writable: true });
    Object.defineProperty(this, 'number', { value: data?.python });
    const [, ...frames] = ownFramesCut(this.stack ?? '').split('\n');
    this.stack = [`${this.name}: ${message}`, ...(data?.stack ? [data.stack] : []), ...frames].join('\n');
  }
}

/**
 * Describe whatever was thrown; user code may throw anything, even objects whose properties throw.
 *
 * @param {unknown} thrown
 * @returns {import('./protocol').ErrorObject}
 */
function toErrorObject(thrown) {
  if (thrown instanceof RpcError) {
    const { code, name, message, stack, hint } = thrown;
    return { code, message, data: { name, stack: stack ?? '', hint } };
  }
  try {
    return describe(thrown);
  } catch {
    return {
      code: JAVASCRIPT_ERROR,
      message: 'a value was thrown that cannot be described',
      data: { name: 'Error', stack: '' },
    };
  }
}

/**
 * @param {unknown} thrown
 * @param {number} [depth]  how many errors this one is the cause of
 * @returns {import('./protocol').ErrorObject}
 */
function describe(thrown, depth = 0) {
  if (!isError(thrown)) return describeValue(thrown);
  const error = /** @type {Error & {hint?: unknown, errors?: unknown}} */ (thrown);
  /** @type {import('./protocol').ErrorData} */
  const data = { name: String(error.name), stack: ownFramesCut(String(error.stack ?? '')) };
  if (thrown instanceof PythonError) data.python = /** @type {any} */ (thrown).number;
  if (typeof error.hint === 'string') data.hint = error.hint;
  const properties = propertiesOf(error);
  if (properties) data.properties = properties;
  if (error.cause !== undefined && depth < MOST_CAUSES) data.cause = describe(error.cause, depth + 1);
  return { code: JAVASCRIPT_ERROR, message: String(error.message), data };
}

/**
 * A value that was thrown and is no Error: a text is its own message, an object is shown, and its members are kept.
 *
 * @param {unknown} thrown
 * @returns {import('./protocol').ErrorObject}
 */
function describeValue(thrown) {
  const shown = typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 3, breakLength: Infinity }).slice(0, MOST_CHARACTERS);
  const properties = thrown !== null && typeof thrown === 'object' ? propertiesOf(thrown) : undefined;
  return {
    code: JAVASCRIPT_ERROR,
    message: `a value that is no Error was thrown: ${shown}`,
    data: { name: 'Error', stack: '', ...(properties && { properties }) },
  };
}

/** @param {unknown} thrown */
function isError(thrown) {
  return thrown instanceof Error || Object.prototype.toString.call(thrown) === '[object Error]';
}

/**
 * The own members of what was thrown, such as `code`, as JSON can say them: what it cannot say is shown as text.
 *
 * @param {object} thrown
 * @returns {Record<string, unknown>|undefined} undefined where there are none
 */
function propertiesOf(thrown) {
  const names = new Set(Object.keys(thrown));
  if (Object.hasOwn(thrown, 'errors')) names.add('errors');
  for (const said of ['name', 'message', 'stack', 'cause', 'hint']) if (isError(thrown)) names.delete(said);
  /** @type {[string, unknown][]} */
  const members = [...names].slice(0, MOST_MEMBERS).map((name) => [name, plain(/** @type {any} */ (thrown)[name])]);
  return members.length ? Object.fromEntries(members) : undefined;
}

/**
 * @param {unknown} value
 * @returns {unknown}
 */
function plain(value) {
  if (value === null || ['string', 'boolean'].includes(typeof value)) return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  try {
    const text = JSON.stringify(value, (_key, member) => (isError(member) ? String(member) : member));
    if (text !== undefined && text.length <= MOST_CHARACTERS) return JSON.parse(text);
  } catch {
    // Contains itself, or a BigInt: shown below.
  }
  return inspect(value, { depth: 2, breakLength: Infinity }).slice(0, MOST_CHARACTERS);
}

/** @param {string} stack */
function ownFramesCut(stack) {
  const isOwn = (/** @type {string} */ line) => /^\s+at /.test(line) && OWN_FRAME.some((place) => line.includes(place));
  return stack
    .split('\n')
    .filter((line) => !isOwn(line))
    .join('\n');
}

module.exports = { PythonError, RpcError, toErrorObject };
