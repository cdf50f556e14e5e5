'use strict';

/**
 * @typedef {import('./inference').Service} Service
 * @typedef {import('./app').App} App
 */

/** @type {Record<string, number>} */
const NUMBERS = { SIGINT: 2, SIGTERM: 15 };
const IDLE_CHECK_MS = 100;

/**
 * SIGTERM and SIGINT: stop accepting, answer what was accepted, end with 0. A second one ends at once. SIGHUP: look for new versions.
 *
 * @param {App} app
 * @param {Service} service
 */
function watchSignals(app, service) {
  for (const signal of Object.keys(NUMBERS)) {
    process.on(signal, () => {
      if (service.draining) process.exit(128 + NUMBERS[signal]);
      void end(app, service, signal);
    });
  }
  process.on('SIGHUP', () => {
    service.models?.reload().catch((error) => app.log.error({ err: error }, 'reload failed'));
  });
}

/**
 * @param {App} app
 * @param {Service} service
 * @param {string} signal
 */
async function end(app, service, signal) {
  service.draining = true;
  const { drainTimeout } = service.options;
  const deadline = Date.now() + drainTimeout * 1000;
  app.log.info({ signal }, 'ending: what was accepted will be answered');
  const late = setTimeout(() => {
    app.log.error({ seconds: drainTimeout }, 'ended before all was answered');
    process.exit(1);
  }, drainTimeout * 1000);
  // A connection whose answer was being sent becomes idle only later.
  const closing = setInterval(() => app.server.closeIdleConnections(), IDLE_CHECK_MS);
  try {
    await app.close();
    clearInterval(closing);
    await service.models?.close({ drain: true, timeoutMs: Math.max(0, deadline - Date.now()) });
  } catch (error) {
    app.log.error({ err: error }, 'ending failed');
    process.exit(1);
  }
  clearTimeout(late);
  app.log.info('ended');
  process.exit(0);
}

module.exports = { watchSignals };
