'use strict';

const { randomBytes, randomUUID } = require('crypto');

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-|$)/;
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/**
 * @param {import('http').IncomingMessage} request
 * @returns {string} its client's name for it, where that can stand in a header and a line of the log; else one of ours
 */
function requestId({ headers }) {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/**
 * Continues the trace of the client, if it has one.
 *
 * @param {import('http').IncomingHttpHeaders} headers
 * @returns {{traceId: string, traceparent: string} | null} with this server's part as the parent of what comes
 */
function traceOf({ traceparent }) {
  const found = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  if (!found) return null;
  const [, traceId, flags] = found;
  return { traceId, traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-${flags}` };
}

module.exports = { requestId, traceOf };
