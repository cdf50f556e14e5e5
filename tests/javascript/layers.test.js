'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { before, test } = require('node:test');

const { registerLayers } = require('../../node_runner/layers');

const LAYERS = path.resolve(__dirname, '..', '..', 'node_runner', 'layers');

/** @type {any} */
let tf;
/** @type {string[]} */
let names;

before(() => {
  tf = require('@tensorflow/tfjs');
  names = registerLayers(tf);
});

test('every class is known to TensorFlow.js by its name, and none twice', () => {
  const known = tf.serialization.SerializationMap.getMap().classNameMap;
  assert.ok(names.length > 10);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    assert.match(name, /^Pybridge[A-Z]\w+$/);
    assert.ok(known[name], name);
  }
});

test('they are registered once', () => {
  assert.deepEqual(registerLayers(tf), []);
});

test('the manifest names every file, and every class in the file that defines it', () => {
  const listed = JSON.parse(fs.readFileSync(path.join(LAYERS, 'manifest.json'), 'utf8')).files;
  const files = fs.readdirSync(LAYERS).filter((file) => file.endsWith('.js') && file !== 'index.js');
  assert.deepEqual(Object.keys(listed).map((name) => `${name}.js`), files.sort());
  for (const [name, { classes = [] }] of Object.entries(listed)) {
    const create = require(path.join(LAYERS, name));
    const defined = typeof create === 'function' ? create(tf).map((/** @type {any} */ cls) => cls.className) : [];
    assert.deepEqual(defined.sort(), classes, name);
  }
});
