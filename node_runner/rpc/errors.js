'use strict';

const { JAVASCRIPT_ERROR } = require('./protocol');

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
 * @returns {import('./protocol').ErrorObject}
 */
function describe(thrown) {
  if (!(thrown instanceof Error) && Object.prototype.toString.call(thrown) !== '[object Error]') {
    return {
      code: JAVASCRIPT_ERROR,
      message: `a value that is no Error was thrown: ${String(thrown)}`,
      data: { name: 'Error', stack: '' },
    };
  }
  const error = /** @type {Error & {hint?: unknown}} */ (thrown);
  const hint = typeof error.hint === 'string' ? error.hint : undefined;
  return {
    code: JAVASCRIPT_ERROR,
    message: String(error.message),
    data: { name: String(error.name), stack: stackWithCauses(error), hint },
  };
}

/** @param {Error} error */
function stackWithCauses(error) {
  let text = String(error.stack ?? '');
  /** @type {unknown} */
  let cause = error.cause;
  for (let depth = 0; depth < 10 && cause !== undefined; depth += 1) {
    if (!(cause instanceof Error)) return `${text}\nCaused by: ${String(cause)}`;
    text += `\nCaused by: ${cause.stack ?? cause.message}`;
    cause = cause.cause;
  }
  return text;
}

module.exports = { RpcError, toErrorObject };
