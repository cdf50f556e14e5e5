'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { loadFrom } = require('../../node_runner/package');
const { checkManifest, checkName } = require('../../node_runner/package/lib/manifest');
const { createModels } = require('../../node_runner/server/models');
const { LABELS, writeManifest, writePackage } = require('./package_folder');
const { BASELINE_JPEG, gif } = require('./pictures');

const OPTIONS = { runtime: /** @type {const} */ ('cpu'), decodeThreads: 0 };

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'package-'));
const folder = path.join(home, 'tiny');
/** @type {any} */
let manifest;

before(async () => {
  manifest = await writePackage(folder);
});
after(() => fs.rmSync(home, { recursive: true }));

/** A copy that may be spoilt. */
function copy(name) {
  const place = path.join(home, name);
  fs.cpSync(folder, place, { recursive: true });
  return place;
}

test('a package in another folder answers as the package itself does', async () => {
  const [own, other] = [await require(path.join(folder, 'index.js')).load({ ...OPTIONS, tf: require('@tensorflow/tfjs') }), await loadFrom(folder, OPTIONS)];
  const answers = await own.classify(BASELINE_JPEG);
  assert.deepEqual(await other.classify(BASELINE_JPEG), answers);
  assert.deepEqual(answers.map(({ label }) => label).sort(), LABELS);
  assert.ok(Math.abs(answers.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-6);
  for (const classifier of [own, other]) classifier.dispose();
});

test('a picture that cannot be used costs the others nothing', async () => {
  const classifier = await loadFrom(folder, OPTIONS);
  const found = await classifier.settle([BASELINE_JPEG, Buffer.from('hello'), gif(1)]);
  assert.deepEqual(found.map((each) => (each instanceof Error ? /** @type {any} */ (each).code : each.length)), [3, 'ERR_NOT_AN_IMAGE', 3]);
  await assert.rejects(classifier.classifyMany([BASELINE_JPEG, Buffer.from('hello')]), { code: 'ERR_NOT_AN_IMAGE', index: 1 });
  classifier.dispose();
  await assert.rejects(classifier.classify(BASELINE_JPEG), { code: 'ERR_DISPOSED' });
});

test('a file that was altered is seen before anything is loaded', async () => {
  const place = copy('altered');
  fs.appendFileSync(path.join(place, 'model', 'weights.bin'), 'x');
  await assert.rejects(loadFrom(place, OPTIONS), { name: 'IntegrityError', message: /weights\.bin has/ });
  fs.rmSync(path.join(place, 'model', 'weights.bin'));
  await assert.rejects(loadFrom(place, OPTIONS), { name: 'IntegrityError', message: /missing/ });
});

test('a link out of the package is refused', async () => {
  const place = copy('linked');
  fs.rmSync(path.join(place, 'model', 'weights.bin'));
  fs.symlinkSync(path.join(folder, 'model', 'weights.bin'), path.join(place, 'model', 'weights.bin'));
  await assert.rejects(loadFrom(place, OPTIONS), { name: 'IntegrityError', message: /link out/ });
});

test('a TensorFlow.js that computes other probabilities than training is refused', async () => {
  const place = copy('other');
  writeManifest(place, { ...manifest, check: { ...manifest.check, probabilities: [1, 0, 0] } });
  await assert.rejects(loadFrom(place, OPTIONS), { code: 'ERR_RUNTIME', message: /other probabilities/ });
});

for (const name of ['../x', '/etc/passwd', 'a/../b', 'C:\\x', 'a\\b', '', '.', 'a//b', 'model/..', 'x\0']) {
  test(`${JSON.stringify(name)} is no name of a file in a package`, () => {
    assert.throws(() => checkName(name), { name: 'IntegrityError' });
  });
}

for (const [what, changed] of Object.entries({
  'another format': { format: 'x' },
  'a version of tomorrow': { version: 2 },
  'no labels': { labels: [] },
  'labels that are no texts': { labels: [1, 2] },
  'an impossible size': { preprocessing: { height: 0, width: 6, mean: [0], std: [1] } },
  'a model without a hash': { model: { file: 'model/other.json', layers: null } },
  'a file outside': { files: { '../x': { sha256: '', bytes: 0 } } },
  'a SavedModel without stages': { saved_model: {} },
})) {
  test(`a manifest with ${what} is refused`, () => {
    assert.throws(() => checkManifest({ ...manifest, ...changed }), { code: 'ERR_INTEGRITY' });
  });
}

test('the demo answers under the names of this machine alone', async (context) => {
  // TensorFlow.js is looked for in the current folder too.
  const demo = spawn(process.execPath, [path.join(folder, 'demo.js')], { cwd: path.resolve(__dirname, '..', '..'), stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => demo.kill());
  const [line] = await once(demo.stdout, 'data');
  const statusFor = (/** @type {string} */ host) =>
    new Promise((resolve, reject) => {
      http.get(String(line).trim(), { headers: { host } }, (response) => resolve(response.resume().statusCode)).on('error', reject);
    });
  assert.equal(await statusFor('localhost:1234'), 200);
  assert.equal(await statusFor('evil.example'), 403);
});

test('a server runs nothing of a package that it serves', async () => {
  const place = path.join(home, 'hostile');
  const marker = path.join(home, 'ran');
  const hostile = `require('fs').appendFileSync(${JSON.stringify(marker)}, __filename + '\\n'); module.exports = () => {};`;
  const files = { 'index.js': hostile, 'lib/node/load.js': hostile, 'model/pybridge-layers.js': hostile, 'package.json': '{"main": "index.js"}' };
  await writePackage(place, { files, layers: 'model/pybridge-layers.js' });
  const models = await createModels({ models: [{ name: 'hostile', path: place }], runtime: 'cpu', reload: false });
  const { probabilities } = await models.infer('hostile', { images: [BASELINE_JPEG] });
  await models.close();
  assert.equal(probabilities.length, LABELS.length);
  assert.equal(fs.existsSync(marker), false, fs.existsSync(marker) ? fs.readFileSync(marker, 'utf8') : '');
});
