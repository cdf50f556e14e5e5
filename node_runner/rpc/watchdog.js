'use strict';

/**
 * Ends this process as soon as Python is gone, whatever the main thread computes.
 *
 * Python alone holds the writing end of a pipe. A worker thread, which has an event loop of its own, waits for the pipe to end; the
 * kernel ends it however Python went. The wait must be asynchronous: process.exit() joins the workers, and would wait for ever
 * for one that is blocked in a read.
 */

const net = require('node:net');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

/**
 * Start watching.
 *
 * @param {number} fd  the reading end of the pipe
 * @param {() => void} whenWatching  called once the thread watches
 */
function startWatchdog(fd, whenWatching) {
  const worker = new Worker(__filename, { workerData: { watchdogOf: fd }, execArgv: [] });
  worker.once('message', () => {
    worker.unref();
    whenWatching();
  });
  worker.once('error', (error) => {
    process.stderr.write(`pybridge: the watchdog failed: ${error.stack ?? error}\n`);
    process.exit(1);
  });
}

/** @param {number} fd */
function watch(fd) {
  const lifeline = new net.Socket({ fd, readable: true, writable: false });
  const end = () => process.kill(process.pid, 'SIGKILL');
  lifeline.on('close', end);
  lifeline.on('error', end);
  lifeline.resume();
  parentPort?.postMessage('watching');
}

if (!isMainThread && typeof workerData?.watchdogOf === 'number') watch(workerData.watchdogOf);

module.exports = { startWatchdog };
