'use strict';

// A package of a model that takes tensors, by itself and in the server's engine room.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const tf = require('@tensorflow/tfjs');

const { loadFrom } = require('../../node_runner/package');
const { checkManifest } = require('../../node_runner/package/lib/manifest');
const { createModels } = require('../../node_runner/server/models');
const { fromNested, nested, valuesOf } = require('../../node_runner/server/tensors');
const { LABELS, writeManifest, writePackage } = require('./package_folder');

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'tensors-'));
const folder = path.join(home, 'model');
const IMAGE = { name: 'image', dtype: 'float32', shape: [null, 6, 6, 3] };
const SCORES = { name: 'scores', dtype: 'float32', shape: [null, LABELS.length] };
const OPTIONS = { runtime: /** @type {const} */ ('cpu') };
/** @type {any} */
let manifest;

before(async () => {
  const { files, versions } = await writePackage(folder);
  const others = Object.fromEntries(Object.entries(files).filter(([name]) => name !== 'model/classifier.json'));
  manifest = {
    format: 'pybridge-package',
    version: 1,
    kind: 'model',
    signatures: { serving_default: { inputs: [IMAGE], outputs: [SCORES] } },
    default_signature: 'serving_default',
    model: { form: 'layers', file: 'model/model.json', layers: null, precision: 'float32', inputs: ['x'], outputs: ['y'] },
    saved_model: null,
    check: null,
    versions,
    files: others,
  };
  writeManifest(folder, manifest);
});
after(() => fs.rmSync(home, { recursive: true }));

test('it takes a tensor, a list or an object of them, and gives a tensor', async () => {
  const model = /** @type {any} */ (await loadFrom(folder, OPTIONS));
  const image = tf.zeros([2, 6, 6, 3]);
  const answers = await Promise.all([image, [image], { image }].map((given) => model.predict(given)));
  for (const answer of answers) assert.deepEqual([answer.shape, answer.arraySync()], [[2, LABELS.length], answers[0].arraySync()]);
  for (const bad of [tf.zeros([2, 6, 6]), [image, image], { other: image }, {}, 5, tf.zeros([1, 6, 6, 3], 'int32')]) {
    await assert.rejects(model.predict(bad), { code: 'ERR_INPUT' });
  }
  await assert.rejects(model.predict(image, { signature: 'train' }), { code: 'ERR_INPUT', message: /serving_default/ });
  await assert.rejects(model.predict(image, { signatur: 'train' }), { code: 'ERR_INPUT' });
  model.dispose();
  await assert.rejects(model.predict(image), { code: 'ERR_DISPOSED' });
});

test('answers other than those of Python are refused', async () => {
  writeManifest(folder, { ...manifest, check: { inputs: [[1, 6, 6, 3]], outputs: [{ shape: [1, 3], values: [9, 9, 9] }], tolerance: 1e-3 } });
  await assert.rejects(loadFrom(folder, OPTIONS), { code: 'ERR_RUNTIME', message: /another answer than Python: scores/ });
  writeManifest(folder, manifest);
});

test('the server computes with it, and refuses pictures', async () => {
  const models = await createModels({ models: [{ name: 'tensors', path: folder }], runtime: 'cpu', reload: false });
  const inputs = [fromNested(nested(Array(2 * 108).fill(0), [2, 6, 6, 3]), IMAGE)];
  const { outputs, version } = await models.compute('tensors', { signature: 'serving_default', inputs });
  assert.deepEqual([version, outputs[0].shape, valuesOf(outputs[0], SCORES).length], ['1', [2, LABELS.length], 2 * LABELS.length]);
  await assert.rejects(models.infer('tensors', { images: [Buffer.from('x')] }), { code: 'BAD_INPUT', message: /takes tensors/ });
  await models.close();
});

/** @type {Record<string, object>} */
const WRONG = {
  'no signatures': { signatures: {} },
  'a default that there is not': { default_signature: 'other' },
  'no form': { model: null },
  'tensors for another number of inputs': { model: { form: 'layers', file: 'model/model.json', layers: null, inputs: [], outputs: ['y'] } },
  'a port without a name': { signatures: { serving_default: { inputs: [{ dtype: 'float32', shape: [1] }], outputs: [SCORES] } } },
  'a graph outside': { saved_model: { tensorflow: '2', folder: '../other', signatures: {} } },
};
for (const [what, changed] of Object.entries(WRONG)) {
  test(`a manifest with ${what} is refused`, () => {
    assert.throws(() => checkManifest({ ...manifest, ...changed }), { code: 'ERR_INTEGRITY' });
  });
}

test('a shape may be free in one size or as a whole', () => {
  checkManifest({ ...manifest, signatures: { serving_default: { inputs: [{ ...IMAGE, shape: null }], outputs: [SCORES] } } });
  const port = (/** @type {any} */ shape) => ({ name: 'x', dtype: 'float32', shape });
  assert.deepEqual(fromNested([[1, 2]], port(null)).shape, [1, 2]);
  assert.deepEqual(fromNested(3, port([])).shape, []);
  assert.throws(() => fromNested([[1, 2]], port([null])), /shape \[-1\], not \[1, 2\]/);
  assert.throws(() => fromNested([[1, 2], [3]], port([null, 2])), /array of 2/);
});

for (const [dtype, value, words] of /** @type {[string, unknown, RegExp][]} */ ([
  ['int32', 1.5, /whole numbers/],
  ['int64', 2 ** 40, /whole numbers from -2147483648/],
  ['uint8', 256, /0 to 255/],
  ['bool', 2, /0 to 1/],
  ['float32', '1', /numbers/],
  ['float32', 1e39, /float32/],
])) {
  test(`${JSON.stringify(value)} is no ${dtype}`, () => {
    assert.throws(() => fromNested([value], { name: 'x', dtype, shape: [null] }), words);
  });
}
