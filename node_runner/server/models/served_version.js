'use strict';

const { pixelsOf } = require('#classifier');

const { ServiceError, badInput } = require('../errors');
const { RequestQueue } = require('./request_queue');
const { WorkerGone, WorkerProcess } = require('./worker_process');

/**
 * @typedef {import('./request_queue').Request} Request
 * @typedef {import('./request_queue').Task} Task
 * @typedef {import('./worker_process').Facts} Facts
 * @typedef {import('./worker_process').Item} Item
 * @typedef {import('./worker_process').Result} Result
 *
 * @typedef {object} Settings how a version is served
 * @property {number} workers processes
 * @property {number} threads of each
 * @property {number} maxBatch images computed together
 * @property {number} batchDelayMs longest wait for a fuller batch
 * @property {number} maxQueue images that may wait
 * @property {number} maxQueueBytes bytes of images that may wait
 * @property {number} maxQueuePixels of images that may wait, decoded
 * @property {number} maxBatchPixels of images that are decoded together
 * @property {number} decodeTimeout seconds for one image
 * @property {number} loadTimeoutMs
 * @property {number} batchTimeoutMs
 * @property {string} [runtime]
 * @property {string} [tensorflow]
 * @property {number} [maxPixels]
 * @property {number} [maxBytes]
 *
 * @typedef {(event: 'batch' | 'crash' | 'version' | 'output', details: object) => void} Report
 *
 * @typedef {object} Stats figures of a version
 * @property {string} name
 * @property {string} version
 * @property {string} state
 * @property {number} queued
 * @property {number} queuedBytes
 * @property {number} inFlight
 * @property {number} batches
 * @property {number} images
 * @property {number} crashes
 * @property {number} failures images that could not be used
 * @property {number} queueMs that all images waited
 * @property {number} computeMs of all batches
 * @property {number} lastAnswer
 * @property {{pid: number | undefined, alive: boolean, restarts: number}[]} workers
 *
 * @typedef {object} Slot a place for a worker
 * @property {WorkerProcess | null} worker null while there is none
 * @property {boolean} ready whether it has loaded the package
 * @property {number} failures in a row
 * @property {number} restarts
 * @property {NodeJS.Timeout | null} timer of the next start
 */

/** A worker that lived as long as this was healthy: its end is not the next failure of a row. */
const HEALTHY_MS = 10000;
const LONGEST_WAIT_MS = 30000;
/** Starts that fail in a row before clients are told that there is no answer to be had. */
const MOST_FAILURES = 3;

/** One version of one model: its queue, and the processes that work on it. */
class ServedVersion {
  #folder;
  #settings;
  #report;
  #queue = new RequestQueue();
  /** @type {Slot[]} */
  #slots = [];
  #working = 0;
  #stopped = false;
  /** Images that are expected in the next batch of a worker, and until when they are waited for. */
  #expected = 1;
  #waitUntil = 0;
  /** @type {NodeJS.Timeout | null} */
  #waiting = null;
  /** Images a second of one worker, as lately seen; 0 as long as that is not known. */
  #rate = 0;
  /** @type {(() => void)[]} */
  #whenEmpty = [];
  #help;
  /** Why the last start of a worker failed. */
  #restartError = '';

  /** @type {'LOADING' | 'AVAILABLE' | 'UNLOADING' | 'FAILED'} */
  state = 'LOADING';
  /** @type {string | undefined} */
  error;
  /** @type {Facts | undefined} */
  facts;
  totals = { batches: 0, images: 0, crashes: 0, failures: 0, queueMs: 0, computeMs: 0 };
  /** When the last answer was given, in milliseconds since 1970. */
  lastAnswer = 0;

  /**
   * @param {{name: string, version: string, folder: string, digest: string}} place
   * @param {Settings} settings
   * @param {Report} report
   * @param {() => Promise<boolean>} help looks for another version, where workers ended and cannot be started again
   */
  constructor({ name, version, folder, digest }, settings, report, help) {
    this.#help = help;
    this.name = name;
    this.version = version;
    this.digest = digest;
    this.#folder = folder;
    this.#settings = settings;
    this.#report = report;
  }

  /**
   * Starts its workers.
   *
   * @throws {Error} why the package cannot be loaded; nothing is left running then
   */
  async start() {
    this.#slots = Array.from({ length: this.#settings.workers }, () => ({ worker: null, ready: false, failures: 0, restarts: 0, timer: null }));
    const starts = await Promise.allSettled(this.#slots.map((slot) => this.#startWorker(slot)));
    const failed = starts.find(({ status }) => status === 'rejected');
    if (failed) {
      await this.stop();
      const { reason } = /** @type {PromiseRejectedResult} */ (failed);
      this.#change('FAILED', reason.message);
      throw reason;
    }
    this.#change('AVAILABLE');
    for (const slot of this.#slots) this.#watch(slot);
  }

  /**
   * @param {Item[]} items
   * @param {{signal?: AbortSignal, deadline?: number}} options
   * @returns {Promise<import('./request_queue').Answered[]>} of each
   * @throws {ServiceError}
   */
  async infer(items, { signal, deadline }) {
    signal?.throwIfAborted();
    const pixels = items.map((item) => pixelsToDecode(item, this.#settings.maxPixels));
    this.#checkRoom(items, pixels);
    return new Promise((resolve, reject) => {
      /** @type {import('./request_queue').Answered[]} */
      const values = new Array(items.length);
      let missing = items.length;
      let settled = false;
      /** @type {(() => void)[]} */
      const cleanups = [];
      const settle = (/** @type {() => void} */ tell) => {
        if (settled) return;
        settled = true;
        cleanups.forEach((clean) => clean());
        tell();
        this.#look();
      };
      /** @type {Request} */
      const request = {
        items,
        pixels,
        next: 0,
        settled: () => settled,
        answer: (position, result) => {
          values[position] = result;
          if (--missing === 0) settle(() => resolve(values));
        },
        fail: (error) => settle(() => reject(error)),
        since: performance.now(),
      };
      const leave = () => request.fail(signal?.reason);
      signal?.addEventListener('abort', leave, { once: true });
      cleanups.push(() => this.#queue.remove(request), () => signal?.removeEventListener('abort', leave));
      if (deadline !== undefined) {
        const late = () => request.fail(new ServiceError('TIMEOUT', 'There was no answer in time', { retryAfterSeconds: this.#wait() }));
        const timer = setTimeout(late, Math.max(deadline - Date.now(), 0));
        cleanups.push(() => clearTimeout(timer));
      }
      this.#queue.add(request);
      this.#look();
    });
  }

  /** @returns {string} why it cannot answer any more: its workers ended, and none can be started; empty where it can */
  get broken() {
    return this.#slots.some(({ ready }) => ready) ? '' : this.#restartError;
  }

  /** Answers everything that it has accepted, then ends its workers. What it cannot answer is told that another version can. */
  async retire() {
    if (this.state !== 'FAILED') this.#change('UNLOADING');
    this.#handOver();
    await this.empty();
    await this.stop();
  }

  /** @returns {Promise<void>} once nothing waits and nothing is being computed */
  async empty() {
    this.#look();
    if (this.#queue.size === 0 && this.#working === 0) return;
    await new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#whenEmpty.push(resolve));
  }

  /** Ends its workers; whoever still waits is refused. */
  async stop() {
    this.#stopped = true;
    if (this.#waiting) clearTimeout(this.#waiting);
    this.#refuse('The server is ending');
    const workers = this.#slots.map((slot) => {
      if (slot.timer) clearTimeout(slot.timer);
      return slot.worker?.stop();
    });
    await Promise.all(workers);
  }

  /** @returns {Stats} figures for those who watch */
  stats() {
    return {
      name: this.name,
      version: this.version,
      state: this.state,
      queued: this.#queue.size,
      queuedBytes: this.#queue.bytes,
      inFlight: this.#working,
      ...this.totals,
      lastAnswer: this.lastAnswer,
      workers: this.#slots.map(({ worker, ready, restarts }) => ({ pid: worker?.pid, alive: worker !== null && ready, restarts })),
    };
  }

  /**
   * @param {Item[]} items
   * @param {number[]} pixels of each
   */
  #checkRoom(items, pixels) {
    const { maxQueue, maxQueueBytes, maxQueuePixels } = this.#settings;
    const decoded = pixels.reduce((sum, each) => sum + each, 0);
    const bytes = items.reduce((sum, item) => sum + item.byteLength, 0);
    if (items.length > maxQueue) throw badInput(`There are ${items.length} images in the request; at most ${maxQueue} are taken`, 413);
    if (bytes > maxQueueBytes) throw badInput(`The images of the request have ${bytes} bytes; at most ${maxQueueBytes} are taken`, 413);
    if (decoded > maxQueuePixels) throw badInput(`The images of the request have ${decoded} pixels; at most ${maxQueuePixels} are taken`, 413);
    if (this.state !== 'AVAILABLE') {
      // Between the choice of this version and now another one has taken over.
      const moved = this.state === 'UNLOADING';
      throw Object.assign(new ServiceError('UNAVAILABLE', 'The model is not available now', { retryAfterSeconds: this.#wait() }), { moved });
    }
    const { size, bytes: waiting, pixels: toDecode } = this.#queue;
    if (size + items.length > maxQueue || waiting + bytes > maxQueueBytes || toDecode + decoded > maxQueuePixels) {
      throw new ServiceError('OVERLOADED', 'Too many images are waiting', { retryAfterSeconds: this.#wait() });
    }
  }

  /** @returns {number} whole seconds after which those that wait now will have had their turn */
  #wait() {
    const rate = this.#rate * Math.max(this.#slots.filter(({ ready }) => ready).length, 1);
    return Math.min(Math.max(Math.ceil(rate > 0 ? this.#queue.size / rate : 1), 1), 60);
  }

  /** Looks whether there is work, and somebody to do it. */
  #look() {
    const idle = this.#slots.filter(({ worker, ready }) => ready && worker?.idle);
    while (idle.length > 0 && this.#queue.size > 0) {
      const wait = this.#queue.size < this.#expected ? this.#waitUntil - Date.now() : 0;
      if (wait > 0) {
        this.#waiting ??= setTimeout(() => ((this.#waiting = null), this.#look()), wait);
        break;
      }
      const tasks = this.#queue.take(Math.min(Math.ceil(this.#queue.size / idle.length), this.#settings.maxBatch), this.#settings.maxBatchPixels);
      this.#run(/** @type {Slot} */ (idle.pop()), tasks);
    }
    if (this.#queue.size === 0 && this.#working === 0) this.#whenEmpty.splice(0).forEach((resolve) => resolve());
  }

  /**
   * @param {Slot} slot
   * @param {Task[]} tasks
   */
  async #run(slot, tasks) {
    this.#working += tasks.length;
    const started = performance.now();
    /** @type {Result[] | undefined} */
    let results;
    try {
      results = await /** @type {WorkerProcess} */ (slot.worker).run(tasks.map(({ request, position }) => request.items[position]));
    } catch (error) {
      for (const task of tasks) this.#again(task, /** @type {Error} */ (error));
    }
    this.#working -= tasks.length;
    if (results) this.#finish(tasks, results, started, performance.now() - started);
    this.#look();
  }

  /**
   * @param {Task[]} tasks
   * @param {Result[]} results
   * @param {number} started
   * @param {number} milliseconds
   */
  #finish(tasks, results, started, milliseconds) {
    const waits = tasks.map(({ request }) => started - request.since);
    this.totals.queueMs += waits.reduce((sum, wait) => sum + wait, 0);
    this.totals.computeMs += milliseconds;
    this.lastAnswer = Date.now();
    const rate = (1000 * tasks.length) / milliseconds;
    this.#rate = this.#rate === 0 ? rate : 0.8 * this.#rate + 0.2 * rate;
    this.totals.batches += 1;
    this.totals.images += tasks.length;
    // Clients that were just answered often ask again at once: as many as there are now may be worth a short wait.
    const { workers, maxBatch, batchDelayMs } = this.#settings;
    this.#expected = Math.min(Math.ceil((this.#queue.size + this.#working + tasks.length) / workers), maxBatch);
    this.#waitUntil = Date.now() + batchDelayMs;
    this.#report('batch', { name: this.name, version: this.version, size: tasks.length, queued: this.#queue.size, milliseconds, waits });
    tasks.forEach(({ request, position }, i) => {
      const result = results[i];
      if (!('code' in result)) request.answer(position, result);
      else {
        this.totals.failures += 1;
        request.fail(asServiceError(result, position, request.items.length));
      }
    });
  }

  /**
   * @param {Task} task whose batch failed
   * @param {Error} error
   */
  #again(task, error) {
    const { request, attempts } = task;
    if (request.settled()) return;
    if (attempts === 0 && !this.#stopped) return this.#queue.addAgain({ ...task, attempts: 1 });
    request.fail(
      error instanceof WorkerGone
        ? new ServiceError('UNAVAILABLE', 'The process that computed the answer ended', { retryAfterSeconds: this.#wait(), cause: error })
        : new ServiceError('INTERNAL', 'The model could not compute the answer', { cause: error }),
    );
  }

  /**
   * @param {Slot} slot
   * @throws {Error} why the package cannot be loaded
   */
  async #startWorker(slot) {
    const { threads, loadTimeoutMs, batchTimeoutMs, runtime, tensorflow, maxPixels, maxBytes, decodeTimeout } = this.#settings;
    const hear = (/** @type {string} */ text) => this.#report('output', { name: this.name, version: this.version, text });
    const worker = new WorkerProcess({ threads, loadTimeoutMs, batchTimeoutMs, hear });
    slot.worker = worker;
    try {
      const facts = await worker.load({ folder: this.#folder, runtime, tensorflow, maxPixels, maxBytes, decodeTimeout });
      if (facts.digest !== this.digest) throw new Error('the package was replaced by another one');
      this.facts ??= facts;
      slot.ready = true;
      this.#restartError = '';
    } catch (error) {
      slot.worker = null;
      await worker.stop();
      throw error instanceof WorkerGone ? new Error(`its process ended (${error.message}) ${worker.lastWords}`.trim()) : error;
    }
  }

  /** @param {Slot} slot whose worker is ready, and is replaced when it ends */
  async #watch(slot) {
    const started = Date.now();
    const worker = /** @type {WorkerProcess} */ (slot.worker);
    const reason = await worker.ended;
    slot.worker = null;
    slot.ready = false;
    if (this.#stopped) return;
    this.totals.crashes += 1;
    if (Date.now() - started > HEALTHY_MS) slot.failures = 0;
    this.#report('crash', { name: this.name, version: this.version, pid: worker.pid, reason, output: worker.lastWords });
    this.#restart(slot);
  }

  /** @param {Slot} slot */
  #restart(slot) {
    const wait = slot.failures === 0 ? 0 : Math.min(100 * 2 ** slot.failures, LONGEST_WAIT_MS);
    slot.failures += 1;
    slot.timer = setTimeout(async () => {
      slot.timer = null;
      try {
        await this.#startWorker(slot);
      } catch (error) {
        if (!this.#stopped) await this.#failRestart(slot, /** @type {Error} */ (error));
        return;
      }
      if (this.#stopped) return;
      slot.restarts += 1;
      if (this.state === 'FAILED') this.#change('AVAILABLE');
      this.#watch(slot);
      this.#look();
    }, wait);
  }

  /**
   * @param {Slot} slot
   * @param {Error} error
   */
  async #failRestart(slot, error) {
    this.#restartError = this.#shown(error.message);
    const alone = this.#slots.every(({ ready }) => !ready);
    if (alone && slot.failures >= MOST_FAILURES && this.state !== 'UNLOADING') this.#change('FAILED', error.message);
    this.#restart(slot);
    if (this.state === 'UNLOADING') return this.#handOver();
    const helped = await this.#help();
    if (helped) this.#handOver();
    else if (this.broken && slot.failures > MOST_FAILURES) this.#refuse('The model is not available now');
  }

  /** Where no worker is left to answer what waits, others shall. */
  #handOver() {
    if (this.broken) this.#refuse('The model is not available now', true);
  }

  /**
   * @param {string} message
   * @param {boolean} [moved] whether another version answers in its place
   */
  #refuse(message, moved = false) {
    for (const request of this.#queue.requests()) {
      request.fail(Object.assign(new ServiceError('UNAVAILABLE', message, { retryAfterSeconds: this.#wait() }), { moved }));
    }
  }

  /**
   * @param {string} message of an error
   * @returns {string} without the paths of this machine, which clients need not know; the log has them
   */
  #shown(message) {
    const text = message.split('\n')[0].replaceAll(`${this.#folder}/`, '').replaceAll(this.#folder, 'the package').slice(0, 500);
    return /(^|[\s'"(:])(\/|[A-Za-z]:\\)[^\s]/.test(text) ? 'It could not be loaded; the log says why' : text;
  }

  /**
   * @param {'LOADING' | 'AVAILABLE' | 'UNLOADING' | 'FAILED'} state
   * @param {string} [error] for the log; clients are told a shorter one
   */
  #change(state, error) {
    this.state = state;
    this.error = error && this.#shown(error);
    this.#report('version', { name: this.name, version: this.version, state, error });
  }
}

/**
 * @param {Item} item
 * @param {number} [maxPixels] of one image: larger ones are refused without being decoded
 * @returns {number}
 */
function pixelsToDecode(item, maxPixels = Infinity) {
  const pixels = item instanceof Uint8Array ? (pixelsOf(item) ?? 0) : 0;
  return pixels > maxPixels ? 0 : pixels;
}

/**
 * @param {{code: string, message: string}} error of one image
 * @param {number} position
 * @param {number} count of images in the request
 * @returns {ServiceError}
 */
function asServiceError({ code, message }, position, count) {
  const isClients = code === 'ERR_INPUT' || code === 'ERR_NOT_AN_IMAGE' || code.startsWith('ERR_IMAGE_');
  if (!isClients) return new ServiceError('INTERNAL', 'The image could not be computed', { cause: new Error(message) });
  const status = code === 'ERR_IMAGE_TOO_LARGE' ? 413 : undefined;
  return Object.assign(badInput(count > 1 ? `images[${position}]: ${message}` : message, status), { index: position });
}

module.exports = { ServedVersion };
