'use strict';

const assert = require('node:assert/strict');
const { PassThrough } = require('node:stream');
const { test } = require('node:test');

const { FrameReader } = require('../../node_runner/rpc/frame_reader');
const { writeFrame } = require('../../node_runner/rpc/frame_writer');
const { pack, unpack } = require('../../node_runner/rpc/values');

/** The bytes that a value crosses as. */
function frameOf(value, message = { jsonrpc: '2.0', id: 7 }) {
  const { json, tensors } = pack(value, 'result');
  const stream = new PassThrough();
  writeFrame(/** @type {any} */ (stream), { ...message, result: json }, tensors);
  return stream.read();
}

/** Reads bytes as a socket would bring them, `step` at a time at most. */
function read(bytes, step = bytes.length) {
  const found = { values: [], bad: [], lost: [] };
  const reader = new FrameReader({
    isConsumed: () => false,
    onFrame: ({ message, tensors }) => found.values.push(unpack(message.result, tensors)),
    onBadFrame: (error, id) => found.bad.push([error.message, id]),
    onLost: (reason) => found.lost.push(reason),
  });
  for (let at = 0; at < bytes.length; ) {
    const room = reader.nextBuffer();
    const count = Math.min(step, room.length, bytes.length - at);
    room.set(bytes.subarray(at, at + count));
    reader.received(count);
    at += count;
  }
  return found;
}

function header(magic, jsonBytes, payloadBytes) {
  const head = Buffer.alloc(16);
  head.write(magic, 'latin1');
  head.writeUInt32LE(jsonBytes, 4);
  head.writeBigUInt64LE(payloadBytes, 8);
  return head;
}

const text = (json) => Buffer.concat([header('PYB1', Buffer.byteLength(json), 0n), Buffer.from(json)]);

test('values cross as they are', () => {
  const value = { list: [1, 'ü', null, true], nested: { $tensor: 0 }, odd: [NaN, -Infinity, -0], big: 2n ** 70n, own: JSON.parse('{"__proto__": 1}') };
  const [found] = read(frameOf(value)).values;
  assert.deepEqual(found, value);
  assert.ok(Object.is(found.odd[2], -0));
  assert.ok(Object.hasOwn(found.own, '__proto__'));
});

test('arrays of every type keep their bytes, wherever reads end', () => {
  const arrays = [Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array].map((kind) => kind.from([1, 2, 3]));
  const bytes = frameOf([...arrays, BigInt64Array.from([-1n, 5n]), new Float32Array(0)]);
  for (const step of [1, 3, 16, 1000]) {
    const [found] = read(bytes, step).values;
    assert.deepEqual(found.slice(0, arrays.length).map(({ data }) => data), arrays, `${step} bytes at a time`);
    assert.deepEqual([...found.at(-2).data], [-1n, 5n]);
    assert.deepEqual(found.at(-1).shape, [0]);
  }
});

test('a large tensor does not pass through the scratch buffer', () => {
  const large = Float32Array.from({ length: 300_000 }, (_, i) => i);
  const [found] = read(frameOf({ large }), 50_000).values;
  assert.deepEqual(found.large.data, large);
});

test('several frames in one read are several messages', () => {
  assert.deepEqual(read(Buffer.concat([frameOf(1), frameOf('two'), frameOf([3])])).values, [1, 'two', [3]]);
});

test('a frame that cannot be used is skipped, and the next one is read', () => {
  const wrong = Buffer.concat([header('PYB1', 64, 8n), Buffer.from('{"id": 3, "tensors": [{"dtype":"int8","shape":[9],"nbytes":9}]}'.padEnd(64)), Buffer.alloc(8)]);
  const found = read(Buffer.concat([text('{"id": 1, nonsense'), wrong, frameOf('good')]), 5);
  assert.deepEqual(found.values, ['good']);
  assert.match(found.bad[0][0], /not valid JSON/);
  assert.match(found.bad[1][0], /9 bytes, but the frame carries 8/);
  assert.deepEqual(found.bad.map(([, id]) => id), [null, 3]);
});

for (const [name, bytes, reason] of [
  ['bytes that are no frame', Buffer.from('hello, this is text'), /magic/],
  ['JSON without end', header('PYB1', 2 ** 31, 0n), /too large/],
  ['tensors without end', header('PYB1', 2, 2n ** 40n), /too large/],
]) {
  test(`${name} end the connection before anything is allocated`, () => {
    const found = read(bytes);
    assert.equal(found.lost.length, 1);
    assert.match(found.lost[0], reason);
  });
}

for (const [name, descriptor] of Object.entries({
  'an unknown type': { dtype: 'float128', shape: [1], nbytes: 16 },
  'a name of every object': { dtype: 'constructor', shape: [1], nbytes: 1 },
  'a negative length': { dtype: 'int8', shape: [-1], nbytes: 1 },
  'a shape that hides its size behind a zero': { dtype: 'int8', shape: [0, 2 ** 40], nbytes: 0 },
  'fewer bytes than its shape needs': { dtype: 'int32', shape: [4], nbytes: 4 },
})) {
  test(`a tensor of ${name} is refused`, () => {
    const found = read(text(JSON.stringify({ id: 1, tensors: [descriptor] })));
    assert.equal(found.bad.length, 1);
    assert.match(found.bad[0][0], /tensor 0/);
  });
}

test('placeholders that are none are refused', () => {
  for (const value of [{ $tensor: 0 }, { $number: 'toString' }, { $bigint: '1e9' }, { $bigint: '9'.repeat(5000) }]) {
    assert.throws(() => unpack(value, []), /malformed placeholder/);
  }
});

test('what JSON cannot say is refused by its place', () => {
  assert.throws(() => pack({ a: [new Map()] }, 'result'), /result\.a\[0\] is a Map/);
  const circle = {};
  circle.circle = circle;
  assert.throws(() => pack(circle, 'result'), /contains itself/);
});
