'use strict';

const { ImageError } = require('../errors');
const { framesOfWebp } = require('./webp');

/**
 * Limits on what a picture is made of. A file of a few kilobytes can ask for hours of work, within any limit of its pixels: by scans that go
 * over the whole picture again, parts without content, frames that nobody sees. Real files stay far below. Python has the same numbers.
 */
const MOST_SCANS = 100;
/** Of all scans, or of all frames: 20 scans of 50 megapixels. */
const MOST_PIXELS_IN_ALL = 1e9;
const MOST_FRAMES = 10000;
/** Parts of a PNG or WebP, and one more for so many bytes of the file. */
const MOST_PARTS = 1000;
const BYTES_OF_A_PART = 256;

/**
 * @param {Uint8Array} data of a JPEG file
 * @param {number} pixels
 * @throws {ImageError}
 */
function checkScans(data, pixels) {
  const scans = countScans(data);
  if (scans > MOST_SCANS) throw tooMuch(`${scans} scans; at most ${MOST_SCANS} are decoded`);
  if (scans * pixels > MOST_PIXELS_IN_ALL) {
    throw tooMuch(`${scans} scans of ${pixels} pixels each; at most ${MOST_PIXELS_IN_ALL} in all are decoded`);
  }
}

/**
 * @param {Uint8Array} data of a JPEG file
 * @returns {number} scans up to its end, or one more than is allowed
 */
function countScans(data) {
  let scans = 0;
  for (let at = data.indexOf(0xff, 2); at >= 0 && at + 1 < data.length && scans <= MOST_SCANS; at = data.indexOf(0xff, at)) {
    const marker = data[at + 1];
    if (marker === 0xff) at += 1;
    else if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else if (marker === 0xd9) break;
    else {
      if (marker === 0xda) scans += 1;
      at += 2 + Math.max((data[at + 2] << 8) | data[at + 3], 2);
    }
  }
  return scans;
}

/**
 * @param {Uint8Array} data of a WebP file
 * @throws {ImageError}
 */
function checkWebp(data) {
  const most = mostParts(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let parts = 0;
  for (let at = 12; at + 8 <= data.length; ) {
    if (++parts > most) throw tooMuch(`more than ${most} parts`);
    const size = view.getUint32(at + 4, true);
    at += 8 + size + (size % 2);
  }
  let frames = 0;
  let pixels = 0;
  for (const { width, height } of framesOfWebp(data)) {
    frames += 1;
    pixels += width * height;
  }
  checkFrames(frames, pixels);
}

/**
 * @param {Uint8Array} data
 * @returns {number}
 */
function mostParts(data) {
  return MOST_PARTS + Math.floor(data.length / BYTES_OF_A_PART);
}

/**
 * @param {Uint8Array} data of a PNG file
 * @throws {ImageError}
 */
function checkParts(data) {
  const most = mostParts(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let parts = 0;
  for (let at = 8; at + 12 <= data.length; at += 12 + view.getUint32(at)) {
    if (++parts > most) throw tooMuch(`more than ${most} parts`);
  }
}

/**
 * @param {number} frames of a GIF or WebP file
 * @param {number} pixels of all of them
 * @throws {ImageError}
 */
function checkFrames(frames, pixels) {
  if (frames > MOST_FRAMES) throw tooMuch(`more than ${MOST_FRAMES} frames`);
  if (pixels > MOST_PIXELS_IN_ALL) throw tooMuch(`frames of ${pixels} pixels in all; at most ${MOST_PIXELS_IN_ALL} are decoded`);
}

/**
 * @param {string} what
 * @returns {ImageError}
 */
function tooMuch(what) {
  return new ImageError(`The image has ${what}`, 'ERR_IMAGE_TOO_LARGE');
}

module.exports = { BYTES_OF_A_PART, MOST_FRAMES, MOST_PARTS, MOST_PIXELS_IN_ALL, MOST_SCANS, checkFrames, checkParts, checkScans, checkWebp };
