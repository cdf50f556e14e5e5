'use strict';

// Small pictures, made byte by byte where a test needs a certain one.

const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

// 19 x 13 pixels, by Pillow. TensorFlow decodes both to the same pixels, which have this SHA-256.
const JPEG_SHA256 = 'b3e733d8c31ef41a69aae5eaac223ee3f821e2b6ae5d3cdb1b703640bc874812';
const [BASELINE_JPEG, PROGRESSIVE_JPEG] = ['baseline.jpg', 'progressive.jpg'].map((name) => fs.readFileSync(path.join(__dirname, name)));

/**
 * @param {string} name
 * @param {Uint8Array} [body]
 */
function chunk(name, body = Buffer.alloc(0)) {
  const named = Buffer.concat([Buffer.from(name, 'latin1'), body]);
  const out = Buffer.alloc(named.length + 8);
  out.writeUInt32BE(body.length, 0);
  named.copy(out, 4);
  out.writeUInt32BE(crc(named), named.length + 4);
  return out;
}

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let value = -1;
  for (const byte of bytes) {
    value ^= byte;
    for (let k = 0; k < 8; k++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  }
  return ~value >>> 0;
}

/**
 * A PNG of three colours and eight bits.
 *
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} pixels
 * @param {Buffer[]} [before] chunks between the header and the pixels
 */
function png(width, height, pixels, before = []) {
  const rows = Buffer.alloc(height * (1 + 3 * width));
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(3 * width * y, 3 * width * (y + 1)), y * (1 + 3 * width) + 1);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), pngHeader(width, height), ...before, chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND')]);
}

/**
 * @param {number} width
 * @param {number} height
 */
function pngHeader(width, height) {
  const body = Buffer.alloc(13);
  body.writeUInt32BE(width, 0);
  body.writeUInt32BE(height, 4);
  body.set([8, 2, 0, 0, 0], 8);
  return chunk('IHDR', body);
}

/**
 * A GIF of one colour, of frames of one pixel.
 *
 * @param {number} frames
 */
function gif(frames) {
  const head = Buffer.concat([Buffer.from('GIF89a', 'latin1'), Buffer.from([1, 0, 1, 0, 0x80, 0, 0, 200, 100, 50, 0, 0, 0])]);
  // Clear, the colour 0, end: codes of three bits.
  const frame = Buffer.from([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 0x01, 0]);
  return Buffer.concat([head, Buffer.alloc(frames * frame.length, frame), Buffer.from([0x3b])]);
}

/**
 * A BMP of 24 bits.
 *
 * @param {number} width
 * @param {number} height
 */
function bmp(width, height) {
  const stride = (3 * width + 3) & ~3;
  const file = Buffer.alloc(54 + stride * height);
  file.write('BM', 'latin1');
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  return file;
}

/**
 * The progressive JPEG with its last scan over and over.
 *
 * @param {number} scans more than it has
 */
function scannedAgain(scans) {
  const start = PROGRESSIVE_JPEG.lastIndexOf(Buffer.from([0xff, 0xda]));
  const [head, scan] = [PROGRESSIVE_JPEG.subarray(0, start), PROGRESSIVE_JPEG.subarray(start, -2)];
  return Buffer.concat([head, Buffer.alloc(scans * scan.length, scan), Buffer.from([0xff, 0xd9])]);
}

/**
 * A PNG of a few kilobytes.
 *
 * @param {number} side
 */
function blackPng(side) {
  return png(side, side, new Uint8Array(side * side * 3));
}


module.exports = { BASELINE_JPEG, JPEG_SHA256, PROGRESSIVE_JPEG, blackPng, bmp, chunk, gif, png, pngHeader, scannedAgain };
