'use strict';

/**
 * @typedef {import('./worker_process').Item} Item
 *
 * @typedef {object} Request the images of one client
 * @property {Item[]} items
 * @property {number} next the first that is not taken yet
 * @property {(position: number, probabilities: Float32Array) => void} answer
 * @property {(error: Error) => void} fail
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

  /** @param {Request} request */
  add(request) {
    this.#requests.push(request);
    this.#count(request, 1);
  }

  /** @param {Task} task an image that was taken */
  addAgain(task) {
    this.#again.push(task);
    this.size += 1;
    this.bytes += task.request.items[task.position].byteLength;
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
   * @returns {Task[]}
   */
  take(most) {
    if (this.#again.length > 0) return [this.#takeAgain(this.#again[0])];
    /** @type {Task[]} */
    const tasks = [];
    while (tasks.length < most) {
      const request = this.#requests.shift();
      if (!request) break;
      const position = request.next++;
      tasks.push({ request, position, attempts: 0 });
      this.size -= 1;
      this.bytes -= request.items[position].byteLength;
      if (request.next < request.items.length) this.#requests.push(request);
    }
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
    this.size -= 1;
    this.bytes -= task.request.items[task.position].byteLength;
    return task;
  }

  /**
   * @param {Request} request
   * @param {1 | -1} sign
   */
  #count({ items, next }, sign) {
    for (let i = next; i < items.length; i++) this.bytes += sign * items[i].byteLength;
    this.size += sign * (items.length - next);
  }
}

module.exports = { RequestQueue };
