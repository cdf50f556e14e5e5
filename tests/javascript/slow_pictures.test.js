'use strict';

// Pictures that take long: their own client waits, or is refused; others are answered.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const { preparerInThreads } = require('../../node_runner/package/lib/node/decoding_pool');
const { createModels } = require('../../node_runner/server/models');
const { writePackage } = require('./package_folder');
const { BASELINE_JPEG, blackPng, scannedAgain } = require('./pictures');

const PREPROCESSING = { height: 6, width: 6, crop: 'stretch', crop_fraction: 1, mean: [127], std: [128], channel_order: 'rgb' };
const LIMITS = { maxPixels: 5e7, maxBytes: 1e8 };

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'slow-'));
const large = blackPng(2000);
// One large picture is decoded at a time, and twelve may wait.
const SETTINGS = { maxPixels: 5e6, maxBatchPixels: 5e6, maxQueuePixels: 50e6, decodeTimeout: 60 };
/** @type {any} */
let models;

before(async () => {
  await writePackage(path.join(home, 'tiny'));
  models = await createModels({ models: [{ name: 'tiny', path: path.join(home, 'tiny') }], runtime: 'cpu', reload: false, ...SETTINGS });
});
after(async () => {
  await models.close();
  fs.rmSync(home, { recursive: true });
});

const ask = (/** @type {Buffer[]} */ ...images) => models.infer('tiny', { images });
const figures = () => models.stats().models[0];

test('a picture that takes too long ends its thread, and the next one is decoded', async () => {
  const preparer = preparerInThreads(/** @type {any} */ (PREPROCESSING), LIMITS, 1, 0.15);
  const outcomes = await Promise.allSettled([preparer.prepare({ bytes: new Uint8Array(blackPng(5000)) }), preparer.prepare({ bytes: new Uint8Array(BASELINE_JPEG) })]);
  preparer.close();
  assert.equal(/** @type {any} */ (outcomes[0]).reason?.code, 'ERR_IMAGE_TOO_SLOW');
  assert.equal(outcomes[1].status, 'fulfilled');
});

test('others are answered while a client has many large pictures decoded', async () => {
  let done = false;
  const slow = ask(...Array(12).fill(large)).finally(() => (done = true));
  for (let i = 0; i < 3; i++) {
    await ask(BASELINE_JPEG);
    assert.equal(done, false, `after ${i + 1} answers`);
  }
  assert.equal((await slow).probabilities.length, 12 * 3);
  assert.equal(figures().crashes, 0);
});

test('many clients with a large picture each hold up nobody else', async () => {
  let left = 12;
  const slow = Array.from({ length: left }, () => ask(large).finally(() => (left -= 1)));
  await ask(BASELINE_JPEG);
  assert.ok(left >= 9, `${12 - left} of the large ones went before`);
  await Promise.all(slow);
});

test('the decoded size of what waits is limited', async () => {
  await assert.rejects(ask(...Array(13).fill(large)), { code: 'BAD_INPUT', status: 413, message: /pixels/ });
  const waiting = Array.from({ length: 20 }, () => ask(large).then(() => 'answered', (error) => error.code));
  const outcomes = await Promise.all(waiting);
  assert.ok(outcomes.includes('OVERLOADED') && outcomes.includes('answered'), outcomes.join());
  assert.deepEqual([figures().queued, figures().inFlight, figures().crashes], [0, 0, 0]);
});

test('a hostile file is an error of its own client', async () => {
  await assert.rejects(ask(scannedAgain(20_000)), { code: 'BAD_INPUT', status: 413, message: /scans/ });
  assert.equal(figures().crashes, 0);
});
