'use strict';

const fs = require('node:fs');

/**
 * Where the rows of a feature store lie. Rows have equal length and are read and written by number. `warm` says which will be
 * read next; `all` is every row, where they lie in one array.
 *
 * @typedef {{
 *   read: (rows: ArrayLike<number>, target: Float32Array) => void,
 *   write: (rows: ArrayLike<number>, values: Float32Array) => void,
 *   warm: (rows: ArrayLike<number>) => void,
 *   all: () => Float32Array | null,
 *   close: () => void,
 * }} Rows
 */

// One typed array of all rows would end at 2^32 - 1 elements, 16 GiB.
const CHUNK_BYTES = 256 * 2 ** 20;
// Neighbours on disk are read together up to this size.
const RUN_BYTES = 8 * 2 ** 20;

/**
 * @param {number} count
 * @param {number} size of one row, in numbers
 * @returns {Rows}
 */
function rowsInMemory(count, size) {
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / (4 * Math.max(size, 1))));
  /** @type {Float32Array[]} */
  const chunks = [];
  for (let first = 0; first < count; first += perChunk) {
    chunks.push(new Float32Array(Math.min(perChunk, count - first) * size));
  }
  return rowsOfChunks(chunks, perChunk, size);
}

/**
 * @param {Float32Array[]} chunks all rows, in order
 * @param {number} perChunk rows in each but the last
 * @param {number} size
 * @returns {Rows}
 */
function rowsOfChunks(chunks, perChunk, size) {
  /** @param {number} row */
  function place(row) {
    const start = (row % perChunk) * size;
    return chunks[Math.floor(row / perChunk)].subarray(start, start + size);
  }
  return {
    read(rows, target) {
      for (let i = 0; i < rows.length; i++) target.set(place(rows[i]), i * size);
    },
    write(rows, values) {
      for (let i = 0; i < rows.length; i++) place(rows[i]).set(values.subarray(i * size, (i + 1) * size));
    },
    warm() {},
    all: () => (chunks.length === 1 ? chunks[0] : null),
    close() {
      chunks.length = 0;
    },
  };
}

/**
 * Rows in a file, which the operating system keeps in memory as far as it has room.
 *
 * @param {string} path of an empty file; it may be unlinked as soon as this returns
 * @param {number} size
 * @returns {Rows}
 */
function rowsInFile(path, size) {
  const file = fs.openSync(path, 'r+');
  const bytes = 4 * size;
  // What is read ahead goes nowhere: all such reads may share the memory.
  const nowhere = Buffer.allocUnsafeSlow(Math.max(bytes, RUN_BYTES));
  return {
    read(rows, target) {
      const buffer = Buffer.from(target.buffer, target.byteOffset, target.byteLength);
      forRuns(rows, bytes, (first, start, length) => readFully(file, buffer, first * bytes, length * bytes, start * bytes));
    },
    write(rows, values) {
      const buffer = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      forRuns(rows, bytes, (first, start, length) => writeFully(file, buffer, first * bytes, length * bytes, start * bytes));
    },
    warm(rows) {
      // libuv's threads read while TensorFlow computes; the later read finds the pages in memory.
      forRuns(rows, bytes, (_, start, length) => fs.read(file, nowhere, 0, length * bytes, start * bytes, () => {}));
    },
    all: () => null,
    close() {
      fs.closeSync(file);
    },
  };
}

/**
 * @param {ArrayLike<number>} rows
 * @param {number} bytes of one
 * @param {(first: number, start: number, length: number) => void} visit `rows[first]` to `rows[first + length - 1]` are neighbours
 *   in the file, `start` is the first of them
 */
function forRuns(rows, bytes, visit) {
  const longest = Math.max(1, Math.floor(RUN_BYTES / Math.max(bytes, 1)));
  for (let first = 0, next; first < rows.length; first = next) {
    next = first + 1;
    while (next < rows.length && next - first < longest && rows[next] === rows[next - 1] + 1) next++;
    visit(first, rows[first], next - first);
  }
}

/**
 * @param {number} file
 * @param {Buffer} buffer
 * @param {number} offset
 * @param {number} length
 * @param {number} position
 */
function readFully(file, buffer, offset, length, position) {
  for (let done = 0; done < length; ) {
    const count = fs.readSync(file, buffer, offset + done, length - done, position + done);
    if (count === 0) throw new RangeError('The file of the feature store ends too early');
    done += count;
  }
}

/**
 * @param {number} file
 * @param {Buffer} buffer
 * @param {number} offset
 * @param {number} length
 * @param {number} position
 */
function writeFully(file, buffer, offset, length, position) {
  for (let done = 0; done < length; ) done += fs.writeSync(file, buffer, offset + done, length - done, position + done);
}

module.exports = { rowsInMemory, rowsOfChunks, rowsInFile };
