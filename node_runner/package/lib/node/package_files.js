'use strict';

const { createHash } = require('crypto');
const fs = require('fs/promises');
const path = require('path');

const { ImageError, IntegrityError } = require('../errors');
const { checkManifest, parse } = require('../manifest');

/** @typedef {import('../classifier').Manifest} Manifest */

/**
 * Reads the package and compares every file with the SHA-256 in its manifest. `package.json` is not among them, since it is
 * the reader's to edit.
 *
 * @param {string} folder
 * @returns {Promise<{manifest: Manifest, read: (name: string) => Uint8Array}>} the bytes that were checked, for use
 * @throws {IntegrityError}
 */
async function readPackage(folder) {
  const root = await fs.realpath(folder).catch(() => {
    throw new IntegrityError(`There is no folder ${folder}`);
  });
  const bytes = await readInside(root, 'manifest.json').catch((error) => {
    error.message += '; where a bundler has moved this code, name the package among its external ones';
    throw error;
  });
  const manifest = checkManifest(parse(bytes, 'manifest.json'));
  /** @type {Map<string, Uint8Array>} */
  const contents = new Map();
  for (const [name, expected] of Object.entries(manifest.files)) {
    const content = await readInside(root, name, expected.bytes);
    if (createHash('sha256').update(content).digest('hex') !== expected.sha256) {
      throw new IntegrityError(`${name} was altered: its SHA-256 is not that in manifest.json. Install or deploy the package again`);
    }
    if (name.startsWith('model/')) contents.set(name, content);
  }
  return { manifest, read: (name) => /** @type {Uint8Array} */ (contents.get(name)) };
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
 * @param {string} file
 * @param {number} maxBytes
 * @returns {Promise<Uint8Array>}
 * @throws {ImageError}
 */
async function readImage(file, maxBytes) {
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

module.exports = { readPackage, readImage };
