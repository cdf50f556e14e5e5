'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { checkSavedModel, findOperations, readOperations } = require('../../node_runner/server/models/graph_safety');

const operations = readOperations(findOperations());

/** A field of a message with a length, and one that is a number. */
const field = (/** @type {number} */ number, /** @type {(string | Uint8Array)[]} */ ...parts) => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const size = [];
  for (let left = body.length; ; left >>= 7) {
    size.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...size]), body]);
};
const node = (/** @type {string} */ op, /** @type {Uint8Array[]} */ ...more) => field(1, field(1, 'name'), field(2, op), ...more);
const attribute = (/** @type {Uint8Array} */ value) => field(5, field(1, 'f'), field(2, value));
const calls = (/** @type {string} */ name) => attribute(field(10, field(1, name)));
const library = (/** @type {Uint8Array[]} */ ...parts) => field(2, ...parts);
const functionOf = (/** @type {string} */ name, /** @type {string} */ op) => field(1, field(1, field(1, name)), field(3, field(1, 'inner'), field(2, op)));
const graph = (/** @type {Uint8Array[]} */ ...parts) => field(2, field(2, ...parts));
const check = (/** @type {Uint8Array[]} */ ...graphs) => checkSavedModel(Buffer.concat(graphs), operations, 'saved_model.pb');

test('a graph that computes passes, with the functions that it calls', () => {
  check(graph(node('Placeholder'), node('MatMul'), node('PartitionedCall', calls('inner')), library(functionOf('inner', 'Relu'))));
});

/** @type {Record<string, [string, Uint8Array[]]>} */
const REFUSED = {
  'an operation that reads a file': ['ReadFile', [graph(node('Add'), node('ReadFile'))]],
  'an operation that prints where it likes': ['PrintV2', [graph(node('PrintV2'))]],
  'an operation that nobody knows': ['NoSuchOperation', [graph(node('NoSuchOperation'))]],
  'a saver': ['SaveV2', [graph(node('SaveV2'))]],
  'a function that reads a file, whether or not it is called': ['ReadFile', [graph(library(functionOf('inner', 'ReadFile')))]],
  'an attribute that names an operation as a function': ['WriteFile', [graph(node('Map', calls('WriteFile')))]],
  'an attribute of an attribute': ['WriteFile', [graph(node('If', attribute(field(10, field(1, 'inner'), field(2, field(1, 'g'), field(2, field(10, field(1, 'WriteFile'))))))))]],
  'a list of functions': ['WriteFile', [graph(node('Case', attribute(field(1, field(9, field(1, 'WriteFile'))))))]],
  'a function with the name of an operation': ['ReadFile', [graph(library(functionOf('ReadFile', 'Relu')))]],
  'a gradient': ['ReadFile', [graph(library(field(2, field(1, 'Relu'), field(2, 'ReadFile'))))]],
  'a second graph': ['ReadFile', [graph(node('Add')), graph(node('ReadFile'))]],
  'nodes of a graph that is written in two parts': ['ReadFile', [field(2, field(2, node('Add')), field(2, node('ReadFile')))]],
};
for (const [what, [name, graphs]] of Object.entries(REFUSED)) {
  test(`${what} is refused by name`, () => {
    assert.throws(() => check(...graphs), new RegExp(`saved_model\\.pb is refused: its graph contains .*${name} \\(.+\\)`));
  });
}

for (const [what, bytes] of Object.entries({
  'a number that is longer than it need be': Buffer.from([0x92, 0x00, 0x01, 0x00]),
  'a field that ends too early': Buffer.from([0x12, 0x05, 0x01]),
  'a group, which nobody writes any more': Buffer.from([0x13]),
})) {
  test(`${what} hides nothing: the file is refused`, () => {
    assert.throws(() => check(bytes), /is no graph that TensorFlow writes/);
  });
}

test('the list is that of Python, of which most operations compute', () => {
  assert.ok(operations.computing.size > 900, String(operations.computing.size));
  assert.equal(operations.refused.get('ReadFile'), 'takes the name of a file');
});
