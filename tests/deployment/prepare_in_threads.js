'use strict';

// Prepares pictures in threads and in the thread that calls, and prints what came of it. Reads {files, bad, large, calls} on stdin. It
// never closes the threads: they must not keep the process alive. Needs --expose-gc.

const { createHash } = require('crypto');
const { getEventListeners } = require('events');
const fs = require('fs');
const path = require('path');

const lib = path.join(__dirname, '..', '..', 'node_runner', 'package', 'lib');
const { preparerInThreads } = require(path.join(lib, 'node', 'decoding_pool'));
const { preparerHere } = require(path.join(lib, 'prepare'));

const PREPROCESSING = { height: 24, width: 32, crop: 'stretch', crop_fraction: 1, mean: [127], std: [128], channel_order: 'rgb' };
const LIMITS = { maxPixels: 1e8, maxBytes: 1e8 };

const hash = (values) => createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
const read = (file) => ({ bytes: new Uint8Array(fs.readFileSync(file)) });
const outcome = (promise) => promise.then(hash, ({ name, code, message }) => ({ name, code, message }));

/** @returns how often others had their turn until the promise was settled */
async function turns(promise) {
  let count = 0;
  let done = false;
  promise.finally(() => (done = true));
  while (!done) {
    await new Promise((resolve) => setImmediate(resolve));
    count++;
  }
  return count;
}

async function main() {
  const { files, bad, large, calls } = JSON.parse(fs.readFileSync(0, 'utf8'));
  let started = 0;
  const here = preparerHere(PREPROCESSING, LIMITS);
  const threads = preparerInThreads(PREPROCESSING, LIMITS, 2);
  process.on('worker', () => started++);

  const all = [...files, bad];
  const found = {
    here: await Promise.all(all.map((file) => outcome(here.prepare(read(file))))),
    threads: await Promise.all(all.map((file) => outcome(threads.prepare(read(file))))),
  };
  found.turns = { threads: await turns(threads.prepare(read(large))), here: await turns(here.prepare(read(large))) };

  const controller = new AbortController();
  const { signal } = controller;
  const waiting = files.map((file) => outcome(threads.prepare(read(file), signal)));
  controller.abort();
  found.aborted = (await Promise.all(waiting)).map(({ name }) => name);
  found.abortedBefore = (await outcome(threads.prepare(read(files[0]), signal))).name;
  found.afterwards = await outcome(threads.prepare(read(files[0])));

  const long = new AbortController().signal;
  const many = async (count) => {
    for (let i = 0; i < count; i += 8) await Promise.all(Array.from({ length: 8 }, () => threads.prepare(read(files[0]), long)));
    globalThis.gc();
    return process.memoryUsage().arrayBuffers;
  };
  const before = await many(160);
  found.leaked = (await many(calls)) - before;
  found.listeners = getEventListeners(long, 'abort').length;
  found.started = started;

  const closing = preparerInThreads(PREPROCESSING, LIMITS, 1);
  const pending = outcome(closing.prepare(read(files[0])));
  closing.close();
  found.closed = [(await pending).code, (await outcome(closing.prepare(read(files[0])))).code];
  process.stdout.write(JSON.stringify(found));
}

main();
