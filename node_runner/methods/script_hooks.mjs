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

/** @param {{port: import('node:worker_threads').MessagePort, parameter: string, tensorflow?: string}} data */
export function initialize(data) {
  ({ port, parameter, tensorflow } = data);
}

/**
 * @param {string} specifier
 * @param {{parentURL?: string}} context
 * @param {(specifier: string, context: object) => Promise<{url: string, format?: string}>} next
 */
export async function resolve(specifier, context, next) {
  if (specifier === '@tensorflow/tfjs-node' && tensorflow) return { url: tensorflow, format: 'commonjs', shortCircuit: true };
  const resolved = await next(specifier, context);
  const parent = context.parentURL;
  if (!parent?.startsWith('file:') || !resolved.url.startsWith('file:') || resolved.url.includes('/node_modules/')) return resolved;
  port.postMessage([parent, resolved.url]);
  const edition = new URL(parent).searchParams.get(parameter);
  if (edition === null || resolved.format === 'commonjs') return resolved;
  const url = new URL(resolved.url);
  url.searchParams.set(parameter, edition);
  return { ...resolved, url: url.href };
}
