'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { RequestQueue } = require('../../node_runner/server/models/request_queue');

const request = (/** @type {number[]} */ ...sizes) => ({
  items: sizes.map((size) => new Uint8Array(size)),
  pixels: sizes.map((size) => 10 * size),
  next: 0,
  answer: () => {},
  fail: () => {},
  settled: () => false,
});

test('requests take turns, an image each', () => {
  const queue = new RequestQueue();
  const [many, few] = [request(1, 1, 1, 1), request(1)];
  queue.add(many);
  queue.add(few);
  const order = queue.take(3, Infinity).map(({ request: owner, position }) => [owner === many ? 'many' : 'few', position]);
  assert.deepEqual(order, [['many', 0], ['few', 0], ['many', 1]]);
});

test('images and bytes that wait are counted', () => {
  const queue = new RequestQueue();
  const first = request(10, 20, 30);
  queue.add(first);
  queue.add(request(5));
  assert.deepEqual([queue.size, queue.bytes, queue.pixels], [4, 65, 650]);
  queue.take(2, Infinity);
  assert.deepEqual([queue.size, queue.bytes], [2, 50]);
  queue.remove(first);
  assert.deepEqual([queue.size, queue.bytes], [0, 0]);
  queue.remove(first);
  assert.deepEqual([queue.size, queue.bytes], [0, 0]);
});

test('an image whose worker ended comes first, and alone', () => {
  const queue = new RequestQueue();
  const [hurt, other] = [request(7), request(1, 1)];
  queue.add(hurt);
  const [task] = queue.take(1, Infinity);
  queue.add(other);
  queue.addAgain({ ...task, attempts: 1 });
  assert.deepEqual([queue.size, queue.bytes], [3, 9]);
  const again = queue.take(16, Infinity);
  assert.deepEqual(again.map(({ request: owner, attempts }) => [owner, attempts]), [[hurt, 1]]);
  assert.equal(queue.take(16, Infinity).length, 2);
});

test('a client that leaves takes along what was to be tried again', () => {
  const queue = new RequestQueue();
  const leaving = request(3, 4);
  queue.add(leaving);
  const [task] = queue.take(1, Infinity);
  queue.addAgain(task);
  assert.deepEqual(queue.requests(), [leaving]);
  queue.remove(leaving);
  assert.deepEqual([queue.size, queue.bytes, queue.requests().length], [0, 0, 0]);
});

test('large images are taken one at a time, and small ones of others go before the next of them', () => {
  const queue = new RequestQueue();
  const [first, second, small] = [request(50, 50), request(50), request(1, 1)];
  for (const each of [first, second, small]) queue.add(each);
  const names = new Map([[first, 'first'], [second, 'second'], [small, 'small']]);
  const taken = () => queue.take(16, 600).map(({ request: owner }) => names.get(owner));
  assert.deepEqual(taken(), ['first', 'small', 'small']);
  assert.deepEqual(taken(), ['second']);
  assert.deepEqual(taken(), ['first']);
  assert.deepEqual([queue.size, queue.bytes, queue.pixels], [0, 0, 0]);
});

test('an image that is larger than what is decoded together is taken alone', () => {
  const queue = new RequestQueue();
  queue.add(request(100));
  queue.add(request(1));
  assert.deepEqual([queue.take(16, 600).length, queue.take(16, 600).length], [1, 1]);
});
