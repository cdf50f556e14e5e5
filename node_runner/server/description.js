'use strict';

/**
 * What `/openapi.json` says. Each route has its own schema beside its handler, and the document is made of them. The schemas describe only:
 * handlers check what comes by themselves, since their messages say more.
 *
 * @typedef {Record<string, any>} Json
 *
 * @typedef {object} Operation what a route says of itself
 * @property {string} id
 * @property {string} summary
 * @property {Json} [answer] the schema of its JSON
 * @property {Json} [content] instead: schemas by content type
 * @property {number[]} [refusals] status codes of errors
 */

/** @type {Record<string, string>} */
const REFUSALS = {
  400: 'The request cannot be answered as it is; the message says why.',
  401: 'The bearer token is missing or wrong.',
  403: 'The host, or the web page that asks, is none that this server answers.',
  404: 'There is no such model or version.',
  408: 'The request did not arrive in time.',
  413: 'The request, a picture, or their number is too large.',
  415: 'The content type is another one than those listed.',
  429: 'Too much is waiting; Retry-After says when to come again.',
  500: 'An error of the server; only its log says more.',
  503: 'The model is being loaded, or the server is ending.',
  504: 'The answer was not ready in time.',
};

/** Of a route that answers for images. */
const INFERENCE_REFUSALS = [400, 401, 404, 408, 413, 429, 500, 503, 504];

/** A route that is for no client, such as one that only refuses. @type {Json} */
const HIDDEN = { hide: true };

const text = { type: 'string' };
const number = { type: 'number' };
const file = { type: 'string', contentMediaType: 'application/octet-stream' };
const array = (/** @type {Json} */ items) => ({ type: 'array', items });
const object = (/** @type {Json} */ properties, /** @type {string[]} */ required = Object.keys(properties)) => ({ type: 'object', properties, required });
const reference = (/** @type {string} */ name) => ({ $ref: `${name}#` });
const json = (/** @type {Json} */ schema) => ({ 'application/json': { schema } });

const ERROR = { $id: 'Error', ...object({ error: text }) };

/** Of the addresses of models. */
const PARAMETERS = {
  name: { ...text, description: 'A model.' },
  version: { ...text, pattern: '^[0-9]+$', description: 'One of its versions.' },
  label: { ...text, description: 'A name of one of its versions.' },
};

/**
 * @param {Operation & Json} operation further fields are those of Fastify's route schemas (`params`, `querystring`, `body`) and of OpenAPI
 * @returns {Json} a schema for a route
 */
function operation({ id, summary, answer = { type: 'object' }, content = json(answer), refusals = [], ...more }) {
  const others = [...refusals, 403].map((status) => [status, { description: REFUSALS[status], content: json(reference('Error')) }]);
  return { operationId: id, summary, ...more, response: { 200: { description: 'The answer.', content }, ...Object.fromEntries(others) } };
}

/**
 * Lets an app describe the routes that are added later; `app.swagger()` gives the document: https://spec.openapis.org/oas/v3.1.0
 *
 * @param {import('fastify').FastifyInstance} app
 * @param {any} swagger the plugin
 * @param {{version: string, secured: boolean, schemas: Json[]}} facts `schemas` are those that routes refer to by their `$id`
 */
function describe(app, swagger, { version, secured, schemas }) {
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  for (const schema of [ERROR, ...schemas]) app.addSchema(schema);
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Image classifiers',
        version,
        description: "Classifies images over plain HTTP, TensorFlow Serving's REST API and KServe's Open Inference Protocol v2.",
      },
      components: secured ? { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } } : {},
      security: secured ? [{ token: [] }] : [],
    },
    refResolver: { buildLocalReference: (/** @type {Json} */ { $id }) => $id },
  });
}

module.exports = { HIDDEN, INFERENCE_REFUSALS, PARAMETERS, array, describe, file, json, number, object, operation, reference, text };
