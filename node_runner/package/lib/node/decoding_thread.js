'use strict';

const { parentPort, workerData } = require('worker_threads');

const { prepare } = require('../prepare');
const { decodeForeign } = require('./foreign_formats');

const port = /** @type {import('worker_threads').MessagePort} */ (parentPort);
const { preprocessing, limits } = workerData;

port.on('message', async (source) => {
  let values;
  try {
    values = await prepare(source, preprocessing, limits, decodeForeign);
  } catch (error) {
    const { name, message, code = 'ERR_RUNTIME' } = /** @type {any} */ (error);
    port.postMessage({ error: { kind: name, message, code } });
    return;
  }
  port.postMessage({ values }, [/** @type {ArrayBuffer} */ (values.buffer)]);
});
port.postMessage({});
