'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { createModels } = require('../../node_runner/server/models');
const { LABELS, writePackage } = require('./package_folder');
const { BASELINE_JPEG } = require('./pictures');

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'versions-'));
/** Two packages whose answers differ. */
const packages = [path.join(home, 'one'), path.join(home, 'two')];

before(async () => {
  for (const [i, folder] of packages.entries()) await writePackage(folder, { seed: i + 1 });
});
after(() => fs.rmSync(home, { recursive: true }));

const shardOf = (/** @type {string} */ folder) => path.join(folder, 'model', 'weights.bin');

/** @type {Record<string, (folder: string) => void>} */
const SPOILT = {
  'a garbled manifest': (folder) => fs.writeFileSync(path.join(folder, 'manifest.json'), 'garbage'),
  'a weight file that was cut': (folder) => fs.truncateSync(shardOf(folder), 10),
  'a weight file that is gone': (folder) => fs.rmSync(shardOf(folder)),
  'labels in another order': (folder) => {
    const file = path.join(folder, 'manifest.json');
    const manifest = JSON.parse(fs.readFileSync(file, 'utf8'));
    fs.writeFileSync(file, JSON.stringify({ ...manifest, labels: manifest.labels.reverse() }));
  },
};

/** A new folder with versions, 1 on. */
function versions(name, count = 2) {
  const place = path.join(home, name.replaceAll(' ', '-'));
  for (let i = 0; i < count; i++) fs.cpSync(packages[i % 2], path.join(place, String(i + 1)), { recursive: true });
  return place;
}

async function serving(context, place, options = {}) {
  const models = await createModels({ models: [{ name: 'pets', path: place, ...options }], runtime: 'cpu', reload: false });
  context.after(() => models.close({ drain: false }));
  const ask = async (/** @type {string} */ version) => models.infer('pets', { version, images: [BASELINE_JPEG] });
  const states = () => Object.fromEntries(models.list()[0].versions.map(({ version, state }) => [version, state]));
  const kill = () => models.stats().models.forEach(({ workers }) => workers.forEach(({ pid }) => process.kill(pid, 'SIGKILL')));
  return { models, ask, states, kill };
}

for (const [what, spoil] of Object.entries(SPOILT)) {
  test(`a newest version with ${what} does not stop the start: the one before answers`, async (context) => {
    const place = versions(`start ${what}`);
    spoil(path.join(place, '2'));
    const { models, ask, states } = await serving(context, place);
    assert.equal((await ask()).version, '1');
    assert.deepEqual(states(), { 1: 'AVAILABLE', 2: 'FAILED' });
    const { error } = models.list()[0].versions.find(({ version }) => version === '2');
    assert.match(error, /manifest\.json|weights\.bin/);
    assert.ok(!error.includes(home), error);
    await assert.rejects(ask('2'), { code: 'UNAVAILABLE' });
    assert.equal(models.ready(), true);
  });
}

test('a version that was mended answers', async (context) => {
  const place = versions('mended');
  SPOILT['a weight file that is gone'](path.join(place, '2'));
  const { models, ask, states } = await serving(context, place);
  fs.copyFileSync(shardOf(packages[1]), shardOf(path.join(place, '2')));
  await models.reload();
  assert.equal((await ask()).version, '2');
  assert.equal(states()[2], 'AVAILABLE');
});

test('a rollback goes past a version that is broken', async (context) => {
  const place = versions('rollback', 3);
  const { models, ask, states } = await serving(context, place);
  assert.equal((await ask()).version, '3');
  fs.rmSync(path.join(place, '3'), { recursive: true });
  SPOILT['a garbled manifest'](path.join(place, '2'));
  await models.reload();
  assert.equal((await ask()).version, '1');
  assert.equal(states()[2], 'FAILED');
});

test('where no version is good the start says why', async () => {
  const place = versions('none');
  for (const version of ['1', '2']) SPOILT['a weight file that is gone'](path.join(place, version));
  const asked = createModels({ models: [{ name: 'pets', path: place }], runtime: 'cpu', reload: false });
  await assert.rejects(asked, { code: 'UNAVAILABLE', message: /pets cannot be loaded: .*weights\.bin is missing/ });
});

for (const [what, spoil] of Object.entries({
  'was removed': (/** @type {string} */ folder) => fs.rmSync(folder, { recursive: true }),
  'was cut': SPOILT['a weight file that was cut'],
})) {
  test(`when the served version ${what} and its worker dies, the next good one answers what waits`, async (context) => {
    const place = versions(`serving ${what}`, 3);
    const { models, ask, kill } = await serving(context, place);
    const expected = { 1: await ask('3').catch(() => null) };
    assert.equal((await ask()).version, '3');
    SPOILT['a garbled manifest'](path.join(place, '2'));
    spoil(path.join(place, '3'));
    kill();
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask()));
    // Versions 1 and 3 are equal, so that an answer of either is right.
    for (const { version, probabilities } of answers) {
      assert.ok(['1', '3'].includes(version));
      assert.deepEqual(probabilities, expected[1].probabilities);
    }
    assert.equal((await ask()).version, '1');
    assert.equal(models.ready(), true);
  });
}

test('a canary answers its share, and nothing while it is broken', async (context) => {
  const place = versions('canary', 2);
  const { models, kill } = await serving(context, place, { canary: { version: '2', percent: 10 } });
  const { inputHeight, inputWidth } = models.metadata('pets');
  const tensor = { shape: [1, inputHeight, inputWidth, 3], data: new Float32Array(inputHeight * inputWidth * 3) };
  const shares = async (/** @type {number} */ count) => {
    const found = { 1: 0, 2: 0 };
    for (let i = 0; i < count; i += 200) {
      const answers = await Promise.all(Array.from({ length: 200 }, () => models.infer('pets', { tensor })));
      for (const { version } of answers) found[version] += 1;
    }
    return found;
  };
  assert.deepEqual(await shares(2000), { 1: 1800, 2: 200 });
  assert.deepEqual(models.list()[0].labels, { stable: '1', canary: '2' });
  assert.equal((await models.infer('pets', { version: '2', tensor })).version, '2');
  fs.rmSync(path.join(place, '2'), { recursive: true });
  kill();
  assert.equal((await shares(200))[1] + (await shares(200))[1] > 360, true);
  assert.equal(models.metadata('pets').labels.length, LABELS.length);
});

test('a version with a label is loaded beside the newest', async (context) => {
  const { models, ask } = await serving(context, versions('labels', 3), { labels: { good: '2' } });
  assert.equal((await ask()).version, '3');
  assert.equal((await ask('2')).version, '2');
  assert.deepEqual(models.list()[0].labels, { stable: '3', good: '2' });
  await assert.rejects(ask('1'), { code: 'NOT_FOUND' });
});
