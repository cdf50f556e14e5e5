'use strict';

/** The layer classes that Keras 3 has and TensorFlow.js lacks, or that it computes differently. */

/** @type {((tf: any) => any[])[]} */
const FAMILIES = [
  require('./activation'),
  require('./attention'),
  require('./convolution'),
  require('./dropout'),
  require('./normalization'),
  require('./operation'),
  require('./parameter'),
  require('./pooling'),
  require('./preprocessing'),
  require('./recurrent'),
];

/** @type {WeakSet<object>} */
const registered = new WeakSet();

/**
 * Makes the classes known to a TensorFlow.js, once.
 *
 * @param {any} tf
 * @returns {string[]} their names
 */
function registerLayers(tf) {
  const classes = registered.has(tf) ? [] : FAMILIES.flatMap((create) => create(tf));
  for (const cls of classes) tf.serialization.registerClass(cls);
  registered.add(tf);
  return classes.map((cls) => cls.className);
}

module.exports = { registerLayers };
