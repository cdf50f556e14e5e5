'use strict';

/**
 * The layer classes that Keras 3 has and TensorFlow.js lacks, or that it computes differently.
 *
 * `manifest.json` says which file defines which of them, which files it needs, in the order in which it requires them, and which
 * operations `PybridgeOp` computes. Python reads it too.
 */

/** @typedef {{requires: string[], classes?: string[]}} Family */

/** @type {{files: Record<string, Family>, operations: string[]}} */
const manifest = require('./manifest.json');
const { operations } = require('./operation_table');

/** @type {WeakSet<object>} */
const registered = new WeakSet();

/**
 * Makes the classes known to a TensorFlow.js, once.
 *
 * @param {any} tf
 * @returns {string[]} their names
 * @throws {Error} the manifest does not say what the files hold
 */
function registerLayers(tf) {
  if (registered.has(tf)) return [];
  compare('operation_table.js', Object.keys(operations), manifest.operations);
  const families = Object.entries(manifest.files).filter(([, { classes }]) => classes);
  const created = families.flatMap(([name, { classes = [] }]) => {
    const made = require(`./${name}`)(tf);
    compare(`${name}.js`, made.map((/** @type {any} */ cls) => cls.className), classes);
    return made;
  });
  for (const cls of created) tf.serialization.registerClass(cls);
  registered.add(tf);
  return created.map((cls) => cls.className);
}

/**
 * @param {string} file
 * @param {string[]} found
 * @param {string[]} listed
 */
function compare(file, found, listed) {
  const missing = found.filter((name) => !listed.includes(name));
  const extra = listed.filter((name) => !found.includes(name));
  if (!missing.length && !extra.length) return;
  const parts = [missing.length ? `lacks ${missing.join(', ')}` : '', extra.length ? `names ${extra.join(', ')} in vain` : ''];
  throw new Error(`node_runner/layers/manifest.json and ${file} disagree: it ${parts.filter(Boolean).join(' and ')}`);
}

module.exports = { registerLayers };
