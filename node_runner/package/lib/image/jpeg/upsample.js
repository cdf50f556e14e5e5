'use strict';

const { damaged } = require('../../errors');

/**
 * @typedef {import('./frame').Component} Component
 * @typedef {import('./frame').Frame} Frame
 * @typedef {(y: number, out: Uint8Array) => void} RowReader writes one row of the picture's width
 */

/**
 * Brings a component to the picture's size as libjpeg's "fancy upsampling" does (a triangle filter of 3/4 and 1/4, with
 * alternating rounding, jdsample.c), and by repetition where libjpeg repeats.
 *
 * @param {Frame} frame
 * @param {Component} component
 * @returns {RowReader}
 */
function rowReader(frame, component) {
  const { plane, stride } = component;
  const across = frame.maxH / component.h;
  const down = frame.maxV / component.v;
  if (!Number.isInteger(across) || !Number.isInteger(down)) throw damaged('its colour sampling is not supported');
  const width = Math.ceil((frame.width * component.h) / frame.maxH);
  const height = Math.ceil((frame.height * component.v) / frame.maxV);
  const { width: full } = frame;
  const inside = (/** @type {number} */ y) => Math.min(Math.max(y, 0), height - 1) * stride;

  if (across === 1 && down === 1) {
    return (y, out) => out.set(plane.subarray(y * stride, y * stride + full));
  }
  if (across === 2 && down === 1 && width > 2) {
    const row = new Uint8Array(2 * width);
    return (y, out) => {
      const at = y * stride;
      for (let x = 0; x < width; x++) {
        const value = plane[at + x];
        row[2 * x] = x === 0 ? value : (3 * value + plane[at + x - 1] + 1) >> 2;
        row[2 * x + 1] = x === width - 1 ? value : (3 * value + plane[at + x + 1] + 2) >> 2;
      }
      out.set(row.subarray(0, full));
    };
  }
  if (across === 1 && down === 2) {
    return (y, out) => {
      const near = inside(y >> 1);
      const far = inside((y >> 1) + (y & 1 ? 1 : -1));
      const bias = y & 1 ? 2 : 1;
      for (let x = 0; x < full; x++) out[x] = (3 * plane[near + x] + plane[far + x] + bias) >> 2;
    };
  }
  if (across === 2 && down === 2 && width > 2) {
    const row = new Uint8Array(2 * width);
    return (y, out) => {
      const near = inside(y >> 1);
      const far = inside((y >> 1) + (y & 1 ? 1 : -1));
      let before = 0;
      let value = 3 * plane[near] + plane[far];
      for (let x = 0; x < width; x++) {
        const after = 3 * plane[near + x + 1] + plane[far + x + 1];
        row[2 * x] = x === 0 ? (4 * value + 8) >> 4 : (3 * value + before + 8) >> 4;
        row[2 * x + 1] = x === width - 1 ? (4 * value + 7) >> 4 : (3 * value + after + 7) >> 4;
        before = value;
        value = after;
      }
      out.set(row.subarray(0, full));
    };
  }
  return (y, out) => {
    const at = Math.floor(y / down) * stride;
    for (let x = 0; x < full; x++) out[x] = plane[at + Math.floor(x / across)];
  };
}

module.exports = { rowReader };
