'use strict';

/**
 * Which room of `node_runner` may import which: downwards only, and never in a circle. `npm run architecture` checks it.
 *
 * The runner: layers < tensorflow < engines < methods < main, with rpc beside the first two. The package and the server are programs of
 * their own, which are copied into services.
 */

const ROOMS = '^node_runner/';
const room = (/** @type {string[]} */ ...names) => `${ROOMS}(${names.join('|')})/`;

/**
 * @param {string} name
 * @param {string} from
 * @param {string[]} allowed patterns of files
 * @param {string} comment
 */
function only(name, from, allowed, comment) {
  return { name, severity: 'error', comment, from: { path: from }, to: { path: ROOMS, pathNot: allowed } };
}

const SERVICES = 'node_modules/@tensorflow/tfjs/';

/** What runs where Node.js is not: nothing but files of its own. */
const inBrowsers = (/** @type {string} */ name, /** @type {string} */ from) => ({
  name,
  severity: 'error',
  comment: 'A browser has no modules of Node.js. TensorFlow.js is that of the page.',
  from: { path: from, pathNot: 'package/lib/node/' },
  to: { dependencyTypesNot: ['local'], pathNot: SERVICES },
});

module.exports = {
  forbidden: [
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'nothing-unknown', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'declared',
      severity: 'error',
      comment: 'A package that only another one brings may be gone tomorrow.',
      from: {},
      // A deployed package runs on the TensorFlow.js of its service.
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'undetermined'], pathNot: SERVICES },
    },
    only('layers-stand-alone', room('layers'), [room('layers')], 'They are written beside the models that need them.'),
    only('rpc-is-the-ground', room('rpc'), [room('rpc')], 'The protocol knows nothing of what it carries.'),
    only('tensorflow', room('tensorflow'), [room('tensorflow', 'layers')], 'It adds our layers to TensorFlow.js, nothing else.'),
    only('engines', room('engines'), [room('engines', 'tensorflow', 'rpc')], 'They compute; methods call them.'),
    only('methods', room('methods'), [room('methods', 'engines', 'tensorflow', 'rpc')], 'main.js names them to the protocol.'),
    only('main', `${ROOMS}main\\.js$`, [room('methods', 'rpc')], 'What it computes with is the business of its methods.'),
    only('benchmark', room('benchmark'), [room('benchmark', 'tensorflow', 'rpc')], 'It measures other ways than the runner.'),
    only('package-stands-alone', room('package'), [room('package')], 'It is copied into services.'),
    only('server', room('server'), [room('server'), `${ROOMS}package/index\\.js$`, `${ROOMS}layers/index\\.js$`], 'It knows classifiers by their face.'),
    inBrowsers('layers-in-browsers', room('layers')),
    inBrowsers('package-in-browsers', `${ROOMS}package/lib/`),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Made by esbuild of files that are looked at.
    exclude: { path: '^node_runner/package/lib/browser/bundle\\.mjs$' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['require', 'node', 'default'] },
  },
};
