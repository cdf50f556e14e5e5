'use strict';

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');
const { pathToFileURL } = require('url');

const { ImageError, damaged } = require('../errors');

/**
 * @typedef {import('../image/decode').Foreign} Foreign
 * @typedef {import('../image/decode').Decoded} Decoded
 * @typedef {(data: Uint8Array, bits: 8 | 16) => Promise<Decoded>} Decoder
 */

/** Packages that decode in WebAssembly: the decoders' own C code, and a memory that is gone with each picture. */
// Written out one by one: so tools that find out which modules a program needs take those that are installed.
const WASM = {
  webp: {
    name: 'WebP',
    package: '@jsquash/webp',
    decoder: 'decode.js',
    code: 'codec/dec/webp_dec.wasm',
    here: () => [require.resolve('@jsquash/webp/decode.js'), require.resolve('@jsquash/webp/codec/dec/webp_dec.wasm')],
  },
  avif: {
    name: 'AVIF',
    package: '@jsquash/avif',
    decoder: 'decode.js',
    code: 'codec/dec/avif_dec.wasm',
    here: () => [require.resolve('@jsquash/avif/decode.js'), require.resolve('@jsquash/avif/codec/dec/avif_dec.wasm')],
  },
};

const SERVICE = path.join(process.cwd(), 'index.js');

/** @type {Partial<Record<Foreign, Promise<Decoder>>>} */
const decoders = {};

/**
 * Decodes formats for which this package has no code of its own, with those packages that the service has installed.
 *
 * @param {Uint8Array} data
 * @param {Foreign} format
 * @param {8 | 16} bits for each colour; only the decoder of AVIF knows 16
 * @returns {Promise<Decoded>}
 * @throws {ImageError} where the decoder is not installed, or the file is damaged
 */
async function decodeForeign(data, format, bits) {
  const decoder = decoders[format] ?? (format === 'heic' ? openHeic() : openWasm(WASM[format]));
  decoders[format] = decoder;
  let decode;
  try {
    decode = await decoder;
  } catch (error) {
    // It may be installed while the service runs.
    delete decoders[format];
    throw error;
  }
  try {
    return await decode(data, bits);
  } catch {
    throw damaged('its pixels cannot be decoded');
  }
}

/**
 * @param {typeof WASM.webp} which
 * @returns {Promise<Decoder>}
 */
async function openWasm(which) {
  const [decoder, wasm] = placesOf(which);
  const code = new /** @type {any} */ (globalThis).WebAssembly.Module(fs.readFileSync(wasm));
  const { init, default: decode } = await import(pathToFileURL(decoder).href);
  return async (data, bits) => {
    init(code);
    return decode(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength), { bitDepth: bits });
  };
}

/** @returns {Promise<Decoder>} */
async function openHeic() {
  const name = 'heic-decode';
  let decode;
  try {
    decode = require(name);
  } catch {
    try {
      decode = createRequire(SERVICE)(name);
    } catch {
      throw notInstalled('HEIC', name);
    }
  }
  return (data) => decode({ buffer: data });
}

/**
 * The package may be a folder of the service, installed, or linked: the service's own modules count as well.
 *
 * @param {typeof WASM.webp} which
 * @returns {string[]} its module and its code
 */
function placesOf({ name, package: wanted, decoder, code, here }) {
  try {
    return here();
  } catch {
    const { resolve } = createRequire(SERVICE);
    try {
      return [resolve(`${wanted}/${decoder}`), resolve(`${wanted}/${code}`)];
    } catch {
      throw notInstalled(name, wanted);
    }
  }
}

/**
 * @param {string} name
 * @param {string} wanted
 * @returns {ImageError}
 */
function notInstalled(name, wanted) {
  return new ImageError(
    `The image is ${name}, for which a decoder is not installed. Run \`npm install ${wanted}\`, or convert the image to JPEG or PNG`,
    'ERR_IMAGE_FORMAT',
  );
}

module.exports = { decodeForeign };
