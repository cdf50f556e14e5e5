'use strict';

// Run in a project where a package is installed as `classifier`. Reads {files, options, native, package} on stdin, and prints the answers and which
// TensorFlow.js gave them. With the environment of pybridge's runner and `native`, it is that of Python's TensorFlow.

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');

const project = createRequire(path.join(process.cwd(), 'index.js'));

async function main() {
  const { files, options, native, package: name } = JSON.parse(fs.readFileSync(0, 'utf8'));
  const tf = native ? require(native).loadTensorflow() : undefined;
  const classifier = await project(name).load({ ...options, tf });
  const answers = await classifier.classifyMany(files, { batchSize: 8 });
  const { runtime, form, labels } = classifier;
  process.stdout.write(JSON.stringify({ runtime, form, labels, answers }));
  classifier.dispose();
}

main();
