'use strict';

// A whole package with a tiny model, as `deploy` writes one.

const { createHash } = require('crypto');
const fs = require('fs');
const path = require('path');

const tf = require('@tensorflow/tfjs');

const REPOSITORY = path.resolve(__dirname, '..', '..');
const LABELS = ['cat', 'dog', 'fox'];
const PREPROCESSING = { height: 6, width: 6, crop: 'stretch', crop_fraction: 1, mean: [127], std: [128], channel_order: 'rgb' };
const CHECK = { width: 16, height: 12 };

/**
 * @param {string} folder a new one
 * @param {{files?: Record<string, string>, layers?: string, tolerance?: number, seed?: number}} [options] further files of the package, whose
 *   hashes are in the manifest; and which of them has layer classes
 */
async function writePackage(folder, { files = {}, layers, tolerance = 1e-3, seed = 1 } = {}) {
  await tf.setBackend('cpu');
  fs.cpSync(path.join(REPOSITORY, 'node_runner', 'package'), folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'tiny', version: '1.0.0', main: './index.js' }));
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  const model = tf.sequential();
  model.add(tf.layers.flatten({ inputShape: [PREPROCESSING.height, PREPROCESSING.width, 3] }));
  model.add(tf.layers.dense({ units: LABELS.length, activation: 'softmax', kernelInitializer: tf.initializers.glorotUniform({ seed }) }));
  fs.mkdirSync(path.join(folder, 'model'), { recursive: true });
  await model.save(
    tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
      const document = { format: 'layers-model', modelTopology, weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }] };
      fs.writeFileSync(path.join(folder, 'model', 'model.json'), JSON.stringify(document));
      fs.writeFileSync(path.join(folder, 'model', 'weights.bin'), Buffer.from(/** @type {ArrayBuffer} */ (weightData)));
      return /** @type {any} */ ({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } });
    }),
  );
  const manifest = {
    format: 'pybridge-package',
    version: 1,
    labels: LABELS,
    preprocessing: PREPROCESSING,
    model: { file: 'model/model.json', layers: layers ?? null, precision: 'float32' },
    saved_model: null,
    check: { ...CHECK, probabilities: await probabilitiesOf(model), tolerance },
    versions: {},
    files: {},
  };
  const { labels, preprocessing, model: stored, saved_model, check } = manifest;
  fs.writeFileSync(path.join(folder, 'model', 'classifier.json'), JSON.stringify({ check, saved_model, model: stored, preprocessing, labels }));
  manifest.files = hashes(folder);
  writeManifest(folder, manifest);
  return manifest;
}

/** What the model says of the picture that every package knows. */
async function probabilitiesOf(model) {
  const { preprocess } = require('../../node_runner/package/lib/preprocess');
  const pixels = new Uint8Array(CHECK.width * CHECK.height * 3);
  for (let y = 0, at = 0; y < CHECK.height; y++) {
    for (let x = 0; x < CHECK.width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const wave = (x * (3 + channel) + y * (5 - channel) + 40 * channel) % 510;
        pixels[at++] = wave < 256 ? wave : 510 - wave;
      }
    }
  }
  const { height, width } = PREPROCESSING;
  const values = new Float32Array(height * width * 3);
  preprocess({ ...CHECK, pixels }, /** @type {any} */ (PREPROCESSING), values);
  return Array.from(await model.predict(tf.tensor(values, [1, height, width, 3])).data());
}

/** @param {string} folder */
function hashes(folder) {
  const found = {};
  for (const entry of fs.readdirSync(folder, { recursive: true })) {
    const file = path.join(folder, String(entry));
    if (!fs.statSync(file).isFile() || entry === 'package.json' || entry === 'manifest.json') continue;
    const content = fs.readFileSync(file);
    found[String(entry)] = { sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length };
  }
  return found;
}

/**
 * @param {string} folder
 * @param {object} manifest
 */
function writeManifest(folder, manifest) {
  fs.writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
}

module.exports = { LABELS, writeManifest, writePackage };
