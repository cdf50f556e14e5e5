'use strict';

const { createRequire } = require('module');
const path = require('path');

const { UsageError } = require('./options');

const NAMES = ['fastify', '@fastify/multipart', '@fastify/swagger', 'prom-client'];

/**
 * Finds the packages that only the server needs: beside this file, or in the service whose folder is the current one. A package that
 * is only required as a classifier does without them.
 *
 * @returns {{fastify: typeof import('fastify').fastify, LogController: any, multipart: any, swagger: any, prometheus: typeof import('prom-client')}}
 * @throws {UsageError} with the command that installs them
 */
function loadDependencies() {
  const [fastify, multipart, swagger, prometheus] = NAMES.map(requireHere);
  return { fastify: fastify.fastify, LogController: fastify.LogController, multipart, swagger, prometheus };
}

/**
 * @param {string} name
 * @returns {any}
 */
function requireHere(name) {
  for (const find of [require, createRequire(path.join(process.cwd(), 'index.js'))]) {
    try {
      return find(name);
    } catch (error) {
      if (/** @type {any} */ (error).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new UsageError(`The server needs ${name}: npm install fastify@^5.12 @fastify/multipart@10 @fastify/swagger@9 prom-client@15`);
}

module.exports = { loadDependencies };
