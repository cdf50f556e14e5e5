'use strict';

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { Readable } = require('node:stream');
const { after, before, test } = require('node:test');
const { pathToFileURL } = require('node:url');

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

/** The files of a package that says what it means in one place only, as earlier versions have packed it. */
function undescribed({ files }) {
  return Object.fromEntries(Object.entries(files).filter(([name]) => name !== 'model/classifier.json'));
}

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
  const files = undescribed(manifest);
  writeManifest(place, { ...manifest, files, check: { ...manifest.check, probabilities: [1, 0, 0] } });
  await assert.rejects(loadFrom(place, OPTIONS), { code: 'ERR_RUNTIME', message: /other probabilities/ });
});

for (const [what, change] of Object.entries({
  'labels reversed': (/** @type {any} */ one) => one.labels.reverse(),
  'labels shortened': (/** @type {any} */ one) => one.labels.pop(),
  'a label renamed': (/** @type {any} */ one) => (one.labels[1] = 'wolf'),
  'another preprocessing': (/** @type {any} */ one) => (one.preprocessing.channel_order = 'bgr'),
  'another mean': (/** @type {any} */ one) => (one.preprocessing.mean = [126]),
  'another answer to expect': (/** @type {any} */ one) => (one.check.tolerance = 1),
})) {
  test(`a manifest with ${what} is not that of the training`, async () => {
    const place = copy(what);
    const changed = structuredClone(manifest);
    change(changed);
    writeManifest(place, changed);
    await assert.rejects(loadFrom(place, { ...OPTIONS, check: false }), { name: 'IntegrityError', message: /was altered/ });
  });
}

test('labels in another order than Python had are seen by what it answered, too', async () => {
  const place = copy('reversed');
  const { check, labels } = structuredClone(manifest);
  writeManifest(place, { ...manifest, files: undescribed(manifest), labels: labels.reverse(), check: { ...check, labels: manifest.labels } });
  await assert.rejects(loadFrom(place, OPTIONS), { name: 'IntegrityError', message: /other labels/ });
});

test('fewer labels than the model has outputs are seen where nothing else says how many there are', async () => {
  const place = copy('few');
  const files = undescribed(manifest);
  writeManifest(place, { ...manifest, files, labels: manifest.labels.slice(1) });
  await assert.rejects(loadFrom(place, OPTIONS), { name: 'IntegrityError', message: /2 labels for a model of 3/ });
});

test('what is not read may be missing or edited, and code that is there is compared', async () => {
  const place = copy('pruned');
  const { load } = require(path.join(place, 'index.js'));
  for (const name of ['index.d.ts', 'index.d.mts', 'demo.html', 'demo.js', 'index.mjs', 'lib/browser']) fs.rmSync(path.join(place, name), { recursive: true });
  const tf = require('@tensorflow/tfjs');
  (await load({ tf })).dispose();
  fs.appendFileSync(path.join(place, 'lib', 'input.js'), '\n');
  await assert.rejects(load({ tf }), { name: 'IntegrityError', message: /input\.js has/ });
  // Its code does not run here.
  (await loadFrom(place, OPTIONS)).dispose();
});

test('code that was moved elsewhere is told where the files are', async () => {
  const { load } = require('../../node_runner/package');
  for (const place of [folder, pathToFileURL(folder)]) {
    const classifier = await load({ ...OPTIONS, tf: require('@tensorflow/tfjs'), folder: place });
    assert.deepEqual(classifier.labels, LABELS);
    classifier.dispose();
  }
  await assert.rejects(load(OPTIONS), { name: 'IntegrityError', message: /load\(\{ folder \}\)/ });
});

test('an option that there is not is refused by name', async () => {
  await assert.rejects(loadFrom(folder, /** @type {any} */ ({ ...OPTIONS, decodethreads: 1 })), { code: 'ERR_INPUT', message: /"decodethreads".*decodeThreads/ });
  await assert.rejects(loadFrom(folder, /** @type {any} */ ('cpu')), { code: 'ERR_INPUT' });
  const classifier = await loadFrom(folder, OPTIONS);
  await assert.rejects(classifier.classify(BASELINE_JPEG, /** @type {any} */ ({ topk: 1 })), { code: 'ERR_INPUT', message: /topK/ });
  await assert.rejects(classifier.classifyMany([BASELINE_JPEG], /** @type {any} */ ({ batch: 1 })), { code: 'ERR_INPUT', message: /batchSize/ });
  classifier.dispose();
});

test('addresses of files, streams and responses are pictures too', async () => {
  const file = path.join(home, 'a photo.jpg');
  fs.writeFileSync(file, BASELINE_JPEG);
  const classifier = await loadFrom(folder, { ...OPTIONS, maxBytes: 100_000 });
  const expected = await classifier.classify(BASELINE_JPEG);
  async function* pieces() {
    for (let at = 0; at < BASELINE_JPEG.length; at += 100) yield BASELINE_JPEG.subarray(at, at + 100);
  }
  const inputs = [file, pathToFileURL(file), String(pathToFileURL(file)), fs.createReadStream(file), new Blob([BASELINE_JPEG]).stream(), new Response(BASELINE_JPEG), pieces()];
  for (const input of inputs) assert.deepEqual(await classifier.classify(input), expected);
  classifier.dispose();
});

test('a stream that cannot be used is closed, and the error says why', async () => {
  const classifier = await loadFrom(folder, { ...OPTIONS, maxBytes: 1000 });
  let cancelled = false;
  const endless = () =>
    new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(300)), cancel: () => void (cancelled = true) }, { highWaterMark: 0 });
  await assert.rejects(classifier.classify(endless()), { code: 'ERR_IMAGE_TOO_LARGE' });
  assert.equal(cancelled, true);
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('the line is dead')) });
  await assert.rejects(classifier.classify(broken), { code: 'ERR_IMAGE_UNREADABLE', message: /the line is dead/ });
  await assert.rejects(classifier.classify(new Response('gone', { status: 404 })), { code: 'ERR_INPUT', message: /404/ });
  const used = new Response(BASELINE_JPEG);
  await used.arrayBuffer();
  await assert.rejects(classifier.classify(used), { code: 'ERR_INPUT', message: /read already/ });
  await assert.rejects(classifier.classify(new URL('https://example.org/photo.jpg')), { code: 'ERR_INPUT', message: /fetch/ });
  const silent = new ReadableStream({ pull: () => new Promise(() => {}) });
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  await assert.rejects(classifier.classify(silent, { signal: controller.signal }), { name: 'AbortError' });
  const text = Readable.from(['text']);
  await assert.rejects(classifier.classify(text), { code: 'ERR_INPUT', message: /stream of string/ });
  assert.equal(text.destroyed, true);
  classifier.dispose();
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

test('a slower TensorFlow.js than the installed one is taken with a warning that says why', () => {
  const service = path.join(home, 'service');
  fs.cpSync(folder, path.join(service, 'classifier'), { recursive: true });
  const modules = path.join(service, 'node_modules', '@tensorflow');
  fs.mkdirSync(path.join(modules, 'tfjs-node'), { recursive: true });
  fs.writeFileSync(path.join(modules, 'tfjs-node', 'index.js'), "throw new Error('The addon was not built');");
  for (const name of ['tfjs', 'tfjs-backend-wasm']) fs.symlinkSync(path.resolve(__dirname, '..', '..', 'node_modules', '@tensorflow', name), path.join(modules, name));
  const script = "require('./classifier').load().then((classifier) => (console.log(classifier.runtime), process.exit()))";
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: service, encoding: 'utf8' });
  assert.equal(stdout.trim().split('\n').at(-1), 'wasm', stderr);
  assert.match(stderr, /slower TensorFlow\.js is taken than the installed one \(tfjs-node: The addon was not built\)/);
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
