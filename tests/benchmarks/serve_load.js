'use strict';

// Loads a server with autocannon. Reads {url, path, connections, seconds, pictures} on stdin and prints what came back. Latencies are those of
// answers with status 200; refusals are counted by their status.

const fs = require('fs');

const autocannon = require('autocannon');

async function main() {
  const { url, path, connections, seconds, pictures } = JSON.parse(fs.readFileSync(0, 'utf8'));
  const headers = { 'content-type': 'application/octet-stream' };
  const requests = pictures.map((file) => ({ method: 'POST', path, headers, body: fs.readFileSync(file) }));
  const latencies = [];
  const statuses = {};
  const started = performance.now();
  const running = autocannon({ url, connections, duration: seconds, requests, timeout: 120 });
  running.on('response', (_client, status, _bytes, milliseconds) => {
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status === 200) latencies.push(milliseconds);
  });
  const { errors, timeouts } = await running;
  const duration = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(Math.floor(share * latencies.length), latencies.length - 1)] ?? null;
  const result = { answers: latencies.length, perSecond: latencies.length / duration, p50: at(0.5), p99: at(0.99), worst: at(1), statuses, errors, timeouts };
  process.stdout.write(JSON.stringify(result));
}

main();
