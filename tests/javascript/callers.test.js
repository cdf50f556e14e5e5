'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const { after, before, test } = require('node:test');

const { createApp } = require('../../node_runner/server/app');
const { isOpenToAll } = require('../../node_runner/server/callers');
const { loadDependencies } = require('../../node_runner/server/dependencies');
const { readOptions } = require('../../node_runner/server/options');

/** @type {import('../../node_runner/server/app').App[]} */
const apps = [];
/** @type {Record<'plain' | 'named' | 'open', number>} */
const ports = { plain: 0, named: 0, open: 0 };

/** A server whose models are still being loaded. */
async function listen(...argv) {
  const options = readOptions([`tiny=${__dirname}`, '--log-level', 'silent', ...argv], {});
  const service = { options, models: null, draining: false };
  const { app } = createApp(service, loadDependencies(), process.stderr);
  apps.push(app);
  // What is asked is whether it would listen for others; the tests need not.
  await app.listen({ host: '127.0.0.1', port: 0, listenTextResolver: () => '' });
  return /** @type {import('net').AddressInfo} */ (app.server.address()).port;
}

before(async () => {
  ports.plain = await listen();
  ports.named = await listen('--allow-host', 'Photos.Example');
  ports.open = await listen('--host', '0.0.0.0');
});
after(() => Promise.all(apps.map((app) => app.close())));

/** @returns {Promise<{status: number, body: any}>} */
function ask(port, headers, { method = 'GET', path = '/healthz' } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk)).on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) }));
    });
    request.on('error', reject).end();
  });
}

for (const host of ['127.0.0.1:80', 'localhost', 'LOCALHOST:8501', 'localhost.', '[::1]:8501', '127.1.2.3', 'app.localhost']) {
  test(`a server on this machine answers for ${host}`, async () => {
    assert.equal((await ask(ports.plain, { host })).status, 200);
  });
}

for (const host of ['evil.example', 'evil.example:8501', 'localhost.evil.example', '10.0.0.7', '127.0.0.1.evil.example', 'photos.example']) {
  test(`a server on this machine does not answer for ${host}`, async () => {
    const { status, body } = await ask(ports.plain, { host });
    assert.equal(status, 403);
    assert.match(body.error, /--allow-host/);
  });
}

test('a name that was allowed is answered, and no other', async () => {
  assert.equal((await ask(ports.named, { host: 'photos.example:443' })).status, 200);
  assert.equal((await ask(ports.named, { host: 'localhost' })).status, 200);
  assert.equal((await ask(ports.named, { host: 'evil.example' })).status, 403);
});

test('a server for others answers by any name, unless names were given', async () => {
  assert.equal((await ask(ports.open, { host: 'anything.example' })).status, 200);
});

const HOST = { host: 'localhost' };

for (const [name, headers, options] of [
  ['a form of another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, { method: 'POST', path: '/classify' }],
  ['a script of another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, { method: 'POST', path: '/classify' }],
  ['a picture on another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, { path: '/metrics' }],
  ['an older browser on another site', { origin: 'https://evil.example' }, { method: 'POST', path: '/classify' }],
  ['a page that hides where it is from', { origin: 'null' }, { method: 'POST', path: '/classify' }],
]) {
  test(`${name} is refused before its body is read`, async () => {
    for (const port of [ports.plain, ports.open]) {
      const { status, body } = await ask(port, { ...HOST, ...headers }, options);
      assert.equal(status, 403);
      assert.match(body.error, /other sites/);
    }
  });
}

for (const [name, headers] of Object.entries({
  'a program': {},
  'a link on another site': { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  'its own page': { 'sec-fetch-site': 'same-origin', origin: 'http://localhost' },
  'its own page in an older browser': { origin: 'http://localhost' },
  'an address that was typed': { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' },
})) {
  test(`${name} is answered`, async () => {
    assert.equal((await ask(ports.plain, { ...HOST, ...headers })).status, 200);
  });
}

for (const [name, lines] of Object.entries({ 'two hosts': ['Host: localhost', 'Host: localhost'], 'no host': [] })) {
  test(`${name} are a bad request, and the connection is closed`, async () => {
    const socket = net.connect(ports.plain, '127.0.0.1');
    socket.write(['GET /healthz HTTP/1.1', ...lines, '', ''].join('\r\n'));
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.match(text, /^HTTP\/1\.1 400 .*Host/s);
  });
}

test('a server that others reach without a token is known as such', () => {
  const hosts = ['127.0.0.1', 'localhost', '::1', '0.0.0.0', '::', '192.168.1.5', 'photos.example'];
  assert.deepEqual(hosts.filter((host) => isOpenToAll({ host, token: undefined })), ['0.0.0.0', '::', '192.168.1.5', 'photos.example']);
  assert.equal(isOpenToAll({ host: '0.0.0.0', token: 'a-long-secret' }), false);
});
