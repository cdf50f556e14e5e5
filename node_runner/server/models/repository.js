'use strict';

const { createHash } = require('crypto');
const fs = require('fs/promises');
const path = require('path');

/**
 * @typedef {object} Found a version at a path
 * @property {string} folder of its package, links resolved
 * @property {string | null} version the number of its folder; null for a package without versions
 * @property {string} digest SHA-256 of its manifest, which has those of all its files
 */

const VERSION = /^[1-9]\d{0,17}$/;

/**
 * Looks for a package, or for a folder of packages named by numbers (`1/`, `2/`), as TensorFlow Serving has them.
 *
 * @param {string} place
 * @returns {Promise<Found[]>} the highest number first
 */
async function findVersions(place) {
  const whole = await read(place, null);
  if (whole) return [whole];
  const names = await fs.readdir(place).catch(() => []);
  const versions = names.filter((name) => VERSION.test(name)).sort((a, b) => (BigInt(a) < BigInt(b) ? 1 : -1));
  const found = await Promise.all(versions.map((version) => read(path.join(place, version), version)));
  return found.flatMap((each) => each ?? []);
}

/**
 * What changes while a package is still being copied.
 *
 * @param {Found} found
 * @returns {Promise<string>}
 */
async function stateOfFiles({ folder, digest }) {
  const manifest = await fs.readFile(path.join(folder, 'manifest.json'), 'utf8').then(JSON.parse).catch(() => null);
  const names = typeof manifest?.files === 'object' && manifest.files !== null ? Object.keys(manifest.files).slice(0, 10000) : [];
  const states = [];
  for (const name of names) {
    const status = await fs.stat(path.join(folder, name)).catch(() => null);
    states.push(status && [status.ino, status.size, status.mtimeMs]);
  }
  return JSON.stringify([digest, states]);
}

/**
 * @param {string} place
 * @param {string | null} version
 * @returns {Promise<Found | null>}
 */
async function read(place, version) {
  try {
    const folder = await fs.realpath(place);
    const manifest = await fs.readFile(path.join(folder, 'manifest.json'));
    return { folder, version, digest: createHash('sha256').update(manifest).digest('hex') };
  } catch {
    return null;
  }
}

module.exports = { findVersions, stateOfFiles };
