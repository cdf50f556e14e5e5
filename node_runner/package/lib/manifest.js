'use strict';

const { DeployError, IntegrityError } = require('./errors');

/** @typedef {import('./classifier').Manifest} Manifest */

// Names that mean the same on every system and in every address: no drive, no root, no step upwards, no escape.
const SAFE_NAME = /^(?!\.{1,2}(\/|$))[A-Za-z0-9_.-]{1,128}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.-]{1,128}){0,8}$/;
const MOST_FILES = 10000;

/** What the weights mean, once more and among the files with hashes: what `manifest.json` says of it must be the same. */
const DESCRIPTION = 'model/classifier.json';
const DESCRIBED = /** @type {const} */ (['labels', 'preprocessing', 'model', 'graph', 'saved_model', 'check', 'kind', 'signatures', 'default_signature']);

/**
 * Checks what a `manifest.json` holds before anything is done with it.
 *
 * @param {unknown} value
 * @returns {Manifest}
 * @throws {IntegrityError}
 */
function checkManifest(value) {
  const manifest = /** @type {Manifest} */ (value);
  if (typeof value !== 'object' || value === null || manifest.format !== 'pybridge-package') {
    throw new IntegrityError('manifest.json is not that of a package of pybridge');
  }
  if (isModel(value)) return checkModelManifest(/** @type {any} */ (value));
  if (manifest.version !== 1) throw new DeployError(`manifest.json has the unknown version ${manifest.version}`, 'ERR_INTEGRITY');
  const { labels, files, model, preprocessing } = manifest;
  const complete = Array.isArray(labels) && labels.length > 0 && labels.every((label) => typeof label === 'string');
  if (!complete || !isObject(files) || !isObject(model) || !isObject(preprocessing)) {
    throw new IntegrityError('manifest.json is incomplete: deploy the run again');
  }
  const { height, width, mean, std } = preprocessing;
  const side = (/** @type {unknown} */ size) => Number.isInteger(size) && Number(size) >= 1 && Number(size) <= 8192;
  if (!side(height) || !side(width) || !Array.isArray(mean) || !Array.isArray(std)) {
    throw new IntegrityError('manifest.json has an impossible preprocessing');
  }
  return checkFiles(manifest);
}

/**
 * @param {any} manifest
 * @returns {manifest is import('./predictor').ModelManifest} whether it is that of a model that takes tensors
 */
function isModel(manifest) {
  return manifest.kind === 'model';
}

/**
 * @param {any} manifest of a model that takes tensors
 * @returns {any}
 */
function checkModelManifest(manifest) {
  const { version, files, model, saved_model: form, signatures, default_signature: first, check } = manifest;
  if (version !== 1) throw new DeployError(`manifest.json has the unknown version ${version}`, 'ERR_INTEGRITY');
  const port = (/** @type {any} */ each) =>
    isObject(each) && typeof each.name === 'string' && typeof each.dtype === 'string' &&
    (each.shape === null ||
      (Array.isArray(each.shape) && each.shape.every((/** @type {unknown} */ size) => size === null || (Number.isInteger(size) && Number(size) >= 0))));
  const ports = (/** @type {any} */ list) => Array.isArray(list) && list.length > 0 && list.every(port);
  const texts = (/** @type {any} */ list, /** @type {any} */ like) => Array.isArray(list) && list.length === like.length && list.every((each) => typeof each === 'string');
  const complete =
    isObject(files) && isObject(signatures) && Object.hasOwn(signatures, String(first)) &&
    Object.values(signatures).every((/** @type {any} */ each) => isObject(each) && ports(each.inputs) && ports(each.outputs)) &&
    (model === null || (isObject(model) && texts(model.inputs, signatures[first].inputs) && texts(model.outputs, signatures[first].outputs))) &&
    (form === null ||
      (isObject(form) && isObject(form.signatures) &&
        Object.entries(form.signatures).every(
          ([name, each]) => Object.hasOwn(signatures, name) && texts(/** @type {any} */ (each).inputs, signatures[name].inputs) && texts(/** @type {any} */ (each).outputs, signatures[name].outputs),
        ))) &&
    (model !== null || form !== null) &&
    (check === null || (isObject(check) && Array.isArray(check.inputs) && check.inputs.length === signatures[first].inputs.length && Array.isArray(check.outputs)));
  if (!complete) throw new IntegrityError('manifest.json is incomplete: deploy the model again');
  return checkFiles(manifest);
}

/**
 * @param {Manifest} manifest
 * @returns {Manifest}
 */
function checkFiles(manifest) {
  const { files } = manifest;
  const names = Object.keys(files);
  if (names.length > MOST_FILES) throw new IntegrityError(`manifest.json names ${names.length} files`);
  const needed = neededFiles(manifest);
  for (const name of [...names, ...needed]) checkName(name);
  const missing = needed.find((name) => !Object.hasOwn(files, name));
  if (missing !== undefined) throw new IntegrityError(`manifest.json has no hash of ${missing}`);
  return manifest;
}

/**
 * Compares what a manifest says of the labels, their order, the preprocessing and the model with what was packed.
 *
 * @param {Manifest} manifest
 * @param {(name: string) => Promise<Uint8Array> | Uint8Array} read a file of the package, its hash already checked
 * @throws {IntegrityError}
 */
async function checkDescription(manifest, read) {
  // Packages of earlier versions have none.
  if (!Object.hasOwn(manifest.files, DESCRIPTION)) return;
  const packed = parse(await read(DESCRIPTION), DESCRIPTION);
  const altered = DESCRIBED.find((name) => !equal(/** @type {any} */ (manifest)[name] ?? null, packed?.[name] ?? null));
  if (altered !== undefined) throw new IntegrityError(`manifest.json was altered: its ${altered} is not what was packed. Install or deploy the package again`);
}

/**
 * @param {any} a
 * @param {any} b of JSON
 * @returns {boolean}
 */
function equal(a, b) {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const names = Object.keys(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]))
  );
}

/**
 * @param {Manifest} manifest
 * @returns {string[]} the files that it refers to
 */
function neededFiles(manifest) {
  const { file, layers = null } = manifest.model ?? { file: null };
  const { graph } = manifest;
  if (graph && !isObject(graph)) throw new IntegrityError('manifest.json has an impossible graph');
  return [...(file === null ? [] : [file]), ...(layers ? [layers] : []), ...(graph ? [graph.file] : []), ...savedModels(manifest)];
}

/**
 * @param {Manifest} manifest
 * @returns {string[]} the files that hold the graphs of the SavedModel form
 */
function savedModels({ saved_model: form }) {
  if (!form) return [];
  if ('folder' in form) return [`${form.folder}/saved_model.pb`];
  if (!isObject(form) || !Array.isArray(form.stages)) throw new IntegrityError('manifest.json has an impossible saved_model');
  const parts = form.images ? [form.images, ...form.stages] : form.stages;
  return parts.map((part) => `${part?.folder}/saved_model.pb`);
}

/**
 * @param {unknown} name of a file, relative to the package
 * @returns {string}
 * @throws {IntegrityError} where it could lead elsewhere
 */
function checkName(name) {
  if (typeof name === 'string' && SAFE_NAME.test(name)) return name;
  throw new IntegrityError(`${JSON.stringify(String(name).slice(0, 200))} is not the name of a file inside of the package`);
}

/**
 * Reads a `model.json` and its weights into what `tf.loadLayersModel` or `tf.loadGraphModel` takes.
 *
 * @param {Manifest} manifest
 * @param {(name: string) => Promise<Uint8Array> | Uint8Array} read a file of the package, its hash already checked
 * @param {string} [file] which one; that of the layers by default
 * @returns {Promise<any>} an IOHandler
 */
async function modelHandler(manifest, read, file = manifest.model.file) {
  const document = parse(await read(file), file);
  const folder = file.split('/').slice(0, -1).join('/');
  const groups = document.weightsManifest;
  if (!isObject(document.modelTopology) || !Array.isArray(groups)) throw new IntegrityError(`${file} holds no model`);
  const specs = [];
  const parts = [];
  for (const group of groups) {
    for (const path of group.paths) {
      const name = checkName(folder ? `${folder}/${path}` : path);
      if (!Object.hasOwn(manifest.files, name)) throw new IntegrityError(`manifest.json has no hash of ${name}`);
      parts.push(await read(name));
    }
    specs.push(...group.weights);
  }
  const weights = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    weights.set(part, at);
    at += part.length;
  }
  const { modelTopology, format, signature, userDefinedMetadata } = document;
  const artifacts = { modelTopology, format, signature, userDefinedMetadata, weightSpecs: specs, weightData: weights.buffer };
  return { load: async () => artifacts };
}

/**
 * @param {any} tf
 * @param {Manifest} manifest of a package that has the graph form
 * @param {(name: string) => Promise<Uint8Array> | Uint8Array} read
 * @returns {Promise<{predict: (batch: any) => any, dispose: () => void}>}
 */
async function graphEngine(tf, manifest, read) {
  const model = await tf.loadGraphModel(await modelHandler(manifest, read, manifest.graph?.file));
  return { predict: (batch) => model.predict(batch), dispose: () => model.dispose() };
}

/**
 * @param {Uint8Array} bytes
 * @param {string} name
 * @returns {any}
 */
function parse(bytes, name) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new IntegrityError(`${name} is not JSON`);
  }
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

module.exports = { checkDescription, checkManifest, checkName, graphEngine, isModel, modelHandler, neededFiles, parse };
