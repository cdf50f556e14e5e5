'use strict';

const { INFERENCE_REFUSALS, array, file, json, number, object, operation, reference, text } = require('../description');
const { ServiceError, badInput } = require('../errors');
const { checkCount, infer, metadataOf, modelsOf, ranking } = require('../inference');
const { quote } = require('../json');

/** @typedef {import('../inference').Service} Service */

const PARAMETERS = ['model', 'topK', 'version'];
// curl calls whatever it is given a form, unless it is told otherwise.
const RAW = /^(image\/[\w.+-]+|application\/octet-stream|application\/x-www-form-urlencoded)?$/;

const ANSWER = object({ label: text, probability: number });
const CLASSIFIED = {
  $id: 'Classified',
  ...object({
    model: text,
    version: text,
    results: array(object({ file: text, ...ANSWER.properties, answers: array(ANSWER) }, ['label', 'probability', 'answers'])),
  }),
};

const CLASSIFY = operation({
  id: 'classify',
  summary: 'Classify the image that is the body, or the images of a form.',
  querystring: object(
    {
      model: { ...text, description: 'Which model; needed where there are several.' },
      version: { ...text, pattern: '^[0-9]+$', description: 'Which of its versions.' },
      topK: { type: 'integer', minimum: 1, description: 'How many answers; all by default.' },
    },
    [],
  ),
  body: {
    content: { 'image/*': { schema: file }, 'application/octet-stream': { schema: file }, 'multipart/form-data': { schema: object({ file: array(file) }) } },
  },
  content: json(reference('Classified')),
  refusals: [...INFERENCE_REFUSALS, 415],
});

/**
 * `POST /classify`: the bytes of one image as the body, or several as the files of a form. Each is answered with its labels, the most
 * probable first.
 *
 * @param {import('../router').Router} router
 * @param {Service} service
 */
function addClassify(router, service) {
  router.add('POST', '/classify', CLASSIFY, async (request, reply) => {
    const { model, version, topK } = readQuery(/** @type {Record<string, unknown>} */ (request.query), service);
    // An unknown model is refused before its images are read.
    const metadata = metadataOf(service, model, version);
    const files = await readFiles(request, service);
    const { labels, rows, version: used } = await infer(service, reply, { name: model, version, content: { images: files.map(({ bytes }) => bytes) } });
    const results = rows.map((row, i) => {
      const answers = ranking(row)
        .slice(0, topK)
        .map((at) => ({ label: labels[at], probability: row[at] }));
      return { file: files[i].name, ...answers[0], answers };
    });
    return { model: metadata.name, version: used, results };
  });
}

/**
 * @param {Record<string, unknown>} query
 * @param {Service} service
 */
function readQuery(query, service) {
  for (const [name, value] of Object.entries(query)) {
    if (!PARAMETERS.includes(name)) throw badInput(`There is no parameter ${quote(name)}; there are ${PARAMETERS.join(', ')}`);
    if (typeof value !== 'string') throw badInput(`The parameter ${name} is given more than once`);
  }
  const { model = onlyModel(service), topK, version } = /** @type {Record<string, string | undefined>} */ (query);
  if (topK !== undefined && !/^[1-9]\d{0,6}$/.test(topK)) throw badInput(`topK must be a whole number of at least 1, not ${quote(topK)}`);
  if (version !== undefined && !/^\d{1,19}$/.test(version)) throw badInput(`version must be a whole number, not ${quote(version)}`);
  return { model, version, topK: topK === undefined ? undefined : Number(topK) };
}

/** @param {Service} service */
function onlyModel(service) {
  const names = modelsOf(service).list().map(({ name }) => name);
  if (names.length === 1) return names[0];
  throw badInput(`There are ${names.length} models: choose one with ?model=NAME`);
}

/**
 * @param {import('fastify').FastifyRequest} request
 * @param {Service} service
 * @returns {Promise<{name?: string, bytes: Buffer}[]>}
 */
async function readFiles(request, service) {
  const type = (request.headers['content-type'] ?? '').split(';')[0].trim().toLowerCase();
  if (type === 'multipart/form-data') return readForm(request, service);
  if (!RAW.test(type)) {
    throw badInput(`The content type must be image/..., application/octet-stream or multipart/form-data, not ${quote(type)}`, 415);
  }
  const bytes = /** @type {Buffer | undefined} */ (request.body);
  if (!bytes?.length) throw badInput('The body is empty: send the bytes of an image');
  return [{ bytes }];
}

/**
 * @param {import('fastify').FastifyRequest} request
 * @param {Service} service
 */
async function readForm(request, service) {
  /** @type {{name: string, bytes: Buffer}[]} */
  const files = [];
  try {
    await readParts(request, service, files);
  } catch (error) {
    // The parser's own complaints have no code: whatever it could not read, the client has sent.
    if (error instanceof ServiceError || /** @type {any} */ (error).statusCode) throw error;
    throw badInput(`The form cannot be read: ${/** @type {Error} */ (error).message}`);
  }
  if (files.length === 0) throw badInput('The form has no file: send each image as a file of multipart/form-data');
  checkCount(service, files.length);
  return files;
}

/**
 * @param {import('fastify').FastifyRequest} request
 * @param {Service} service
 * @param {{name: string, bytes: Buffer}[]} files receives them
 */
async function readParts(request, { options: { maxBody } }, files) {
  let size = 0;
  for await (const part of /** @type {any} */ (request).parts()) {
    if (part.type !== 'file') continue;
    const bytes = await part.toBuffer();
    const name = String(part.filename ?? part.fieldname);
    size += bytes.length;
    if (size > maxBody) throw badInput(`The files have more than ${maxBody} bytes together`, 413);
    if (bytes.length === 0) throw badInput(`The file ${quote(name)} is empty`);
    files.push({ name, bytes });
  }
}

module.exports = { SCHEMAS: [CLASSIFIED], addClassify };
