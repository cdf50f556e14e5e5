'use strict';

/**
 * The bundled Node.js program. Python starts it with two inherited descriptors as its arguments: the socket of the protocol and
 * the pipe that ends with Python.
 */

const { startWatchdog } = require('./rpc/watchdog');
const { serve } = require('./rpc/server');

/**
 * Each method loads its modules on its first call, so that the process is ready at once.
 *
 * @type {Record<string, () => import('./rpc/protocol').Method>}
 */
const methods = {
  echo: () => require('./methods/echo').echo,
  'echo.size': () => require('./methods/echo').size,
  'features.create': () => require('./methods/features').create,
  'features.dispose': () => require('./methods/features').dispose,
  'features.extract': () => require('./methods/features').extract,
  'features.put': () => require('./methods/features').put,
  'features.read': () => require('./methods/features').read,
  'heads.create': () => require('./methods/heads').create,
  'heads.discriminate': () => require('./methods/heads').discriminate,
  'heads.dispose': () => require('./methods/heads').dispose,
  'heads.prepare': () => require('./methods/heads').prepare,
  'heads.result': () => require('./methods/heads').result,
  'heads.solve': () => require('./methods/heads').solve,
  'model.describeMade': () => require('./methods/model').describeMade,
  'model.dispose': () => require('./methods/model').dispose,
  'model.lend': () => require('./methods/model').lend,
  'model.loadGraph': () => require('./methods/model').loadGraph,
  'model.loadLayers': () => require('./methods/model').loadLayers,
  'model.loadSavedModel': () => require('./methods/model').loadSavedModel,
  'model.predict': () => require('./methods/model').predict,
  'model.weights': () => require('./methods/model').weights,
  'object.call': () => require('./methods/objects').call,
  'object.count': () => require('./methods/objects').count,
  'object.end': () => require('./methods/objects').end,
  'object.evaluate': () => require('./methods/objects').evaluate,
  'object.get': () => require('./methods/objects').get,
  'object.import': () => require('./methods/objects').importModule,
  'object.iterate': () => require('./methods/objects').iterate,
  'object.names': () => require('./methods/objects').names,
  'object.next': () => require('./methods/objects').next,
  'object.require': () => require('./methods/objects').requireModule,
  'object.set': () => require('./methods/objects').set,
  'object.size': () => require('./methods/objects').size,
  'object.value': () => require('./methods/objects').value,
  'parity.backend': () => require('./methods/parity').backend,
  'parity.layer': () => require('./methods/parity').layer,
  'parity.walk': () => require('./methods/parity').walk,
  'program.clock': () => require('./methods/program').clock,
  'program.dispose': () => require('./methods/program').dispose,
  'program.load': () => require('./methods/program').load,
  'program.run': () => require('./methods/program').run,
  'program.runAll': () => require('./methods/program').runAll,
  'script.call': () => require('./methods/script').call,
  'training.create': () => require('./methods/training').create,
  'training.createCompiled': () => require('./methods/training').createCompiled,
  'training.dispose': () => require('./methods/training').dispose,
  'training.epoch': () => require('./methods/training').epoch,
  'training.evaluate': () => require('./methods/training').evaluate,
  'training.restore': () => require('./methods/training').restore,
  'training.setWeights': () => require('./methods/training').setWeights,
  'training.state': () => require('./methods/training').state,
  'training.weights': () => require('./methods/training').weights,
};

// These keep none of the arrays that they are given once they have answered: the memory is used for the next call.
const consuming = new Set(['echo', 'echo.size', 'features.extract', 'model.predict', 'program.run', 'program.runAll']);

const [socketFd, lifelineFd] = process.argv.slice(2).map(Number);
if (!Number.isInteger(socketFd) || !Number.isInteger(lifelineFd)) {
  process.stderr.write('This program is started by the Python package pybridge.\n');
  process.exit(64);
}
keepConsoleComplete();
startWatchdog(lifelineFd, () => serve(socketFd, methods, consuming));

/** Writing to a full pipe waits for Python instead of queueing, or process.exit() would lose the last lines before a crash. */
function keepConsoleComplete() {
  for (const stream of [process.stdout, process.stderr]) {
    const { _handle: handle } = /** @type {any} */ (stream);
    handle?.setBlocking?.(true);
  }
}
