'use strict';

const { HeadSolver } = require('../engines/head_solver');
const { Handles } = require('./handles');
const { stores } = require('./features');

/**
 * @typedef {import('../rpc/ndarray').NDArray} NDArray
 * @typedef {import('../engines/head_solver').Problem} Problem
 * @typedef {{solver: number, kind: string, classes: number, parts: NDArray, folds: number}} FoldsParams
 */

/** @type {Handles<HeadSolver>} */
const solvers = new Handles('head solver');

/**
 * @param {{program: ConstructorParameters<typeof HeadSolver>[0], store: number, rows: NDArray, targets: NDArray, weights: NDArray}} params
 * @returns {number}
 */
function create({ program, store, rows, targets, weights }) {
  const features = stores.get(store).gather(/** @type {Int32Array} */ (rows.data));
  return solvers.add(new HeadSolver(program, features, targets, weights));
}

/** @param {{solver: number, kind: string}} params */
function prepare({ solver, kind }) {
  return solvers.get(solver).prepare(kind);
}

/**
 * @param {FoldsParams & Problem & {warm: boolean}} params `warm` goes on from the coefficients that are there
 * @param {import('../engines/head_solver').Context} context
 */
function solve({ solver, parts, folds, warm, ...problem }, context) {
  const chosen = solvers.get(solver);
  if (!warm) chosen.start(null);
  return chosen.solve({ parts, folds }, problem, context);
}

/** @param {FoldsParams} params */
function discriminate({ solver, parts, folds, ...problem }) {
  return solvers.get(solver).discriminate({ parts, folds }, problem);
}

/** @param {{solver: number, kind: string, scale: number}} params */
function result({ solver, kind, scale }) {
  return solvers.get(solver).result(kind, scale);
}

/** @param {{solver: number}} params */
function dispose({ solver }) {
  solvers.remove(solver)?.dispose();
}

module.exports = { create, prepare, solve, discriminate, result, dispose };
