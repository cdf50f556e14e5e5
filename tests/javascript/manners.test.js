'use strict';

// How the server behaves towards clients, proxies and browsers, whatever its models are.

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const { after, before, test } = require('node:test');
const { gzipSync } = require('node:zlib');

const { createApp } = require('../../node_runner/server/app');
const { loadDependencies } = require('../../node_runner/server/dependencies');
const { readOptions } = require('../../node_runner/server/options');
const { listenForProbes } = require('../../node_runner/server/probes');

const TRACE = '0af7651916cd43dd8448eb211c80319c';
/** @type {(() => unknown)[]} */
const ends = [];

/** A server whose models are still being loaded. */
async function listen(...argv) {
  const options = readOptions([`tiny=${__dirname}`, '--log-level', 'info', ...argv], {});
  /** @type {any[]} */
  const log = [];
  const { app } = createApp({ options, models: null, draining: false }, loadDependencies(), { write: (line) => log.push(JSON.parse(line)) });
  ends.push(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0, listenTextResolver: () => '' });
  return { app, log, port: /** @type {import('net').AddressInfo} */ (app.server.address()).port };
}

/** @type {Awaited<ReturnType<typeof listen>>} */
let plain;
before(async () => {
  plain = await listen('--max-body', '5000');
});
after(() => Promise.all(ends.map((end) => end())));

/** @returns {Promise<{status: number, headers: import('http').IncomingHttpHeaders, body: any}>} */
function ask(port, { method = 'GET', path = '/healthz', headers = {}, body = undefined, localAddress = undefined } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path, headers, localAddress, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ status: Number(response.statusCode), headers: response.headers, body: /json/.test(response.headers['content-type'] ?? '') && text ? JSON.parse(text) : text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

test('the name that a client gives its request comes back and stands in the log', async () => {
  const { headers } = await ask(plain.port, { headers: { 'x-request-id': 'order-4711' } });
  assert.equal(headers['x-request-id'], 'order-4711');
  assert.ok(plain.log.some(({ reqId }) => reqId === 'order-4711'));
});

for (const bad of ['', 'two words', 'x'.repeat(200), 'ümlaut']) {
  test(`${JSON.stringify(bad.slice(0, 12))} is no name for a request: it gets one of ours`, async () => {
    const { headers } = await ask(plain.port, { headers: { 'x-request-id': Buffer.from(bad).toString('latin1') } });
    assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/);
  });
}

test('a trace is continued', async () => {
  const { headers } = await ask(plain.port, { headers: { traceparent: `00-${TRACE}-b7ad6b7169203331-01` } });
  assert.match(String(headers.traceparent), new RegExp(`^00-${TRACE}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`));
  assert.ok(plain.log.some(({ traceId }) => traceId === TRACE));
});

for (const bad of ['hello', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, `ff-${TRACE}-b7ad6b7169203331-01`]) {
  test(`${bad.slice(0, 8)} begins no trace`, async () => {
    assert.equal((await ask(plain.port, { headers: { traceparent: bad } })).headers.traceparent, undefined);
  });
}

test('a compressed body is read as what it was', async () => {
  const body = JSON.stringify({ ready: true });
  const given = { method: 'POST', path: '/v2/repository/index', headers: { 'content-encoding': 'gzip' } };
  // The models are being loaded, which is seen only once the body was read.
  assert.equal((await ask(plain.port, { ...given, body: gzipSync(body) })).status, 503);
  const { status, body: answer } = await ask(plain.port, { ...given, body: 'no gzip' });
  assert.equal(status, 400);
  assert.match(answer.error, /not gzip/);
});

test('a body that grows when it is inflated is refused', async () => {
  const body = gzipSync(Buffer.alloc(50_000_000));
  const small = await listen('--max-body', '100000');
  const { status, body: answer } = await ask(small.port, { method: 'POST', path: '/v1/models/tiny:predict', headers: { 'content-encoding': 'gzip' }, body });
  assert.equal(status, 413);
  assert.match(answer.error, /more than 100000 bytes/);
});

for (const [encoding, type] of [['br', 'application/json'], ['gzip', 'multipart/form-data; boundary=b']]) {
  test(`${encoding} of ${type.split(';')[0]} is refused`, async () => {
    const { status } = await ask(plain.port, { method: 'POST', path: '/classify', headers: { 'content-encoding': encoding, 'content-type': type }, body: 'x' });
    assert.equal(status, 415);
  });
}

test('HEAD is another method than POST, and the same as GET', async () => {
  const { status, headers } = await ask(plain.port, { method: 'HEAD', path: '/classify' });
  assert.deepEqual([status, headers.allow], [405, 'POST']);
  assert.equal((await ask(plain.port, { method: 'HEAD' })).status, 200);
});

test('two hosts are one too many', async () => {
  const answer = await new Promise((resolve) => {
    const socket = net.connect(plain.port, '127.0.0.1', () => socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n'));
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk) => (text += chunk));
    socket.on('close', () => resolve(text));
  });
  assert.match(String(answer), /^HTTP\/1.1 400 /);
});

test('an error does not send back the megabyte that it complains of', async () => {
  const large = await listen('--max-body', '10000000');
  const name = 'x'.repeat(3_000_000);
  for (const given of [
    { path: '/v1/models/tiny:predict', body: `{"${name}": ` },
    { path: '/v2/models/tiny/infer', body: JSON.stringify({ inputs: [{ name, datatype: name, shape: [name] }] }) },
    { path: '/classify', headers: { 'content-type': `multipart/form-data; boundary=${name.slice(0, 8000)}` }, body: name },
    { path: `/classify?model=${name.slice(0, 10000)}`, body: 'x' },
  ]) {
    const { status, body } = await ask(large.port, { method: 'POST', ...given });
    assert.ok(status >= 400);
    assert.ok(JSON.stringify(body).length < 3000, `${JSON.stringify(body).length}`);
  }
});

const SHOP = 'https://shop.example';
const QUESTION = { origin: SHOP, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' };

test('pages of other sites are refused unless they are allowed', async () => {
  assert.equal((await ask(plain.port, { headers: { origin: SHOP } })).status, 403);
  const { headers, status } = await ask(plain.port, { method: 'OPTIONS', path: '/classify', headers: QUESTION });
  assert.deepEqual([status, headers['access-control-allow-origin']], [403, undefined]);
});

test('pages of an origin that is allowed may ask and read the answer', async () => {
  const { port } = await listen('--cors', 'https://Shop.example/', '--cors', 'http://localhost:3000');
  const question = await ask(port, { method: 'OPTIONS', path: '/classify', headers: QUESTION });
  assert.equal(question.status, 204);
  assert.equal(question.headers['access-control-allow-origin'], SHOP);
  assert.match(String(question.headers['access-control-allow-methods']), /POST/);
  assert.equal(question.headers['access-control-allow-headers'], 'authorization,content-type');
  const asked = await ask(port, { headers: { origin: SHOP, 'sec-fetch-site': 'cross-site' } });
  assert.deepEqual([asked.status, asked.headers['access-control-allow-origin'], asked.headers.vary], [200, SHOP, 'origin']);
  assert.equal((await ask(port, { headers: { origin: 'https://shop.example.evil.example' } })).status, 403);
});

test('a token is asked for behind the question of a browser', async (context) => {
  process.env.PYBRIDGE_TOKEN = 'a-long-secret';
  context.after(() => delete process.env.PYBRIDGE_TOKEN);
  const options = readOptions([`tiny=${__dirname}`, '--log-level', 'silent', '--cors', '*'], process.env);
  const { app } = createApp({ options, models: null, draining: false }, loadDependencies(), process.stderr);
  ends.push(() => app.close());
  const question = await app.inject({ method: 'OPTIONS', url: '/models', headers: { host: 'localhost', ...QUESTION } });
  assert.deepEqual([question.statusCode, question.headers['access-control-allow-origin']], [204, '*']);
  const asked = await app.inject({ url: '/models', headers: { host: 'localhost', origin: SHOP } });
  assert.deepEqual([asked.statusCode, asked.headers['access-control-allow-origin']], [401, '*']);
});

test('one address cannot take all connections: others and the probes are answered', async () => {
  const { app, port } = await listen('--max-connections', '300', '--max-connections-per-address', '100');
  const probes = await listenForProbes(app, { host: '127.0.0.1', probePort: 0 });
  const probePort = /** @type {import('net').AddressInfo} */ (probes.address()).port;
  const greedy = await Promise.all(
    Array.from({ length: 250 }, () => new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(socket));
      socket.on('error', () => resolve(socket));
    })),
  );
  ends.push(() => greedy.forEach((/** @type {any} */ socket) => socket.destroy()));
  assert.equal((await ask(port, { localAddress: '127.0.0.2' })).status, 200);
  assert.equal((await ask(probePort)).status, 200);
  assert.match((await ask(probePort, { path: '/metrics' })).body, /pybridge_connections_refused 150/);
  assert.equal((await ask(probePort, { path: '/openapi.json' })).status, 404);
  await assert.rejects(ask(port));
});

for (const bad of [['--canary', 'tiny=3'], ['--canary', 'tiny@3=101'], ['--canary', 'other@3=10'], ['--label', 'tiny@x'], ['--cors', 'shop.example'], ['--cors', 'https://a/b']]) {
  test(`${bad.join(' ')} is refused before anything starts`, () => {
    assert.throws(() => readOptions([`tiny=${__dirname}`, ...bad], {}), { constructor: require('../../node_runner/server/options').UsageError });
  });
}

test('shares and names of versions are read', () => {
  const { models } = readOptions([`tiny=${__dirname}`, '--canary', 'tiny@3=10', '--label', 'tiny@tested=2'], {}) ?? { models: [] };
  assert.deepEqual(models, [{ name: 'tiny', path: __dirname, canary: { version: '3', percent: 10 }, labels: { tested: '2' } }]);
});
