'use strict';

// Decodes and prepares files as a deployed package does. Reads {files, preprocessings} on stdin, and prints for each file, for each
// preprocessing, the SHA-256 of the float32 input or the error's code.

const { createHash } = require('crypto');
const fs = require('fs');
const path = require('path');

const lib = path.join(__dirname, '..', '..', 'node_runner', 'package', 'lib');
const { decodeImage } = require(path.join(lib, 'image', 'decode'));
const { decodeForeign } = require(path.join(lib, "node", "foreign_formats"));
const { preprocess } = require(path.join(lib, 'preprocess'));

async function main() {
  const { files, preprocessings } = JSON.parse(fs.readFileSync(0, 'utf8'));
  const answers = {};
  for (const file of files) {
    try {
      const picture = await decodeImage(fs.readFileSync(file), undefined, decodeForeign);
      answers[file] = preprocessings.map((preprocessing) => {
        const out = new Float32Array(preprocessing.height * preprocessing.width * 3);
        preprocess(picture, preprocessing, out);
        return createHash('sha256').update(new Uint8Array(out.buffer)).digest('hex');
      });
    } catch (error) {
      answers[file] = error.code ?? `crash: ${error.stack}`;
    }
  }
  process.stdout.write(JSON.stringify(answers));
}

main();
