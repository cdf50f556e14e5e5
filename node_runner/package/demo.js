'use strict';

/**
 * Serves `demo.html` to a browser on this machine: `node demo.js [PORT]`. It answers for the files that the manifest names and for
 * TensorFlow.js, nothing else.
 */

const fs = require('fs');
const http = require('http');
const path = require('path');

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
};

const manifest = JSON.parse(fs.readFileSync(path.join(__dirname, 'manifest.json'), 'utf8'));
const tensorflow = '@tensorflow/tfjs/dist/tf.min.js';
const served = new Map([...Object.keys(manifest.files), 'manifest.json'].map((name) => [`/${name}`, path.join(__dirname, name)]));
served.set('/', path.join(__dirname, 'demo.html'));
try {
  served.set('/tf.min.js', require.resolve(tensorflow, { paths: [__dirname, process.cwd()] }));
} catch {
  console.error('The demo needs TensorFlow.js: npm install @tensorflow/tfjs');
  process.exit(1);
}

// A web page may let a name of its own lead to this machine, but a browser says which name it asked for.
const HOST = /^(localhost|127\.0\.0\.1)(:\d+)?$/i;

const server = http.createServer((request, response) => {
  if (!HOST.test(request.headers.host ?? '')) {
    response.writeHead(403).end();
    return;
  }
  const file = served.get(new URL(request.url ?? '/', 'http://localhost').pathname);
  if (!file || request.method !== 'GET') {
    response.writeHead(file ? 405 : 404).end();
    return;
  }
  response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream', 'cache-control': 'no-store' });
  fs.createReadStream(file)
    .on('error', () => response.destroy())
    .pipe(response);
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const address = /** @type {import('net').AddressInfo} */ (server.address());
  console.log(`http://127.0.0.1:${address.port}/`);
});
