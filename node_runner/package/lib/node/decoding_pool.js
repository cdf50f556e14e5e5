'use strict';

const os = require('os');
const path = require('path');
const { Worker } = require('worker_threads');

const { DeployError, ImageError } = require('../errors');
const { preparerHere } = require('../prepare');
const { decodeForeign } = require('./foreign_formats');

/**
 * @typedef {import('../prepare').Source} Source
 * @typedef {import('../prepare').Limits} Limits
 * @typedef {import('../prepare').Preparer} Preparer
 * @typedef {import('../preprocess').Preprocessing} Preprocessing
 *
 * @typedef {object} Task
 * @property {Source} source
 * @property {AbortSignal} [signal]
 * @property {(values: Float32Array | Promise<Float32Array>) => void} resolve
 * @property {(reason: unknown) => void} reject
 *
 * @typedef {object} Thread
 * @property {Worker} worker
 * @property {boolean} ready whether it has said that it can work
 * @property {Task | null} task
 * @property {NodeJS.Timeout} [timer] of its task
 * @property {boolean} late whether it was ended for its task's sake
 */

const MOST_THREADS = 32;

/** Seconds for one picture. The largest that are allowed take a few. */
const DECODE_SECONDS = 30;

/** @returns {number} enough to feed a model on this machine, with little memory */
function defaultThreads() {
  return Math.min(4, typeof os.availableParallelism === 'function' ? os.availableParallelism() : os.cpus().length);
}

/**
 * @param {unknown} threads
 * @throws {DeployError}
 */
function checkThreads(threads) {
  if (Number.isInteger(threads) && Number(threads) >= 0 && Number(threads) <= MOST_THREADS) return;
  throw new DeployError(`decodeThreads must be a whole number from 0 to ${MOST_THREADS}, not ${String(threads)}`, 'ERR_INPUT');
}

/**
 * @param {unknown} seconds
 * @returns {number}
 * @throws {DeployError}
 */
function checkSeconds(seconds = DECODE_SECONDS) {
  if (typeof seconds === 'number' && seconds > 0 && seconds <= 3600) return seconds;
  throw new DeployError(`decodeTimeout must be a number of seconds above 0 and up to 3600, not ${String(seconds)}`, 'ERR_INPUT');
}

/**
 * Decodes and prepares pictures in threads, so that those who call are not blocked. Threads start when they are needed, do not keep
 * the process alive while they have nothing to do, and give the same numbers as the thread that calls would. Where threads
 * cannot start, that one does the work. A picture that takes too long is given up, and its thread with it.
 *
 * @param {Preprocessing} preprocessing
 * @param {Limits} limits
 * @param {number} most threads; 0 for none
 * @param {number} [seconds] for one picture
 * @returns {Preparer}
 */
function preparerInThreads(preprocessing, limits, most, seconds = DECODE_SECONDS) {
  const here = preparerHere(preprocessing, limits, decodeForeign);
  if (most === 0) return here;
  /** @type {Set<Thread>} */
  const threads = new Set();
  /** @type {Task[]} */
  let waiting = [];
  let usable = true;
  let closed = false;

  const idle = () => [...threads].find((thread) => thread.ready && !thread.task);
  const starting = () => [...threads].filter((thread) => !thread.ready).length;

  function dispatch() {
    while (waiting.length > 0) {
      const thread = idle();
      if (!thread) break;
      give(thread, /** @type {Task} */ (waiting.shift()));
    }
    while (usable && !closed && threads.size < most && starting() < waiting.length) start();
    if (!usable) waiting.splice(0).forEach((task) => task.resolve(here.prepare(task.source, task.signal)));
  }

  /**
   * @param {Thread} thread
   * @param {Task} task
   */
  function give(thread, task) {
    thread.task = task;
    thread.timer = setTimeout(() => {
      thread.late = true;
      thread.worker.terminate();
    }, seconds * 1000);
    // A promise that nothing keeps alive would end the process before its answer.
    thread.worker.ref();
    const memory = /** @type {ArrayBuffer} */ ('bytes' in task.source ? task.source.bytes.buffer : task.source.picture.pixels.buffer);
    thread.worker.postMessage(task.source, [memory]);
  }

  function start() {
    let worker;
    try {
      // Options of the command line, such as loaders of other languages, are not for this file.
      worker = new Worker(path.join(__dirname, 'decoding_thread.js'), { workerData: { preprocessing, limits }, execArgv: [] });
    } catch {
      usable = false;
      return;
    }
    /** @type {Thread} */
    const thread = { worker, ready: false, task: null, late: false };
    threads.add(thread);
    worker.on('message', (message) => hear(thread, message));
    worker.on('error', () => {});
    worker.on('exit', () => leave(thread));
  }

  /**
   * @param {Thread} thread
   * @param {{values?: Float32Array, error?: {kind: string, message: string, code: string}}} message
   */
  function hear(thread, { values, error }) {
    const { task } = thread;
    clearTimeout(thread.timer);
    thread.ready = true;
    thread.task = null;
    if (values) task?.resolve(values);
    if (error) task?.reject(revive(error));
    dispatch();
    if (!thread.task) thread.worker.unref();
  }

  /** @param {Thread} thread */
  function leave(thread) {
    threads.delete(thread);
    clearTimeout(thread.timer);
    if (!thread.ready) usable = false;
    if (closed) thread.task?.reject(disposed());
    else if (thread.late) thread.task?.reject(new ImageError(`The image takes more than ${seconds} s to decode`, 'ERR_IMAGE_TOO_SLOW'));
    else thread.task?.reject(new DeployError('The thread that decoded the picture ended', 'ERR_RUNTIME'));
    if (!closed) dispatch();
  }

  return {
    prepare(source, signal) {
      if (closed) return Promise.reject(disposed());
      if (signal?.aborted) return Promise.reject(signal.reason);
      if (!usable) return here.prepare(source, signal);
      return new Promise((resolve, reject) => {
        /** @type {Task} */
        const task = { source, signal, resolve, reject };
        if (signal) {
          const abort = () => {
            waiting = waiting.filter((other) => other !== task);
            reject(signal.reason);
          };
          signal.addEventListener('abort', abort, { once: true });
          const forget = () => signal.removeEventListener('abort', abort);
          task.resolve = (values) => (forget(), resolve(values));
          task.reject = (reason) => (forget(), reject(reason));
        }
        waiting.push(task);
        dispatch();
      });
    },
    close() {
      closed = true;
      waiting.splice(0).forEach((task) => task.reject(disposed()));
      for (const { worker } of threads) worker.terminate();
    },
  };
}

/** @returns {DeployError} */
function disposed() {
  return new DeployError('The classifier was disposed of; load it again', 'ERR_DISPOSED');
}

/**
 * @param {{kind: string, message: string, code: string}} error as `decoding_thread.js` sends it
 * @returns {DeployError}
 */
function revive({ kind, message, code }) {
  return kind === 'ImageError' ? new ImageError(message, code) : new DeployError(message, code);
}

module.exports = { checkSeconds, checkThreads, defaultThreads, preparerInThreads };
