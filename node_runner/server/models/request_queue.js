'use strict';

/**
 * @typedef {import('./worker_process').Item} Item
 * @typedef {Exclude<import('./worker_process').Result, {code: string}>} Answered
 *
 * @typedef {object} Request the images of one client
 * @property {Item[]} items
 * @property {number[]} pixels of each, that come of decoding it
 * @property {number} next the first that is not taken yet
 * @property {(position: number, result: Answered) => void} answer
 * @property {(error: Error) => void} fail
 * @property {number} since when it came, as `performance.now()` has it
 * @property {() => boolean} settled whether its client has an answer, an error, or left
 *
 * @typedef {{request: Request, position: number, attempts: number}} Task one image
 */

/**
 * The images that wait. Requests take turns, an image each, so that one with many does not hold up those with few. Images whose
 * worker ended come first, and alone: it may have been one of them that ended it.
 */
class RequestQueue {
  /** @type {Request[]} */
  #requests = [];
  /** @type {Task[]} */
  #again = [];

  /** Images that wait. */
  size = 0;
  /** Their bytes. */
  bytes = 0;
  /** The pixels that come of decoding them. */
  pixels = 0;

  /** @param {Request} request */
  add(request) {
    this.#requests.push(request);
    this.#count(request, 1);
  }

  /** @param {Task} task an image that was taken */
  addAgain(task) {
    this.#again.push(task);
    this.#countOne(task, 1);
  }

  /** @param {Request} request whose remaining images are not wanted any more */
  remove(request) {
    const at = this.#requests.indexOf(request);
    if (at >= 0) {
      this.#requests.splice(at, 1);
      this.#count(request, -1);
    }
    for (const task of this.#again.filter((other) => other.request === request)) this.#takeAgain(task);
  }

  /**
   * @param {number} most
   * @param {number} mostPixels that come of them; a larger image is taken too, where it would be the first
   * @returns {Task[]} the next ones. Those that are too large for what is left let others go first
   */
  take(most, mostPixels) {
    if (this.#again.length > 0) return [this.#takeAgain(this.#again[0])];
    /** @type {Task[]} */
    const tasks = [];
    /** @type {Request[]} */
    const tooLarge = [];
    let room = mostPixels;
    while (tasks.length < most) {
      const request = this.#requests.shift();
      if (!request) break;
      const position = request.next;
      if (request.pixels[position] > room && tasks.length > 0) {
        tooLarge.push(request);
        continue;
      }
      request.next += 1;
      room -= request.pixels[position];
      const task = { request, position, attempts: 0 };
      tasks.push(task);
      this.#countOne(task, -1);
      if (request.next < request.items.length) this.#requests.push(request);
    }
    this.#requests.unshift(...tooLarge);
    return tasks;
  }

  /** @returns {Request[]} all that wait */
  requests() {
    return [...new Set([...this.#again.map(({ request }) => request), ...this.#requests])];
  }

  /**
   * @param {Task} task
   * @returns {Task}
   */
  #takeAgain(task) {
    this.#again.splice(this.#again.indexOf(task), 1);
    this.#countOne(task, -1);
    return task;
  }

  /**
   * @param {Request} request
   * @param {1 | -1} sign
   */
  #count(request, sign) {
    for (let position = request.next; position < request.items.length; position++) this.#countOne({ request, position }, sign);
  }

  /**
   * @param {{request: Request, position: number}} task
   * @param {1 | -1} sign
   */
  #countOne({ request: { items, pixels }, position }, sign) {
    this.size += sign;
    this.bytes += sign * items[position].byteLength;
    this.pixels += sign * pixels[position];
  }
}

module.exports = { RequestQueue };
