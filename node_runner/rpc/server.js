'use strict';

/**
 * Answers the calls that come over the pipe.
 *
 * @typedef {import('./protocol').Message} Message
 * @typedef {import('./protocol').Method} Method
 * @typedef {import('./tensors').EncodedTensor} EncodedTensor
 */

const net = require('node:net');
const protocol = require('./protocol');
const { Callbacks } = require('./callbacks');
const { PythonError, RpcError, toErrorObject } = require('./errors');
const { FrameReader } = require('./frame_reader');
const { writeFrame } = require('./frame_writer');
const references = require('./references');
const { pack, packArguments, unpack } = require('./values');

/**
 * Serve methods over an inherited socket until the other side closes it; then the process exits.
 *
 * @param {number} fd
 * @param {Record<string, () => Method>} methods  each name with a function that loads the method on its first call
 * @param {Set<string>} consuming  those of them that keep none of the arrays they are given once they have answered
 */
function serve(fd, methods, consuming) {
  /** @type {Map<number, AbortController>} */
  const running = new Map();
  /** @type {Record<string, Method>} */
  const loaded = {};
  /** What this side has asked Python for. @type {Map<number, {resolve: (value: unknown) => void, reject: (error: Error) => void}>} */
  const asked = new Map();
  let serial = 0;
  const callbacks = new Callbacks(callPython, (crossings) => {
    send({ jsonrpc: '2.0', method: '$/released', params: { callbacks: crossings, serial: ++serial } }, []);
  });

  const reader = new FrameReader({
    isConsumed: (message) => consuming.has(message?.method),
    onFrame: receive,
    onBadFrame: (error, id) => fail(id, error),
    onLost: (reason) => {
      process.stderr.write(`pybridge: ${reason}\n`);
      process.exit(protocol.PROTOCOL_EXIT_CODE);
    },
  });
  const onread = {
    buffer: () => reader.nextBuffer(),
    /** @param {number} count */
    callback: (count) => {
      reader.received(count);
      return true;
    },
  };
  // The types know `onread` only for connect(), the documentation for the constructor too.
  const options = /** @type {net.SocketConstructorOpts} */ ({ fd, readable: true, writable: true, onread });
  const socket = new net.Socket(options);
  socket.on('end', leave);
  socket.on('error', leave);
  socket.on('close', leave);
  socket.resume();

  send({ jsonrpc: '2.0', method: 'hello', params: hello() }, []);

  function leave() {
    for (const controller of running.values()) controller.abort();
    process.exit();
  }

  /** @param {import('./frame_reader').Frame} frame */
  function receive(frame) {
    const { message } = frame;
    if (message?.method === undefined && asked.has(message?.id)) {
      settle(frame);
      return;
    }
    // An answer to what nobody waits for any more.
    if (message?.method === undefined && message?.jsonrpc === '2.0' && Number.isInteger(message.id) && ('result' in message || 'error' in message)) return;
    const problem = problemOf(message);
    if (problem) {
      fail(Number.isInteger(message?.id) ? message.id : null, new RpcError(protocol.INVALID_REQUEST, problem));
      return;
    }
    if (message.id === undefined) {
      if (message.method === '$/cancel') running.get(message.params?.id)?.abort();
      if (message.method === '$/release') references.release(message.params?.objects);
      return;
    }
    void answer(frame);
  }

  /** @param {import('./frame_reader').Frame} frame */
  async function answer({ message: { id, method, params }, tensors, hasPlaceholders, release }) {
    const controller = new AbortController();
    const { signal } = controller;
    running.set(id, controller);
    try {
      const run = load(method);
      const result = await run(hasPlaceholders ? unpack(params, tensors, callbacks) : params, { signal, progress });
      // The caller has gone on: a large result would cross for nothing.
      if (signal.aborted) throw new RpcError(protocol.CANCELLED, `${method} was cancelled`);
      const packed = pack(result, 'the result');
      send({ jsonrpc: '2.0', id, result: packed.json }, packed.tensors, release);
    } catch (error) {
      fail(id, error);
      release();
    } finally {
      running.delete(id);
    }

    /** @param {unknown} value */
    function progress(value) {
      if (signal.aborted || !running.has(id)) return;
      const packed = pack(new references.Converted(value), 'the progress value');
      send({ jsonrpc: '2.0', method: '$/progress', params: { id, value: packed.json } }, packed.tensors);
    }
  }

  /**
   * @param {number} callback
   * @param {unknown[]} args
   * @returns {Promise<unknown>}
   */
  function callPython(callback, args) {
    return new Promise((resolve, reject) => {
      const packed = packArguments(args);
      const id = ++serial;
      asked.set(id, { resolve, reject });
      send({ jsonrpc: '2.0', id, method: '$/callback', params: { callback, args: packed.json } }, packed.tensors);
    });
  }

  /** @param {import('./frame_reader').Frame} frame  Python's answer to `callPython` */
  function settle({ message: { id, result, error }, tensors, hasPlaceholders }) {
    const { resolve, reject } = /** @type {any} */ (asked.get(id));
    asked.delete(id);
    try {
      if (error) reject(new PythonError(error));
      else resolve(hasPlaceholders ? unpack(result, tensors, callbacks) : result);
    } catch (problem) {
      reject(problem);
    }
  }

  /** @param {string} name */
  function load(name) {
    if (Object.hasOwn(loaded, name)) return loaded[name];
    if (!Object.hasOwn(methods, name)) {
      throw new RpcError(
        protocol.METHOD_NOT_FOUND,
        `there is no method ${JSON.stringify(name)}`,
        `Known methods: ${Object.keys(methods).sort().join(', ')}.`,
      );
    }
    const method = methods[name]();
    if (typeof method !== 'function') {
      throw new RpcError(protocol.INTERNAL_ERROR, `main.js names ${JSON.stringify(name)}, but its module exports no such function`);
    }
    loaded[name] = method;
    return loaded[name];
  }

  /**
   * @param {number|null} id
   * @param {unknown} error
   */
  function fail(id, error) {
    send({ jsonrpc: '2.0', id, error: toErrorObject(error) }, []);
  }

  /**
   * @param {Message} message
   * @param {EncodedTensor[]} tensors
   * @param {() => void} [onWritten]
   */
  function send(message, tensors, onWritten) {
    writeFrame(socket, message, tensors, onWritten);
  }
}

/** @returns {import('./protocol').Hello} */
function hello() {
  return { protocol: protocol.PROTOCOL_VERSION, pid: process.pid, nodeVersion: process.versions.node };
}

/**
 * @param {any} message
 * @returns {string|undefined}
 */
function problemOf(message) {
  if (message === null || typeof message !== 'object' || Array.isArray(message)) return 'a message is not an object';
  if (message.jsonrpc !== '2.0') return 'a message is not JSON-RPC 2.0';
  if (typeof message.method !== 'string') return 'a message has no method';
  if (message.id !== undefined && !Number.isSafeInteger(message.id)) return 'the id of a request is not an integer';
  return undefined;
}

module.exports = { serve };
