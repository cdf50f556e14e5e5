'use strict';

/**
 * The errors that the server answers with. `code` is stable; the message is sent to the client, so that it must hold no path of
 * this machine and nothing of a stack.
 *
 * - `BAD_INPUT`: the request cannot be answered as it is (400, or the more exact `status`).
 * - `NOT_FOUND`: no such model, version or address (404).
 * - `OVERLOADED`: the queue is full; the same request may be sent again later (429).
 * - `UNAVAILABLE`: the model is being loaded, or the server is ending (503).
 * - `TIMEOUT`: the answer was not ready in time (504).
 * - `INTERNAL`: anything else (500); only the log has its message.
 *
 * @typedef {'BAD_INPUT' | 'NOT_FOUND' | 'OVERLOADED' | 'UNAVAILABLE' | 'TIMEOUT' | 'INTERNAL'} ErrorCode
 */

/** @type {Record<ErrorCode, number>} */
const STATUS = { BAD_INPUT: 400, NOT_FOUND: 404, OVERLOADED: 429, UNAVAILABLE: 503, TIMEOUT: 504, INTERNAL: 500 };

class ServiceError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message what is wrong, and what to send instead
   * @param {{retryAfterSeconds?: number, status?: number, cause?: unknown}} [details] `status` where HTTP has a more exact one
   */
  constructor(code, message, { retryAfterSeconds, status, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ServiceError';
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
    this.status = status ?? STATUS[code] ?? 500;
  }
}

/**
 * @param {string} message
 * @param {number} [status]
 * @returns {ServiceError} for a request that the client must change
 */
function badInput(message, status) {
  return new ServiceError('BAD_INPUT', message, { status });
}

/**
 * @param {string} message
 * @returns {ServiceError}
 */
function notFound(message) {
  return new ServiceError('NOT_FOUND', message);
}

module.exports = { ServiceError, badInput, notFound };
