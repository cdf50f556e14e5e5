'use strict';

// What a service does without pybridge: an Express handler that decodes and predicts one picture after the other, with TensorFlow.js's
// own image functions and its own layers. Prints its address. Arguments: the folder of a deployed package, a module whose
// `loadTensorflow()` gives TensorFlow.js for Node.

const fs = require('fs');
const path = require('path');

const express = require('express');

async function main() {
  const [folder, tensorflow] = process.argv.slice(2);
  const tf = require(tensorflow).loadTensorflow();
  const { labels, preprocessing } = JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
  const model = await tf.loadLayersModel(`file://${path.join(folder, 'model', 'model.json')}`);
  const { height, width, mean, std } = preprocessing;

  const classify = (bytes) =>
    tf.tidy(() => {
      const image = tf.node.decodeImage(bytes, 3);
      const input = tf.image.resizeBilinear(image, [height, width]).sub(mean).div(std).expandDims(0);
      return model.predict(input);
    });

  const app = express();
  app.post('/classify', express.raw({ type: () => true, limit: '32mb' }), async (request, response) => {
    const output = classify(request.body);
    const probabilities = await output.data();
    output.dispose();
    const answers = labels.map((label, i) => ({ label, probability: probabilities[i] }));
    response.json(answers.sort((a, b) => b.probability - a.probability));
  });
  const server = app.listen(0, '127.0.0.1', () => {
    process.stdout.write(`http://127.0.0.1:${server.address().port}\n`);
  });
}

main();
