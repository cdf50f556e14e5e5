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

test('every file that defines classes is listed', () => {
  const index = fs.readFileSync(path.join(LAYERS, 'index.js'), 'utf8');
  const defining = fs.readdirSync(LAYERS).filter((file) => file !== 'index.js' && /static className = '/.test(fs.readFileSync(path.join(LAYERS, file), 'utf8')));
  assert.ok(defining.length > 5);
  for (const file of defining) assert.ok(index.includes(`'./${file.slice(0, -3)}'`), file);
});
