#!/usr/bin/env node
'use strict';

/**
 * The server's program: reads its options, loads the models, listens, and ends when it is told to.
 */

const net = require('net');

const { createApp } = require('./app');
const { isOpenToAll } = require('./callers');
const { loadDependencies } = require('./dependencies');
const { createModels } = require('./models');
const { printable, printableLog } = require('./printable');
const { listenForProbes } = require('./probes');
const { watchSignals } = require('./signals');
const { UsageError, helpText, readOptions } = require('./options');

/** @typedef {import('./inference').Service} Service */

async function main() {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === null) {
    process.stdout.write(`${helpText()}\n`);
    return;
  }
  /** @type {Service} */
  const service = { options, models: null, draining: false };
  const { app, modelsLoaded } = createApp(service, loadDependencies(), printableLog(process.stderr));
  watchSignals(app, service);
  if (options.lifeline !== undefined) watchLifeline(options.lifeline);
  await listen(app, options);
  if (options.probePort > 0) await listenAt({ ...options, port: options.probePort }, () => listenForProbes(app, options));
  if (isOpenToAll(options)) app.log.warn({ host: options.host }, 'whoever reaches this address is answered: --token-file asks for a token');
  const models = await createModels({ ...options, reload: options.reload > 0 && { intervalMs: options.reload * 1000 }, logger: app.log });
  service.models = models;
  modelsLoaded();
  announce(app, service);
}

/**
 * @param {import('./app').App} app
 * @param {import('./options').Options} options
 */
function listen(app, options) {
  // Only `announce` speaks of the address, on stdout and in one line.
  const listenTextResolver = () => 'listening';
  return listenAt(options, () => app.listen({ host: options.host, port: options.port, listenTextResolver }));
}

/**
 * @param {{host: string, port: number}} place
 * @param {() => Promise<unknown>} work
 */
async function listenAt({ host, port }, work) {
  try {
    await work();
  } catch (error) {
    const code = /** @type {any} */ (error).code;
    /** @type {Record<string, string>} */
    const reasons = {
      EADDRINUSE: `Port ${port} of ${host} is in use; choose another with --port, or --port 0`,
      EACCES: `Port ${port} needs more rights; choose one above 1023`,
      EADDRNOTAVAIL: `${host} is not an address of this machine`,
      ENOTFOUND: `${host} is not an address`,
    };
    throw reasons[code] ? new UsageError(reasons[code]) : error;
  }
}

/**
 * Python holds the other end of this pipe alone: however it goes, the kernel ends the pipe.
 *
 * @param {number} descriptor
 */
function watchLifeline(descriptor) {
  const lifeline = new net.Socket({ fd: descriptor, readable: true, writable: false });
  const end = () => process.kill(process.pid, 'SIGTERM');
  lifeline.once('close', end);
  lifeline.on('error', () => undefined);
  lifeline.resume();
  lifeline.unref();
}

/**
 * @param {import('./app').App} app
 * @param {Service} service
 */
function announce(app, { options, models }) {
  const { address, port, family } = /** @type {import('net').AddressInfo} */ (app.server.address());
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  const names = models?.list().map(({ name }) => name) ?? [];
  const facts = { url, host: address, port, pid: process.pid, models: names };
  process.stdout.write(options.json ? `${JSON.stringify(facts)}\n` : `Ready at ${url} with ${names.join(', ')}\n`);
}

main().catch((error) => {
  const expected = error instanceof UsageError || ['DeployError', 'IntegrityError', 'ServiceError'].includes(error?.name);
  process.stderr.write(`${printable(String(expected ? error.message : (error?.stack ?? error)))}\n`);
  process.exit(error instanceof UsageError ? 2 : 1);
});
