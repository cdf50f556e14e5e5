'use strict';

// Run in a project where a package is installed as `classifier`. Tries what a service may do, on the plain JavaScript backend, and
// prints what came of it. Reads {picture, calls} on stdin.

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');

const project = createRequire(path.join(process.cwd(), 'index.js'));

async function main() {
  const { picture, calls } = JSON.parse(fs.readFileSync(0, 'utf8'));
  const tf = project('@tensorflow/tfjs');
  await tf.setBackend('cpu');
  const { load } = project('classifier');
  const before = tf.memory().numTensors;
  const classifier = await load({ tf });
  const loaded = tf.memory().numTensors;
  const bytes = fs.readFileSync(picture);
  const found = {};
  const attempt = async (name, work) => {
    found[name] = await Promise.resolve()
      .then(work)
      .catch((error) => ({ name: error.name, code: error.code, message: error.message, index: error.index }));
  };
  const best = async (input) => (await classifier.classify(input, { topK: 1 }))[0];

  await attempt('path', () => best(picture));
  await attempt('buffer', () => best(bytes));
  await attempt('uint8array', () => best(new Uint8Array(bytes)));
  await attempt('arraybuffer', () => best(new Uint8Array(bytes).buffer));
  await attempt('dataview', () => best(new DataView(new Uint8Array(bytes).buffer)));
  await attempt('blob', () => best(new Blob([bytes])));
  const red = Uint8Array.from({ length: 20 * 10 * 4 }, (_, i) => [200, 30, 20, 255][i % 4]);
  const redRgb = red.filter((_, i) => i % 4 !== 3);
  await attempt('rgba', () => best({ data: red, width: 20, height: 10 }));
  await attempt('rgb', () => best({ data: redRgb, width: 20, height: 10 }));
  const tensor = tf.tensor3d(redRgb, [10, 20, 3], 'int32');
  await attempt('tensor', () => best(tensor));
  tensor.dispose();

  const badTensors = [tf.zeros([4, 4, 3]), tf.zeros([4, 4], 'int32'), tf.fill([4, 4, 3], 256, 'int32')];
  await attempt('float_tensor', () => classifier.classify(badTensors[0]));
  await attempt('flat_tensor', () => classifier.classify(badTensors[1]));
  await attempt('bright_tensor', () => classifier.classify(badTensors[2]));
  badTensors.forEach((bad) => bad.dispose());
  await attempt('number', () => classifier.classify(5));
  await attempt('nothing', () => classifier.classify());
  await attempt('object', () => classifier.classify({}));
  await attempt('wrong_pixels', () => classifier.classify({ data: red, width: 7, height: 10 }));
  await attempt('huge_pixels', () => classifier.classify({ data: red, width: 1e6, height: 1e6 }));
  await attempt('missing_file', () => classifier.classify('there-is-no.jpg'));
  await attempt('folder', () => classifier.classify('.'));
  await attempt('empty', () => classifier.classify(Buffer.alloc(0)));
  await attempt('text', () => classifier.classify(Buffer.from('this is no image')));
  await attempt('jpegxl', () => classifier.classify(Buffer.from([0xff, 0x0a, 0, 0])));
  await attempt('truncated', () => classifier.classify(bytes.subarray(0, bytes.length - 30)));
  await attempt('zero_answers', () => classifier.classify(bytes, { topK: 0 }));
  await attempt('one_for_many', () => classifier.classifyMany(bytes));
  await attempt('second_is_bad', () => classifier.classifyMany([bytes, Buffer.from('no')]));
  await attempt('aborted_before', () => classifier.classify(bytes, { signal: AbortSignal.abort() }));
  await attempt('aborted_within', () => {
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    return classifier.classifyMany(Array(500).fill(bytes), { signal: controller.signal });
  });
  await attempt('many', async () => (await classifier.classifyMany([bytes, picture, bytes], { batchSize: 2, topK: 1 })).flat());
  await attempt('none', () => classifier.classifyMany([]));
  await attempt('predict', async () => {
    const { height, width } = classifier.manifest.preprocessing;
    const batch = tf.zeros([2, height, width, 3]);
    const output = classifier.predict(batch);
    const { shape } = output;
    tf.dispose([batch, output]);
    return shape;
  });
  await attempt('predict_bad', () => classifier.predict([1, 2, 3]));

  for (let call = 0; call < calls; call++) await classifier.classify({ data: redRgb, width: 20, height: 10 });
  const used = tf.memory().numTensors;
  classifier.dispose();
  classifier.dispose();
  await attempt('after_dispose', () => classifier.classify(bytes));
  process.stdout.write(JSON.stringify({ found, tensors: { before, loaded, used, after: tf.memory().numTensors } }));
}

main();
