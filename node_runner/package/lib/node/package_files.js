'use strict';

const { createHash } = require('crypto');
const fs = require('fs/promises');
const path = require('path');
const { fileURLToPath } = require('url');

const { ImageError, IntegrityError } = require('../errors');
const { checkDescription, checkManifest, neededFiles, parse } = require('../manifest');

/** @typedef {import('../classifier').Manifest} Manifest */

const DATA = /^(model|graph|saved_model)\//;
// What is for people and their tools; nothing of it is read here.
const NOT_READ = /\.(md|html|d\.ts|d\.mts)$|^demo/;

/**
 * Reads the package and compares what is used with the SHA-256 in its manifest: all files of the model, and the code as far as it lies
 * there. What a bundler took along, or a tool has pruned, does not run from this folder.
 *
 * @param {string} folder
 * @param {{code: boolean}} parts whether the package's own code runs
 * @returns {Promise<{manifest: Manifest, read: (name: string) => Uint8Array}>} the bytes that were checked, for use
 * @throws {IntegrityError}
 */
async function readPackage(folder, { code }) {
  const root = await fs.realpath(folder).catch(() => {
    throw new IntegrityError(`There is no folder ${folder}`);
  });
  const bytes = await readInside(root, 'manifest.json').catch((error) => {
    error.message += '; where a bundler has moved this code, name the package among its external ones, or say where its files are with load({ folder })';
    throw error;
  });
  const manifest = checkManifest(parse(bytes, 'manifest.json'));
  /** @type {Map<string, Uint8Array>} */
  const contents = new Map();
  // Whoever keeps the layers alone, beside a single file say, does without the faster form.
  const { graph } = manifest;
  const withGraph = graph && (await exists(path.join(root, graph.file)));
  const needed = neededFiles({ ...manifest, graph: withGraph ? graph : null });
  for (const [name, expected] of Object.entries(manifest.files)) {
    if (!withGraph && name.startsWith('graph/')) continue;
    const isData = DATA.test(name) || needed.includes(name);
    if (!isData && (!code || NOT_READ.test(name) || !(await exists(path.join(root, name))))) continue;
    const content = await readInside(root, name, expected.bytes);
    if (createHash('sha256').update(content).digest('hex') !== expected.sha256) {
      throw new IntegrityError(`${name} was altered: its SHA-256 is not that in manifest.json. Install or deploy the package again`);
    }
    if (isData) contents.set(name, content);
  }
  const read = (/** @type {string} */ name) => {
    const content = contents.get(name);
    if (!content) throw new IntegrityError(`${name} is no file of the model`);
    return content;
  };
  await checkDescription(manifest, read);
  return { manifest: withGraph ? manifest : { ...manifest, graph: null }, read };
}

/** @param {string} file */
function exists(file) {
  return fs.lstat(file).then(
    () => true,
    () => false,
  );
}

/**
 * @param {string} root
 * @param {string} name
 * @param {number} [size] that it must have
 * @returns {Promise<Uint8Array>}
 */
async function readInside(root, name, size) {
  const missing = new IntegrityError(`${name} is missing. Install or deploy the package again`);
  const file = await fs.realpath(path.join(root, name)).catch(() => Promise.reject(missing));
  if (!file.startsWith(root + path.sep)) throw new IntegrityError(`${name} is a link out of the package`);
  const status = await fs.stat(file);
  if (!status.isFile()) throw missing;
  if (size !== undefined && status.size !== size) {
    throw new IntegrityError(`${name} has ${status.size} bytes instead of ${size}. Install or deploy the package again`);
  }
  return fs.readFile(file);
}

/**
 * @param {string | URL} place a path, or an address that begins with `file:`
 * @param {number} maxBytes
 * @returns {Promise<Uint8Array>}
 * @throws {ImageError}
 */
async function readImage(place, maxBytes) {
  const file = pathOf(place);
  const unreadable = (/** @type {string} */ why) => new ImageError(`The image ${file} cannot be read: ${why}`, 'ERR_IMAGE_UNREADABLE');
  try {
    const status = await fs.stat(file);
    if (!status.isFile()) throw unreadable('it is not a file');
    if (status.size > maxBytes) throw new ImageError(`The image ${file} has ${status.size} bytes; at most ${maxBytes} are read`, 'ERR_IMAGE_TOO_LARGE');
    return await fs.readFile(file);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    throw unreadable(/** @type {any} */ (error).code ?? String(error));
  }
}

/**
 * @param {string | URL} place
 * @returns {string}
 * @throws {ImageError}
 */
function pathOf(place) {
  if (typeof place === 'string' && !place.startsWith('file:')) return place;
  try {
    return fileURLToPath(place);
  } catch (error) {
    throw new ImageError(`The image ${String(place)} cannot be read: ${/** @type {Error} */ (error).message}`, 'ERR_IMAGE_UNREADABLE');
  }
}

module.exports = { readPackage, readImage };
