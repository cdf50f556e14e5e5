'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { printable, printableLog } = require('../../node_runner/server/printable');

test('a line of the log says the same to a program, and nothing of it is obeyed or unseen', () => {
  const facts = { error: 'cat\u001b[2J\u202e\u009b\u007f\u2028\ud800\u{e0041}\n👩‍🔬 نمی‌خواهم' };
  const lines = /** @type {string[]} */ ([]);
  printableLog(/** @type {any} */ ({ write: (/** @type {string} */ line) => lines.push(line) })).write(`${JSON.stringify(facts)}\n`);
  assert.deepEqual(JSON.parse(lines[0]), facts);
  assert.doesNotMatch(lines[0].replaceAll('\u200d', '').replaceAll('\u200c', ''), /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
});

test('what people write stays as it is', () => {
  assert.equal(printable('Käse 猫\n'), 'Käse 猫\n');
});
