'use strict';

const { PassThrough } = require('stream');
const { createGunzip } = require('zlib');

const { badInput } = require('./errors');
const { quote } = require('./json');

/**
 * @param {import('fastify').FastifyRequest} request
 * @returns {boolean} whether its body is compressed
 * @throws {import('./errors').ServiceError} in a way that is not known here
 */
function isCompressed({ headers }) {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity') return false;
  if (encoding !== 'gzip' && encoding !== 'x-gzip') throw badInput(`The body may be compressed with gzip, not with ${quote(encoding)}`, 415);
  if (/^multipart\//i.test(headers['content-type'] ?? '')) throw badInput('A form must not be compressed; images are already', 415);
  return true;
}

/**
 * @param {import('stream').Readable} payload
 * @param {number} limit bytes; no more is inflated
 * @returns {import('stream').Readable & {receivedEncodedLength: number}} what was compressed
 */
function inflated(payload, limit) {
  const result = Object.assign(new PassThrough(), { receivedEncodedLength: 0 });
  const gunzip = createGunzip();
  let length = 0;
  const fail = (/** @type {Error} */ error) => {
    payload.unpipe(gunzip);
    gunzip.destroy();
    result.destroy(error);
  };
  payload.on('data', (chunk) => (result.receivedEncodedLength += chunk.length));
  payload.on('error', fail);
  gunzip.on('error', (error) => fail(badInput(`The body is not gzip: ${error.message}`)));
  gunzip.on('data', (chunk) => {
    length += chunk.length;
    if (length > limit) fail(badInput(`The body has more than ${limit} bytes when it is inflated`, 413));
  });
  payload.pipe(gunzip).pipe(result);
  return result;
}

module.exports = { inflated, isCompressed };
