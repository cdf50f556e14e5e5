'use strict';

/**
 * Frames from the bytes of a socket. The socket asks `nextBuffer` where to put its next bytes: small reads share a scratch buffer,
 * the bulk of a large tensor goes from the kernel straight into the memory that the method will see.
 *
 * @typedef {import('./protocol').TensorDescriptor} TensorDescriptor
 * @typedef {import('./ndarray').NDArray} NDArray
 *
 * @typedef {object} Frame
 * @property {any} message
 * @property {NDArray[]} tensors
 * @property {boolean} hasPlaceholders  whether the message may hold placeholders
 * @property {() => void} release  to be called when nobody reads the tensors any more, where `isConsumed` says that it will be
 *
 * @typedef {object} FrameHandlers
 * @property {(message: any) => boolean} isConsumed  whether the tensors of a message are released after use
 * @property {(frame: Frame) => void} onFrame
 * @property {(error: unknown, id: number|null) => void} onBadFrame  the frame was skipped, the next one can be read
 * @property {(reason: string) => void} onLost  what arrived is no frame; nothing after it can be understood
 */

const { HEADER_BYTES, MAGIC, MAX_JSON_BYTES, MAX_PAYLOAD_BYTES, PARSE_ERROR } = require('./protocol');
const { RpcError } = require('./errors');
const { ReceiveMemory, allocate } = require('./receive_memory');
const { checkDescriptors, decodeTensor } = require('./tensors');

const SCRATCH_BYTES = 64 * 1024;
const DIRECT_FROM_BYTES = 16 * 1024;
// libuv takes a buffer's length as an unsigned int.
const MAX_READ_BYTES = 2 ** 30;

class FrameReader {
  /** @param {FrameHandlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    this.start = 0;
    this.end = 0;
    this.header = Buffer.allocUnsafeSlow(HEADER_BYTES);
    this.direct = false;
    this.lost = false;
    /** What is being filled, and what happens when it is full. */
    this.target = /** @type {Uint8Array} */ (this.header);
    this.filled = 0;
    this.whenFull = this.readHeader;
    /** How many bytes of a frame that cannot be used are still to come. */
    this.skipping = 0;
    this.payloadBytes = 0;
    /** @type {any} */
    this.message = undefined;
    this.hasPlaceholders = false;
    /** @type {TensorDescriptor[]} */
    this.descriptors = [];
    /** @type {NDArray[]} */
    this.tensors = [];
    /** @type {unknown} */
    this.problem = undefined;
    this.memory = new ReceiveMemory();
    /** @type {ArrayBuffer[]} */
    this.lent = [];
  }

  /** Where the next bytes of the socket must go. */
  nextBuffer() {
    const wanted = this.target.length - this.filled;
    this.direct = this.skipping === 0 && wanted >= DIRECT_FROM_BYTES && this.start === this.end;
    if (this.direct) return this.target.subarray(this.filled, this.filled + Math.min(wanted, MAX_READ_BYTES));
    if (this.start === this.end) {
      this.start = 0;
      this.end = 0;
    }
    return this.scratch.subarray(this.end);
  }

  /**
   * `count` bytes have arrived in the buffer that `nextBuffer` gave last.
   *
   * @param {number} count
   */
  received(count) {
    if (this.direct) this.filled += count;
    else this.end += count;
    while (!this.lost && this.step()) {
      // Every step makes progress: several frames may have come in one read.
    }
  }

  /** Use what has arrived; false when more is needed. */
  step() {
    const available = this.end - this.start;
    if (this.skipping > 0) {
      const skipped = Math.min(this.skipping, available);
      this.start += skipped;
      this.skipping -= skipped;
      if (this.skipping > 0) return false;
      this.finishFrame();
      return true;
    }
    const taken = Math.min(this.target.length - this.filled, available);
    if (taken > 0) {
      this.target.set(this.scratch.subarray(this.start, this.start + taken), this.filled);
      this.start += taken;
      this.filled += taken;
    }
    if (this.filled < this.target.length) return false;
    this.whenFull();
    return true;
  }

  /**
   * @param {Uint8Array} target
   * @param {() => void} whenFull
   */
  fill(target, whenFull) {
    this.target = target;
    this.filled = 0;
    this.whenFull = whenFull;
  }

  readHeader() {
    const magic = this.header.readUInt32LE(0);
    const jsonBytes = this.header.readUInt32LE(4);
    this.payloadBytes = this.header.readUInt32LE(12) * 2 ** 32 + this.header.readUInt32LE(8);
    if (magic !== MAGIC) {
      this.lose(`a frame begins with 0x${magic.toString(16)} instead of its magic number`);
      return;
    }
    if (jsonBytes > MAX_JSON_BYTES || this.payloadBytes > MAX_PAYLOAD_BYTES) {
      this.lose(`a frame announces ${jsonBytes} bytes of JSON and ${this.payloadBytes} of tensors, which is too large`);
      return;
    }
    this.fill(Buffer.allocUnsafe(jsonBytes), this.readMessage);
  }

  readMessage() {
    const text = /** @type {Buffer} */ (this.target).toString('utf8');
    try {
      this.message = parse(text);
      this.hasPlaceholders = text.includes('"$');
      this.descriptors = checkDescriptors(this.message?.tensors ?? [], this.payloadBytes);
    } catch (error) {
      this.skipPayload(error, this.payloadBytes);
      return;
    }
    this.nextTensor();
  }

  nextTensor() {
    if (this.tensors.length === this.descriptors.length) {
      this.finishFrame();
      return;
    }
    const descriptor = this.descriptors[this.tensors.length];
    try {
      this.fill(new Uint8Array(this.newBuffer(descriptor.nbytes), 0, descriptor.nbytes), this.readTensor);
    } catch (error) {
      this.skipPayload(error, this.bytesFrom(this.tensors.length));
    }
  }

  /**
   * @param {number} nbytes
   * @returns {ArrayBuffer}
   */
  newBuffer(nbytes) {
    if (!this.handlers.isConsumed(this.message)) return allocate(nbytes);
    const buffer = this.memory.lend(nbytes);
    this.lent.push(buffer);
    return buffer;
  }

  readTensor() {
    const descriptor = this.descriptors[this.tensors.length];
    try {
      this.tensors.push(decodeTensor(descriptor, /** @type {ArrayBuffer} */ (this.target.buffer)));
    } catch (error) {
      this.skipPayload(error, this.bytesFrom(this.tensors.length + 1));
      return;
    }
    this.nextTensor();
  }

  /** @param {number} index */
  bytesFrom(index) {
    return this.descriptors.slice(index).reduce((sum, { nbytes }) => sum + nbytes, 0);
  }

  /**
   * @param {unknown} problem
   * @param {number} remaining
   */
  skipPayload(problem, remaining) {
    this.problem = problem;
    this.skipping = remaining;
    if (remaining === 0) this.finishFrame();
  }

  finishFrame() {
    const { message, tensors, hasPlaceholders, problem, lent } = this;
    const release = () => {
      for (const buffer of lent.splice(0)) this.memory.giveBack(buffer);
    };
    this.message = undefined;
    this.descriptors = [];
    this.tensors = [];
    this.problem = undefined;
    this.lent = [];
    this.fill(this.header, this.readHeader);
    if (problem === undefined) {
      this.handlers.onFrame({ message, tensors, hasPlaceholders, release });
      return;
    }
    release();
    const id = message !== null && typeof message === 'object' && Number.isInteger(message.id) ? message.id : null;
    this.handlers.onBadFrame(problem, id);
  }

  /** @param {string} reason */
  lose(reason) {
    this.lost = true;
    this.handlers.onLost(reason);
  }
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RpcError(PARSE_ERROR, `a message is not valid JSON: ${/** @type {Error} */ (error).message}`);
  }
}

module.exports = { FrameReader };
