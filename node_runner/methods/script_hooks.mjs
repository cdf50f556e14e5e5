/**
 * Hooks of Node.js's module loader for users' own ES modules. They say which file imports which, lead to the TensorFlow.js of this
 * process, and pass on the number of the edition: Node.js keeps an ES module for ever under its address, so that a changed one needs
 * another address.
 */

/** @type {import('node:worker_threads').MessagePort} */
let port;
/** @type {string} */
let parameter;
/** @type {string|undefined} */
let tensorflow;

/** Files of the runner. */
const ofRunner = { context: '' };
/** A file beside which `node.install` has put packages. @type {string|undefined} */
let packages;

/**
 * @param {{port: import('node:worker_threads').MessagePort, parameter: string, tensorflow?: string, context: string,
 *   packages?: string}} data
 */
export function initialize(data) {
  ({ port, parameter, tensorflow, packages } = data);
  ofRunner.context = data.context;
}

/**
 * @param {string} specifier
 * @param {{parentURL?: string}} context
 * @param {(specifier: string, context: object) => Promise<{url: string, format?: string}>} next
 */
export async function resolve(specifier, context, next) {
  if (specifier === '@tensorflow/tfjs-node' && tensorflow) return { url: tensorflow, format: 'commonjs', shortCircuit: true };
  if (specifier === 'pybridge') return { url: ofRunner.context, format: 'commonjs', shortCircuit: true };
  if (specifier.startsWith('pybridge:import?')) return resolveFrom(new URL(specifier).searchParams, context, next);
  const parent = context.parentURL;
  const places = parent && packages && isBare(specifier) && !parent.includes('/node_modules/') ? [parent, packages] : [parent];
  const resolved = await resolveIn(places, specifier, context, next);
  if (!parent?.startsWith('file:') || !resolved.url.startsWith('file:') || resolved.url.includes('/node_modules/')) return resolved;
  port.postMessage([parent, resolved.url]);
  const edition = new URL(parent).searchParams.get(parameter);
  if (edition === null || resolved.format === 'commonjs') return resolved;
  const url = new URL(resolved.url);
  url.searchParams.set(parameter, edition);
  return { ...resolved, url: url.href };
}

/**
 * @param {URLSearchParams} asked
 * @param {object} context
 * @param {(specifier: string, context: object) => Promise<{url: string, format?: string}>} next
 */
async function resolveFrom(asked, context, next) {
  const specifier = asked.get('specifier') ?? '';
  if (specifier === '@tensorflow/tfjs-node' && tensorflow) return { url: tensorflow, format: 'commonjs', shortCircuit: true };
  return resolveIn([asked.get('from') ?? '', ...(packages ? [packages] : [])], specifier, context, next);
}

/**
 * @param {(string|undefined)[]} places  files that could have imported it
 * @param {string} specifier
 * @param {object} context
 * @param {(specifier: string, context: object) => Promise<{url: string, format?: string}>} next
 * @returns {Promise<{url: string, format?: string}>} of the first place that has it
 */
async function resolveIn([parentURL, ...others], specifier, context, next) {
  try {
    return await next(specifier, { ...context, parentURL });
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND' || others.length === 0) throw error;
    return resolveIn(others, specifier, context, next);
  }
}

/** @param {string} specifier */
function isBare(specifier) {
  return !/^(\.|\/|[a-z]+:)/.test(specifier);
}
