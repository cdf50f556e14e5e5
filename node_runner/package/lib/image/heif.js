'use strict';

const { ascii } = require('./format');

/** EXIF orientations by quarter turns against the clock, without a mirror, with one top to bottom, and left to right. */
const ORIENTATIONS = [
  [1, 4, 2],
  [8, 5, 7],
  [3, 2, 4],
  [6, 7, 5],
];

/**
 * Size and orientation of the main picture of an AVIF or HEIC file (ISO/IEC 23008-12), as its properties say.
 *
 * @param {Uint8Array} data
 * @returns {{width: number, height: number, orientation: number, colour: import('./avif_colour').AvifColour | null} | null} null where it
 *   cannot be told; `colour` where it is an AVIF picture of 8 bits with the usual colours
 */
function readHeif(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  try {
    const meta = find(view, 0, data.length, 'meta');
    const properties = meta && find(view, meta.start + 4, meta.end, 'iprp');
    const list = properties && find(view, properties.start, properties.end, 'ipco');
    const owners = properties && find(view, properties.start, properties.end, 'ipma');
    const main = meta && find(view, meta.start + 4, meta.end, 'pitm');
    if (!list || !owners || !main) return null;
    const id = view.getUint8(main.start) === 0 ? view.getUint16(main.start + 4) : view.getUint32(main.start + 4);
    const all = [...boxes(view, list.start, list.end)];
    const own = associations(view, owners, id).map((index) => all[index - 1]).filter(Boolean);
    const size = own.find(({ name }) => name === 'ispe');
    if (!size) return null;
    const turn = own.find(({ name }) => name === 'irot');
    const mirror = own.find(({ name }) => name === 'imir');
    const quarters = turn ? view.getUint8(turn.start) & 3 : 0;
    const axis = mirror ? 1 + (view.getUint8(mirror.start) & 1) : 0;
    const sides = { width: view.getUint32(size.start + 4), height: view.getUint32(size.start + 8) };
    return { ...sides, orientation: ORIENTATIONS[quarters][axis], colour: colourOf(view, own) };
  } catch {
    // Read beyond the end.
    return null;
  }
}

/**
 * @param {DataView} view
 * @param {Box[]} properties
 * @returns {import('./avif_colour').AvifColour | null}
 */
function colourOf(view, properties) {
  const coding = properties.find(({ name }) => name === 'av1C');
  const colours = properties.find(({ name, start }) => name === 'colr' && view.getUint32(start) === 0x6e636c78);
  if (!coding || !colours) return null;
  const flags = view.getUint8(coding.start + 2);
  const isDeep = (flags & 0x40) !== 0;
  const isGrey = (flags & 0x10) !== 0;
  const matrix = view.getUint16(colours.start + 8);
  if (isDeep || isGrey || ![5, 6].includes(matrix)) return null;
  return { limited: (view.getUint8(colours.start + 10) & 0x80) === 0, subsampled: (flags & 0x08) !== 0 };
}

/**
 * @typedef {{name: string, start: number, end: number}} Box
 *
 * @param {DataView} view
 * @param {number} at
 * @param {number} end
 * @returns {Generator<Box>}
 */
function* boxes(view, at, end) {
  while (at + 8 <= end) {
    const size = view.getUint32(at);
    const name = ascii(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), at + 4, 4);
    const header = size === 1 ? 16 : 8;
    const length = size === 1 ? Number(view.getBigUint64(at + 8)) : size || end - at;
    if (length < header) return;
    yield { name, start: at + header, end: Math.min(at + length, end) };
    at += length;
  }
}

/**
 * @param {DataView} view
 * @param {number} start
 * @param {number} end
 * @param {string} name
 * @returns {Box | undefined}
 */
function find(view, start, end, name) {
  for (const box of boxes(view, start, end)) if (box.name === name) return box;
  return undefined;
}

/**
 * @param {DataView} view
 * @param {Box} box
 * @param {number} wanted
 * @returns {number[]} numbers of the properties of an item, from 1 on
 */
function associations(view, { start, end }, wanted) {
  const version = view.getUint8(start);
  const wide = view.getUint8(start + 3) & 1;
  const entries = view.getUint32(start + 4);
  let at = start + 8;
  for (let i = 0; i < entries && at < end; i++) {
    const id = version === 0 ? view.getUint16(at) : view.getUint32(at);
    at += version === 0 ? 2 : 4;
    const count = view.getUint8(at++);
    const numbers = Array.from({ length: count }, (_, k) => (wide ? view.getUint16(at + 2 * k) & 0x7fff : view.getUint8(at + k) & 0x7f));
    if (id === wanted) return numbers;
    at += wide ? 2 * count : count;
  }
  return [];
}

module.exports = { readHeif };
