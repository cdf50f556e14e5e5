'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const REPOSITORY = path.resolve(__dirname, '..', '..');
const CURRENT = path.join(REPOSITORY, 'node_runner', 'package', 'lib', 'browser', 'bundle.mjs');

test('the script for browsers is what `npm run build` makes of the package today', (context) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bundle-'));
  context.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'bundle.mjs');
  const npm = spawnSync('npm', ['run', '--silent', 'build', '--', `--outfile=${file}`], { cwd: REPOSITORY, encoding: 'utf8' });
  assert.equal(npm.status, 0, npm.stderr);
  assert.equal(fs.readFileSync(CURRENT, 'utf8'), fs.readFileSync(file, 'utf8'), 'run: npm run build');
});
