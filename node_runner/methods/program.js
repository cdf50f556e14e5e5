'use strict';

const { Program, clock } = require('../engines/program');
const { Handles } = require('./handles');
const { NDArray } = require('../rpc/ndarray');

/** @typedef {import('@tensorflow/tfjs-node').Tensor} Tensor */

/** @type {Handles<Program>} */
const programs = new Handles('program');

/**
 * @param {ConstructorParameters<typeof Program>[0]} description
 * @returns {number}
 */
function load(description) {
  return programs.add(new Program(description));
}

/**
 * @param {{stages: number[], signature: string, inputs: NDArray[]}} params
 * @returns {NDArray}
 */
function run({ stages, signature, inputs }) {
  const output = runChain(stages, signature, inputs);
  try {
    return NDArray.fromTensor(output);
  } finally {
    output.dispose();
  }
}

/**
 * @param {{program: number, signature: string, inputs: NDArray[]}} params
 * @returns {NDArray[]} every output of the signature
 */
function runAll({ program, signature, inputs }) {
  const outputs = programs.get(program).runAll(signature, inputs);
  try {
    return outputs.map((output) => NDArray.fromTensor(output));
  } finally {
    for (const output of outputs) output.dispose();
  }
}

/** @param {{program: number}} params */
function dispose({ program }) {
  programs.remove(program)?.dispose();
}

/**
 * Runs programs one after the other; what passes between them stays in TensorFlow.
 *
 * @param {number[]} stages
 * @param {string} signature of the first stage
 * @param {NDArray[]} inputs
 * @returns {Tensor} the caller's to dispose
 */
function runChain(stages, signature, inputs) {
  const [first, ...others] = stages.map((stage) => programs.get(stage));
  let output = first.run(signature, inputs);
  for (const stage of others) {
    const input = output;
    try {
      output = stage.run('default', [input]);
    } finally {
      input.dispose();
    }
  }
  return output;
}

/**
 * @param {number[]} stages
 * @throws {RangeError} where one of them is not loaded
 */
function checkPrograms(stages) {
  stages.forEach((stage) => programs.get(stage));
}

module.exports = { clock, load, run, runAll, dispose, runChain, checkPrograms };
