'use strict';

const { constants } = require('node:buffer');

// Smaller memory is as fast from the C library, which keeps it by itself.
const SHARED_FROM_BYTES = 2 ** 20;
const MAX_IDLE_BYTES = 128 * 2 ** 20;
const IDLE_MILLISECONDS = 10_000;

/**
 * Memory that the arrays of calls are received into.
 *
 * The kernel clears each page of fresh memory when it is first written, which costs about as much as receiving into it; and what
 * the garbage collector has not found yet, further calls cannot use. Methods that are through with their arrays when they
 * answer therefore get memory that is used again: 128 MiB at most are kept, for ten seconds.
 */
class ReceiveMemory {
  constructor() {
    /** @type {ArrayBuffer[]} the one used last at the end */
    this.idle = [];
    this.timer = setTimeout(() => {
      this.idle = [];
    }, IDLE_MILLISECONDS).unref();
  }

  /**
   * @param {number} nbytes
   * @returns {ArrayBuffer} at least so long, with arbitrary content; of the one who asked until `giveBack`
   */
  lend(nbytes) {
    for (let i = this.idle.length - 1; i >= 0; i--) {
      const { byteLength } = this.idle[i];
      // An array that is much smaller would keep all the rest from others.
      if (byteLength >= nbytes && byteLength <= 2 * nbytes) return this.idle.splice(i, 1)[0];
    }
    return allocate(nbytes);
  }

  /** @param {ArrayBuffer} buffer that nobody reads any more */
  giveBack(buffer) {
    if (buffer.byteLength < SHARED_FROM_BYTES || buffer.byteLength > MAX_IDLE_BYTES) return;
    this.idle.push(buffer);
    while (this.idle.reduce((sum, { byteLength }) => sum + byteLength, 0) > MAX_IDLE_BYTES) this.idle.shift();
    this.timer.refresh();
  }
}

/**
 * @param {number} nbytes
 * @returns {ArrayBuffer} of that length, with arbitrary content: all of it is received
 */
function allocate(nbytes) {
  if (nbytes > constants.MAX_LENGTH) return new ArrayBuffer(nbytes);
  return /** @type {ArrayBuffer} */ (Buffer.allocUnsafeSlow(nbytes).buffer);
}

module.exports = { ReceiveMemory, allocate };
