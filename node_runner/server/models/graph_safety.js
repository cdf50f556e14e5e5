'use strict';

/**
 * What is looked at in a package's SavedModel before TensorFlow runs it. A graph is a program, and some of TensorFlow's operations read and
 * write files, open addresses or run code. Packages are polled for new versions, so that whoever can write there would run with them what
 * he likes: only graphs whose operations compute are loaded.
 */

const fs = require('fs');
const path = require('path');

const { fields, merged, messages, text } = require('./protobuf');

/** What TensorFlow itself makes of `Case` in a frozen program: it hands a tensor on. */
const LOWERED = '_SwitchN';
/** The list that Python has too: in a package, in a checkout, and in an installed pybridge. */
const LISTS = ['../operations.txt', '../../../pybridge/loading/operations.txt', '../../../../loading/operations.txt'];
const MOST_NESTING = 50;
const MOST_NAMED = 8;

/**
 * @typedef {object} Operations of TensorFlow
 * @property {Set<string>} computing those that any graph may have
 * @property {Map<string, string>} refused others, each with the reason
 */

/**
 * @returns {string} the file with the list
 * @throws {Error} where there is none: then no graph is opened
 */
function findOperations() {
  const found = LISTS.map((name) => path.join(__dirname, name)).find((file) => fs.existsSync(file));
  if (!found) throw new Error('the list of operations that a graph may have is missing: install pybridge or deploy the package again');
  return found;
}

/**
 * @param {string} file the list that Python has too: `[group] reason`, then the names
 * @returns {Operations}
 */
function readOperations(file) {
  /** @type {Operations} */
  const known = { computing: new Set([LOWERED]), refused: new Map() };
  let [group, reason] = ['', ''];
  for (const line of fs.readFileSync(file, 'utf8').split(/\r?\n/)) {
    const head = /^\[(.*?)\] (.*)$/.exec(line);
    if (head) [, group, reason] = head;
    else if (!line.startsWith('#')) {
      for (const name of line.split(/\s+/).filter(Boolean)) {
        if (group === 'computing') known.computing.add(name);
        else known.refused.set(name, group === 'saver' ? 'reads or writes checkpoints, which a package has not' : reason);
      }
    }
  }
  return known;
}

/**
 * @param {Uint8Array} file a `saved_model.pb`
 * @param {Operations} operations
 * @param {string} name of the file, for the message
 * @throws {Error} names what it may not have, with the reasons
 */
function checkSavedModel(file, operations, name) {
  /** @type {Map<string, string>} */
  const refused = new Map();
  try {
    for (const graph of messages(file, 2)) lookThrough(merged(graph, 2), operations, refused);
  } catch (error) {
    throw new Error(`${name} is no graph that TensorFlow writes: ${/** @type {Error} */ (error).message}`);
  }
  if (refused.size === 0) return;
  const shown = [...refused].slice(0, MOST_NAMED).map(([each, why]) => `${each.slice(0, 80)} (${why})`);
  const more = refused.size > MOST_NAMED ? ` and ${refused.size - MOST_NAMED} more` : '';
  throw new Error(`${name} is refused: its graph contains ${shown.join(', ')}${more}`);
}

/**
 * @param {Uint8Array} graph a GraphDef
 * @param {Operations} operations
 * @param {Map<string, string>} refused receives what is found
 */
function lookThrough(graph, { computing, refused: known }, refused) {
  const library = merged(graph, 2);
  const functions = messages(library, 1);
  const names = new Set(functions.map((each) => text(merged(each, 1), 1)));
  /** @param {string} name of an operation, or of a function that something calls */
  const look = (name) => {
    if (!computing.has(name) && !names.has(name)) refused.set(name, known.get(name) ?? 'is no operation that pybridge knows');
  };
  for (const name of names) if (computing.has(name) || known.has(name)) refused.set(name, 'is the name of an operation and of a function');
  if (names.size !== functions.length) throw new Error('two functions have one name');
  for (const node of messages(graph, 1)) lookAt(node, look);
  for (const each of functions) {
    for (const node of messages(each, 3)) lookAt(node, look);
    functionsIn(each, 5, look);
    for (const entry of messages(each, 7)) functionsIn(merged(entry, 2), 1, look);
  }
  for (const gradient of [...messages(library, 2), ...messages(library, 3)]) {
    for (const name of [text(gradient, 1), text(gradient, 2)]) if (name) look(name);
  }
}

/**
 * @param {Uint8Array} node
 * @param {(name: string) => void} look
 */
function lookAt(node, look) {
  look(text(node, 2));
  functionsIn(node, 5, look);
}

/**
 * @param {Uint8Array} message
 * @param {number} number of its map from names to AttrValue
 * @param {(name: string) => void} look takes each function that one of them names, at any depth
 * @param {number} [depth]
 */
function functionsIn(message, number, look, depth = 0) {
  if (depth > MOST_NESTING) throw new Error(`attributes within attributes, more than ${MOST_NESTING} deep`);
  for (const entry of messages(message, number)) {
    for (const value of messages(entry, 2)) {
      for (const [field, bytes] of fields(value)) {
        const given = !bytes ? [] : field === 10 ? [bytes] : field === 1 ? messages(bytes, 9) : [];
        for (const called of given) {
          const name = text(called, 1);
          if (name) look(name);
          functionsIn(called, 2, look, depth + 1);
        }
      }
    }
  }
}

module.exports = { checkSavedModel, findOperations, readOperations };
