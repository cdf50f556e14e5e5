'use strict';

const fs = require('fs');
const path = require('path');
const { parseArgs } = require('util');

// Python reads it too: the flags of `pybridge serve` and the limits of `pybridge.serve` come from there.
const manifest = require('./options.json');

/**
 * @typedef {object} Options
 * @property {import('./models/model').Place[]} models
 * @property {string} host
 * @property {string[]} allowedHosts names that it answers for beside its own
 * @property {number} port 0 lets the system choose
 * @property {number} workers processes that compute, for each model
 * @property {number} maxBatch images in one call of the model
 * @property {number} batchDelayMs how long a busy model collects a batch
 * @property {number} maxQueue images that wait, for each model
 * @property {number} maxBody bytes of one request
 * @property {number} maxMemory bytes of all requests being read or answered
 * @property {number} maxImages in one request
 * @property {number} maxPixels of one picture
 * @property {number} maxConnections
 * @property {number} maxConnectionsPerAddress
 * @property {number} probePort 0 for none
 * @property {string[]} allowedOrigins of web pages that may use it
 * @property {number} requestTimeout seconds from the whole request to its answer
 * @property {number} bodyTimeout seconds to send a request
 * @property {number} drainTimeout seconds for what is under way when the server ends
 * @property {number} reload seconds between two looks for new versions; 0 never looks
 * @property {string} runtime
 * @property {string | undefined} tensorflow a module that exports `loadTensorflow`
 * @property {string | undefined} token that clients must send
 * @property {string} logLevel
 * @property {boolean} json
 * @property {number | undefined} lifeline a descriptor whose end ends the server
 */

/** What the user can mend; `main` prints it as one line. */
class UsageError extends Error {}

/** @typedef {{name: string, default: number, minimum: number, maximum: number, whole: boolean, help: string}} NumberOption */

/** @type {NumberOption[]} */
const NUMBERS = manifest.numbers;

/** What each number is where nothing else is asked for, by its name in `Options`. */
const DEFAULTS = Object.freeze(Object.fromEntries(NUMBERS.map((option) => [camel(option.name), option.default])));

const TEXTS = {
  model: 'NAME=FOLDER; several for several models',
  host: 'address to listen on (default 127.0.0.1, this machine only)',
  'allow-host': 'a name that clients may call it by; on this machine only those of this machine are known. Several times for several',
  cors: 'an origin whose web pages may use it, such as https://shop.example; * for any. Several times for several',
  canary: 'NAME@VERSION=PERCENT: a version of a model that answers so many of a hundred requests beside the newest other one',
  label: 'NAME@LABEL=VERSION: a name for a version, which is then loaded too: /v1/models/NAME/labels/LABEL. Several times for several',
  runtime: `${manifest.choices.runtime.values.join(', ')} (default ${manifest.choices.runtime.default})`,
  tensorflow: 'a module whose loadTensorflow() gives the TensorFlow.js to use',
  'token-file': 'file with the token that clients must send; or set PYBRIDGE_TOKEN',
  'log-level': `${manifest.choices['log-level'].values.join(', ')} (default ${manifest.choices['log-level'].default})`,
  lifeline: 'descriptor of a pipe; when it ends, so does the server',
};

const SEVERAL = ['model', 'allow-host', 'cors', 'canary', 'label'];
const MODEL_NAME = new RegExp(manifest.modelName);
const TOKEN = /^[\x21-\x7e]{8,4096}$/;
const PACKAGE = path.resolve(__dirname, '..');

/**
 * @param {string[]} argv without program and script
 * @param {NodeJS.ProcessEnv} env `PYBRIDGE_TOKEN`, and `HOST` and `PORT` as hosting platforms set them
 * @returns {Options | null} null where help was asked for
 * @throws {UsageError}
 */
function readOptions(argv, env) {
  const { values, positionals } = parse(argv);
  if (values.help) return null;
  /** @type {Record<string, number>} */
  const numbers = {};
  for (const option of NUMBERS) {
    const fallback = option.name === 'port' && env.PORT ? env.PORT : String(option.default);
    numbers[camel(option.name)] = readNumber(option, String(values[option.name] ?? fallback));
  }
  const { batchDelay, ...rest } = numbers;
  return /** @type {Options} */ (/** @type {unknown} */ ({
    ...rest,
    batchDelayMs: batchDelay,
    models: withVersions(readModels([...list(values.model), ...positionals]), list(values.canary), list(values.label)),
    host: String(values.host ?? env.HOST ?? '127.0.0.1'),
    allowedHosts: list(values['allow-host']),
    allowedOrigins: list(values.cors).map(readOrigin),
    runtime: oneOf('runtime', values.runtime),
    tensorflow: values.tensorflow === undefined ? undefined : path.resolve(String(values.tensorflow)),
    token: readToken(values['token-file'], env.PYBRIDGE_TOKEN),
    logLevel: oneOf('log-level', values['log-level']),
    json: Boolean(values.json),
    lifeline: values.lifeline === undefined ? undefined : Number(values.lifeline),
  }));
}

/** @param {string[]} argv */
function parse(argv) {
  /** @type {Record<string, any>} */
  const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } };
  for (const { name } of NUMBERS) options[name] = { type: 'string' };
  for (const name of Object.keys(TEXTS)) options[name] = { type: 'string', multiple: SEVERAL.includes(name) };
  try {
    const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true, strict: true });
    return { values: /** @type {Record<string, any>} */ (values), positionals };
  } catch (error) {
    throw new UsageError(/** @type {Error} */ (error).message.split('\n')[0].replace(/\. To specify.*/, ''));
  }
}

/**
 * @param {unknown} value
 * @returns {string[]}
 */
function list(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * @param {NumberOption} option
 * @param {string} text
 * @returns {number}
 */
function readNumber({ name, minimum, maximum, whole }, text) {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= minimum && value <= maximum) || (whole && !Number.isInteger(value))) {
    throw new UsageError(`--${name} must be ${whole ? 'a whole number' : 'a number'} from ${minimum} to ${maximum}, not ${text.slice(0, 40)}`);
  }
  return value;
}

/**
 * @param {string[]} given `NAME=FOLDER` or `FOLDER`; without any, the package that this server is a part of
 * @returns {import('./models/model').Place[]}
 */
function readModels(given) {
  if (given.length === 0 && !fs.existsSync(path.join(PACKAGE, 'manifest.json'))) throw new UsageError('Name at least one model: NAME=FOLDER');
  const models = (given.length ? given : [PACKAGE]).map((text) => {
    const [, name, folder] = /^([^=/\\]+)=(.+)$/s.exec(text) ?? [null, undefined, text];
    const place = path.resolve(folder);
    return { name: name ?? packageName(place), path: place };
  });
  for (const { name, path: folder } of models) {
    if (!MODEL_NAME.test(name)) throw new UsageError(`${name.slice(0, 80)} is not a name for a model: use letters, digits, '-', '_' and '.'`);
    if (!fs.existsSync(folder)) throw new UsageError(`There is no folder ${folder}`);
  }
  const twice = models.find(({ name }, i) => models.findIndex((other) => other.name === name) !== i);
  if (twice) throw new UsageError(`Two models are called ${twice.name}: name them, such as cats=FOLDER dogs=FOLDER`);
  return models;
}

/**
 * @param {import('./models/model').Place[]} models
 * @param {string[]} canaries `NAME@VERSION=PERCENT`
 * @param {string[]} labels `NAME@LABEL=VERSION`
 */
function withVersions(models, canaries, labels) {
  /** @param {string} name @param {string} text */
  const modelOf = (name, text) => {
    const found = models.find((model) => model.name === name);
    if (!found) throw new UsageError(`There is no model ${name.slice(0, 80)} for ${text.slice(0, 120)}`);
    return found;
  };
  for (const text of canaries) {
    const [, name, version, percent] = /^([^@=]+)@([1-9]\d{0,17})=(\d{1,2}(?:\.\d+)?|100)$/.exec(text) ?? [];
    if (!name) throw new UsageError(`--canary must be NAME@VERSION=PERCENT, such as pets@3=10, not ${text.slice(0, 120)}`);
    const model = modelOf(name, text);
    if (model.canary) throw new UsageError(`The model ${name} has two canaries`);
    model.canary = { version, percent: Number(percent) };
  }
  for (const text of labels) {
    const [, name, label, version] = /^([^@=]+)@([A-Za-z][A-Za-z0-9_-]{0,63})=([1-9]\d{0,17})$/.exec(text) ?? [];
    if (!name) throw new UsageError(`--label must be NAME@LABEL=VERSION, such as pets@tested=2, not ${text.slice(0, 120)}`);
    const model = modelOf(name, text);
    model.labels = { ...model.labels, [label]: version };
  }
  return models;
}

/**
 * @param {string} text
 * @returns {string} as browsers send it
 */
function readOrigin(text) {
  if (text === '*') return text;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search || url.hash || url.username) {
    throw new UsageError(`--cors must be an origin such as https://shop.example, or *, not ${text.slice(0, 120)}`);
  }
  return url.origin.toLowerCase();
}

/**
 * @param {string} folder
 * @returns {string} the npm name without its scope, else the folder's
 */
function packageName(folder) {
  let name;
  try {
    name = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).name;
  } catch {
    // A folder of versions has none.
  }
  return (typeof name === 'string' ? name.replace(/^@[^/]*\//, '') : path.basename(folder)) || 'model';
}

/**
 * @param {unknown} file
 * @param {string | undefined} fromEnvironment
 * @returns {string | undefined}
 */
function readToken(file, fromEnvironment) {
  let token = fromEnvironment || undefined;
  if (file !== undefined) {
    try {
      token = fs.readFileSync(String(file), 'utf8').trim();
    } catch (error) {
      throw new UsageError(`The token file ${file} cannot be read (${/** @type {any} */ (error).code})`);
    }
  }
  if (token !== undefined && !TOKEN.test(token)) throw new UsageError('The token must be 8 to 4096 printable characters without spaces');
  return token;
}

/**
 * @param {keyof typeof manifest.choices} name
 * @param {unknown} given
 * @returns {string}
 */
function oneOf(name, given) {
  const { values, default: fallback } = manifest.choices[name];
  const value = String(given ?? fallback);
  if (!values.includes(value)) throw new UsageError(`--${name} must be ${values.join(', ')}, not ${value.slice(0, 40)}`);
  return value;
}

/** @param {string} name */
function camel(name) {
  return name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
}

/** @returns {string} */
function helpText() {
  const rows = [
    ...NUMBERS.map((option) => [`--${option.name} N`, `${option.help} (default ${option.default})`]),
    ...Object.entries(TEXTS).map(([name, help]) => [`--${name} ${name.toUpperCase()}`, help]),
    ['--json', 'print one line of JSON when ready'],
  ];
  return [
    'Serves image classifiers: node server.js [NAME=FOLDER ...] [options]',
    '',
    ...rows.map(([left, right]) => `  ${left.padEnd(34)}${right}`),
    '',
    'SIGTERM or SIGINT answers what was accepted and ends; SIGHUP looks for new versions.',
  ].join('\n');
}

module.exports = { DEFAULTS, UsageError, helpText, readOptions };
