'use strict';

/**
 * The modules of users' own files: loaded once, and again when a file has changed on disk.
 *
 * A script is loaded anew with those of its parts that have changed and those that use them. CommonJS parts that have not changed keep
 * their state; of ES modules all parts are loaded anew. Files in `node_modules` are not looked at.
 */

const fs = require('node:fs');
const Module = require('node:module');
const { createRequire } = Module;
const path = require('node:path');
const { MessageChannel, receiveMessageOnPort } = require('node:worker_threads');
const { pathToFileURL, fileURLToPath } = require('node:url');

const { provideTensorflow, tensorflowEntry } = require('../tensorflow');
const { context } = require('./script_context');
const { RpcError } = require('../rpc/errors');
const { INVALID_PARAMS } = require('../rpc/protocol');

const RUNNER = path.dirname(__dirname);
const EDITION = 'edition';

/**
 * @typedef {{exported: object, file: string, parts: Set<string>}} Script  `file` without symbolic links, `parts` with the file itself
 */

/** Scripts by the path they were asked for. @type {Map<string, Script>} */
const scripts = new Map();
/** What each user's file was when it was loaded. @type {Map<string, string>} */
const stamps = new Map();
/** Which ES modules each ES module imports. @type {Map<string, Set<string>>} */
const imports = new Map();
let edition = 0;
let loads = 0;
/** @type {import('node:worker_threads').MessagePort|undefined} */
let resolutions;

/**
 * The module of a file, as it is on disk now.
 *
 * @param {string} asked  an absolute path
 * @returns {object|Promise<object>} its namespace; `default` holds the exports of a CommonJS module
 */
function moduleOf(asked) {
  const script = scripts.get(asked);
  if (script === undefined) return load(asked);
  const changed = [...script.parts].filter((file) => stampOf(file) !== stamps.get(file));
  if (changed.length === 0) return script.exported;
  forget(new Set(changed));
  return load(asked);
}

/**
 * A module by name or path, as `require` in a file of a folder would find it.
 *
 * @param {string} specifier
 * @param {string} folder
 * @returns {any}
 */
function requireFrom(specifier, folder) {
  prepare();
  return createRequire(path.join(folder, 'pybridge.js'))(specifier);
}

/**
 * The same for ES modules. Files are read again when they have changed.
 *
 * @param {string} specifier
 * @param {string} folder
 * @returns {Promise<any>} its namespace
 */
async function importFrom(specifier, folder) {
  if (specifier.startsWith('.') || path.isAbsolute(specifier)) return moduleOf(path.resolve(folder, specifier));
  prepare();
  await followImports();
  if (resolutions === undefined) throw new RpcError(INVALID_PARAMS, `import_module needs Node.js 18.19 or later; this is ${process.version}`);
  const address = new URL('pybridge:import');
  address.searchParams.set('specifier', specifier);
  address.searchParams.set('from', pathToFileURL(path.join(folder, 'pybridge.mjs')).href);
  return import(address.href);
}

function prepare() {
  provideTensorflow();
  provideContext();
  providePackages();
  followRequires();
}

/** Lets `require` find what `node.install` has installed, after all else. */
function providePackages() {
  const folder = process.env.PYBRIDGE_PACKAGES;
  const searched = (process.env.NODE_PATH ?? '').split(path.delimiter).filter(Boolean);
  if (!folder || searched.includes(path.join(folder, 'node_modules'))) return;
  process.env.NODE_PATH = [...searched, path.join(folder, 'node_modules')].join(path.delimiter);
  /** @type {any} */ (Module)._initPaths();
}

/** Lets `require('pybridge')` in users' files find the context of their calls. */
function provideContext() {
  const loader = /** @type {any} */ (Module);
  const loadModule = loader._load;
  if (loadModule.providesContext) return;
  /** @type {any} */
  const providing = (/** @type {string} */ request, /** @type {unknown[]} */ ...rest) =>
    request === 'pybridge' ? { context } : loadModule.call(loader, request, ...rest);
  providing.providesContext = true;
  providing.providesTensorflow = true;
  loader._load = providing;
}

/** @param {string} file */
function checkTypeScript(file) {
  if (!/\.[mc]?ts$/.test(file) || /** @type {any} */ (process.features).typescript) return;
  const [major, minor] = process.versions.node.split('.').map(Number);
  const isBehindFlag = major > 22 || (major === 22 && minor >= 6);
  throw new RpcError(
    INVALID_PARAMS,
    `${file} is TypeScript, which this Node.js (${process.version}) does not run`,
    isBehindFlag
      ? "Switch it on with Node(env={'NODE_OPTIONS': '--experimental-strip-types'}), or use Node.js 22.18 or later."
      : 'Use Node.js 22.18 or later, which removes the types by itself, or compile the file to JavaScript.',
  );
}

/** @param {string} asked */
async function load(asked) {
  if (!fs.existsSync(asked)) throw new RpcError(INVALID_PARAMS, `there is no file ${asked}`);
  checkTypeScript(asked);
  prepare();
  await followImports();
  const file = fs.realpathSync(asked);
  stamps.set(file, stampOf(file));
  const before = loads;
  const url = pathToFileURL(file);
  if (edition > 0) url.searchParams.set(EDITION, String(edition));
  const exported = await import(url.href).catch((error) => {
    // Node.js keeps a failure under the address as well.
    edition += 1;
    throw error;
  });
  noteImports();
  const script = { exported, file, parts: partsOf(file) };
  scripts.set(asked, script);
  if (loads !== before) for (const other of scripts.values()) other.parts = partsOf(other.file);
  return exported;
}

/**
 * After a call, which may have loaded further parts.
 *
 * @param {string} asked
 * @param {number} before  what `loadCount` was before it
 */
function noteParts(asked, before) {
  if (loads === before) return;
  const script = scripts.get(asked);
  if (script) script.parts = partsOf(script.file);
}

/** How many files have been loaded so far. */
const loadCount = () => loads;

/**
 * Drops changed files and all that use them, so that they are loaded anew.
 *
 * @param {Set<string>} changed
 */
function forget(changed) {
  edition += 1;
  const files = new Set([...stamps.keys()].filter((file) => intersect(partsOf(file), changed)));
  for (const file of files) {
    delete require.cache[file];
    stamps.delete(file);
    imports.delete(file);
  }
  for (const [asked, script] of scripts) if (files.has(script.file)) scripts.delete(asked);
}

/**
 * A file and the user's files that it uses, directly or not.
 *
 * @param {string} file
 * @param {Set<string>} [found]
 */
function partsOf(file, found = new Set()) {
  if (found.has(file) || !isUsers(file)) return found;
  found.add(file);
  for (const child of require.cache[file]?.children ?? []) partsOf(child.filename, found);
  for (const child of imports.get(file) ?? []) partsOf(child, found);
  return found;
}

/** Notes each file that `require` loads, as it is at that moment. */
function followRequires() {
  const prototype = /** @type {any} */ (Module).prototype;
  const loadFile = prototype.load;
  if (loadFile.isFollowed) return;
  /** @param {string} filename */
  prototype.load = function noteAndLoad(filename) {
    if (isUsers(filename)) {
      stamps.set(filename, stampOf(filename));
      loads += 1;
    }
    return loadFile.call(this, filename);
  };
  prototype.load.isFollowed = true;
}

/** Lets the hooks beside this file say which module imports which, and load changed ones anew. */
async function followImports() {
  if (resolutions !== undefined || typeof (/** @type {any} */ (Module).register) !== 'function') return;
  const { port1, port2 } = new MessageChannel();
  resolutions = port1;
  port1.unref();
  const hooks = pathToFileURL(path.join(__dirname, 'script_hooks.mjs')).href;
  const entry = tensorflowEntry();
  const data = {
    port: port2,
    parameter: EDITION,
    tensorflow: entry && pathToFileURL(entry).href,
    context: pathToFileURL(path.join(__dirname, 'script_context.js')).href,
    packages: process.env.PYBRIDGE_PACKAGES && pathToFileURL(path.join(process.env.PYBRIDGE_PACKAGES, 'pybridge.mjs')).href,
  };
  /** @type {any} */ (Module).register(hooks, { data, transferList: [port2] });
}

function noteImports() {
  if (resolutions === undefined) return;
  for (let received = receiveMessageOnPort(resolutions); received; received = receiveMessageOnPort(resolutions)) {
    const [parent, child] = received.message.map((/** @type {string} */ address) => fileURLToPath(address.split('?')[0]));
    if (!isUsers(parent) || !isUsers(child)) continue;
    imports.set(parent, (imports.get(parent) ?? new Set()).add(child));
    if (!stamps.has(child)) stamps.set(child, stampOf(child));
    loads += 1;
  }
}

/** @param {string} file */
function isUsers(file) {
  return path.isAbsolute(file) && !file.includes(`${path.sep}node_modules${path.sep}`) && !file.startsWith(RUNNER + path.sep);
}

/** @param {string} file */
function stampOf(file) {
  const found = fs.statSync(file, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.mtimeMs} ${found.size} ${found.ino}`;
}

/**
 * @param {Set<string>} some
 * @param {Set<string>} others
 */
function intersect(some, others) {
  for (const one of some) if (others.has(one)) return true;
  return false;
}

module.exports = { importFrom, loadCount, moduleOf, noteParts, requireFrom };
