// Made of lib/ by npm run build: do not edit.
var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __commonJS = (cb, mod) => function __require() {
  try {
    return mod || (0, cb[__getOwnPropNames(cb)[0]])((mod = { exports: {} }).exports, mod), mod.exports;
  } catch (e) {
    throw mod = 0, e;
  }
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target) => (target = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(
  // If the importer is in node compatibility mode or this is not an ESM
  // file that has been converted to a CommonJS file using a Babel-
  // compatible transform (i.e. "__esModule" has not been set), then set
  // "default" to the CommonJS "module.exports" for node compatibility.
  isNodeMode || !mod || !mod.__esModule ? __defProp(target, "default", { value: mod, enumerable: true }) : target,
  mod
));

// node_runner/package/lib/errors.js
var require_errors = __commonJS({
  "node_runner/package/lib/errors.js"(exports, module) {
    "use strict";
    var DeployError2 = class extends Error {
      /**
       * @param {string} message what happened, and what to do about it
       * @param {string} code
       */
      constructor(message, code) {
        super(message);
        this.name = new.target.name;
        this.code = code;
      }
    };
    var IntegrityError2 = class extends DeployError2 {
      /** @param {string} message */
      constructor(message) {
        super(message, "ERR_INTEGRITY");
      }
    };
    var ImageError2 = class extends DeployError2 {
    };
    function damaged(what) {
      return new ImageError2(`The image is damaged: ${what}`, "ERR_IMAGE_DAMAGED");
    }
    function tooLarge(width, height, maxPixels) {
      return new ImageError2(`The image has ${width} x ${height} pixels; at most ${maxPixels} are decoded`, "ERR_IMAGE_TOO_LARGE");
    }
    module.exports = { DeployError: DeployError2, ImageError: ImageError2, IntegrityError: IntegrityError2, damaged, tooLarge };
  }
});

// node_runner/package/lib/image/avif_colour.js
var require_avif_colour = __commonJS({
  "node_runner/package/lib/image/avif_colour.js"(exports, module) {
    "use strict";
    var FULL = { luma: 16320, offset: 32, blue: 113, greenOfBlue: 22, greenOfRed: 46, red: 90 };
    var LIMITED = { luma: 18997, offset: -1160, blue: 128, greenOfBlue: 25, greenOfRed: 52, red: 102 };
    function toLibyuv({ width, height, data }, { limited, subsampled }) {
      const pixels = new Uint8ClampedArray(width * height * 3);
      const factors = limited ? LIMITED : FULL;
      const [lumaScale, lumaOffset, chromaScale] = limited ? [219, 16, 224] : [255, 0, 255];
      const blues = new Int32Array(width);
      const reds = new Int32Array(width);
      const lumas = new Int32Array(width);
      for (let y = 0; y < height; y++) {
        for (let x = 0, from = 4 * y * width; x < width; x++, from += 4) {
          const [red, green, blue] = [data[from] / 65535, data[from + 1] / 65535, data[from + 2] / 65535];
          const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
          lumas[x] = Math.round(luma * lumaScale + lumaOffset);
          blues[x] = Math.round(16 * ((blue - luma) / 1.772 * chromaScale + 128));
          reds[x] = Math.round(16 * ((red - luma) / 1.402 * chromaScale + 128));
        }
        if (subsampled && width % 2 === 1 && width > 1) {
          for (const chroma of [blues, reds]) chroma[width - 1] = Math.round((3 * chroma[width - 1] - chroma[width - 2]) / 2);
        }
        for (let x = 0, at = 3 * y * width, from = 4 * y * width; x < width; x++, at += 3, from += 4) {
          if (isCut(data[from]) || isCut(data[from + 1]) || isCut(data[from + 2])) {
            for (let k = 0; k < 3; k++) pixels[at + k] = Math.round(data[from + k] / 257);
            continue;
          }
          const luma = Math.floor(lumas[x] * 257 * factors.luma / 65536) + factors.offset;
          const blue = (blues[x] + 8 >> 4) - 128;
          const red = (reds[x] + 8 >> 4) - 128;
          pixels[at] = luma + red * factors.red >> 6;
          pixels[at + 1] = luma - blue * factors.greenOfBlue - red * factors.greenOfRed >> 6;
          pixels[at + 2] = luma + blue * factors.blue >> 6;
        }
      }
      return pixels;
    }
    function isCut(value) {
      return value === 0 || value === 65535;
    }
    module.exports = { toLibyuv };
  }
});

// node_runner/package/lib/image/bmp.js
var require_bmp = __commonJS({
  "node_runner/package/lib/image/bmp.js"(exports, module) {
    "use strict";
    var { ImageError: ImageError2, damaged, tooLarge } = require_errors();
    var MASKS_OF_32 = {
      "ff0000,ff00,ff,0": [16, 8, 0],
      "ff0000,ff00,ff,ff000000": [16, 8, 0],
      "ff,ff00,ff0000,ff000000": [0, 8, 16],
      "ff000000,ff0000,ff00,0": [24, 16, 8],
      "ff000000,ff0000,ff00,ff": [24, 16, 8],
      "ff000000,ff00,ff,0": [24, 8, 0],
      "ff000000,ff00,ff,ff0000": [24, 8, 0],
      "0,0,0,0": [16, 8, 0]
    };
    function decodeBmp(data, maxPixels) {
      const header = readHeader(data);
      const { width, height, bits, compression } = header;
      if (width <= 0 || height <= 0) throw damaged("its size is impossible");
      if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
      const rgb = colourReader(data, header);
      if (compression === 1 || compression === 2) return paint(header, unpackRuns(data, header), rgb);
      const stride = (width * bits + 31 >> 3 & ~3) >>> 0;
      if (header.start + stride * height > data.length) throw damaged("the file ends too early");
      return paint(header, rowReader(data, header, stride), rgb);
    }
    function pixelsOfBmp(data) {
      const { width, height } = readHeader(data);
      return Math.max(width, 0) * Math.max(height, 0);
    }
    function readHeader(data) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      if (data.length < 26) throw damaged("the file ends too early");
      const size = view.getUint32(14, true);
      if (data.length < 14 + size) throw damaged("the file ends too early");
      const start = view.getUint32(10, true);
      if (size === 12) {
        const bits2 = view.getUint16(24, true);
        const sides = { width: view.getUint16(18, true), height: view.getUint16(20, true), fromBelow: true };
        return placed({ ...sides, bits: bits2, compression: 0, colours: 1 << bits2, palette: 26, entry: 3, start, masks: [] }, size);
      }
      if (size < 40) throw rare("with an old header");
      const signed = view.getInt32(22, true);
      const bits = view.getUint16(28, true);
      const compression = view.getUint32(30, true);
      const inHeader = size >= 52;
      const masks = [];
      if (compression === 3) {
        if (!inHeader && data.length < 66) throw damaged("the file ends too early");
        for (let i = 0; i < 3; i++) masks.push(view.getUint32(54 + 4 * i, true));
        masks.push(size >= 56 ? view.getUint32(66, true) : 0);
      }
      const palette = 14 + size + (compression === 3 && !inHeader ? 12 : 0);
      const colours = view.getUint32(46, true) || 2 ** bits;
      const header = { width: view.getInt32(18, true), height: Math.abs(signed), fromBelow: signed > 0, bits, compression, colours, palette, entry: 4, start, masks };
      return placed(header, size);
    }
    function placed(header, size) {
      const { bits, start, entry, colours, palette } = header;
      if (![1, 4, 8, 16, 24, 32].includes(bits)) throw rare(`with ${bits} bits`);
      if (bits <= 8 && !(colours > 0 && colours <= 65536)) throw damaged("its palette is impossible");
      if (start === 14 + size && bits <= 8) return { ...header, start: start + entry * colours };
      return { ...header, start: start || palette + (bits <= 8 ? entry * colours : 0) };
    }
    function colourReader(data, { bits, compression, colours, palette, entry, masks }) {
      if (bits <= 8) {
        if (compression > 2 || compression === 1 && bits !== 8 || compression === 2 && bits !== 4) throw rare("with such a compression");
        const table = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
        for (let i = 0; i < Math.min(colours, 256); i++) {
          const from = palette + entry * i;
          if (from + 3 > data.length) throw damaged("its palette is incomplete");
          for (let k = 0; k < 3; k++) table[3 * i + k] = data[from + 2 - k];
        }
        return (value, out, at) => {
          for (let k = 0; k < 3; k++) out[at + k] = table[3 * value + k];
        };
      }
      if (compression !== 0 && compression !== 3) throw rare("with such a compression");
      if (bits === 16) {
        const names2 = masks.slice(0, 3).map((mask) => mask.toString(16)).join();
        if (compression === 3 && !["f800,7e0,1f", "7c00,3e0,1f"].includes(names2)) throw rare("with such masks");
        const green = compression === 3 && names2 === "f800,7e0,1f" ? 63 : 31;
        const red = green === 63 ? 11 : 10;
        return (value, out, at) => {
          out[at] = Math.floor((value >> red & 31) * 255 / 31);
          out[at + 1] = Math.floor((value >> 5 & green) * 255 / green);
          out[at + 2] = Math.floor((value & 31) * 255 / 31);
        };
      }
      const names = masks.map((mask) => mask.toString(16));
      if (bits === 24 && compression === 3 && names.slice(0, 3).join() !== "ff0000,ff00,ff") throw rare("with such masks");
      const shifts = bits === 32 && compression === 3 ? MASKS_OF_32[names.join()] : [16, 8, 0];
      if (!shifts) throw rare("with such masks");
      return (value, out, at) => {
        for (let k = 0; k < 3; k++) out[at + k] = value >>> shifts[k] & 255;
      };
    }
    function rowReader(data, { bits, start }, stride) {
      if (bits < 8) {
        const mask = (1 << bits) - 1;
        const inByte = 8 / bits;
        return (row, column) => {
          const byte = data[start + row * stride + Math.floor(column / inByte)];
          return byte >> 8 - bits * (column % inByte + 1) & mask;
        };
      }
      const bytes = bits / 8;
      return (row, column) => {
        let value = 0;
        for (let k = bytes - 1, at = start + row * stride + bytes * column; k >= 0; k--) value = value << 8 | data[at + k];
        return value >>> 0;
      };
    }
    function unpackRuns(data, { width, height, compression, start }) {
      const half = compression === 2;
      const size = width * height;
      const out = new Uint8Array(size);
      let filled = 0;
      let x = 0;
      let position = start;
      while (filled < size && position + 1 < data.length) {
        let count = data[position];
        const byte = data[position + 1];
        position += 2;
        if (count > 0) {
          count = Math.min(count, Math.max(0, width - x));
          for (let i = 0; i < count && filled < size; i++) out[filled++] = half ? i % 2 === 0 ? byte >> 4 : byte & 15 : byte;
          x += count;
        } else if (byte === 0) {
          while (filled % width !== 0) filled++;
          x = 0;
        } else if (byte === 1) break;
        else if (byte === 2) {
          if (position + 2 > data.length) break;
          filled += Math.min(size - filled, data[position] + data[position + 1] * width);
          position += 2;
          x = filled % width;
        } else {
          count = Math.min(size - filled, byte);
          const needed = half ? count + 1 >> 1 : count;
          const found = Math.min(needed, data.length - position);
          for (let i = 0; i < (half ? Math.min(count, 2 * found) : found); i++) {
            const value = data[position + (half ? i >> 1 : i)];
            out[filled++] = half ? i % 2 === 0 ? value >> 4 : value & 15 : value;
          }
          position += found;
          if (found < needed || filled === size) break;
          x += byte;
          position += position % 2;
        }
      }
      if (filled < size) throw damaged("its compressed data end too early");
      return (row, column) => out[row * width + column];
    }
    function paint({ width, height, fromBelow }, valueAt, colour) {
      const pixels = new Uint8ClampedArray(width * height * 3);
      for (let y = 0, at = 0; y < height; y++) {
        const row = fromBelow ? height - 1 - y : y;
        for (let x = 0; x < width; x++, at += 3) colour(valueAt(row, x), pixels, at);
      }
      return { width, height, pixels };
    }
    function rare(what) {
      return new ImageError2(`The image is a BMP ${what}, which is not decoded: convert it to PNG`, "ERR_IMAGE_FORMAT");
    }
    module.exports = { decodeBmp, pixelsOfBmp };
  }
});

// node_runner/package/lib/image/format.js
var require_format = __commonJS({
  "node_runner/package/lib/image/format.js"(exports, module) {
    "use strict";
    var { ImageError: ImageError2 } = require_errors();
    var BMP_HEADERS = [12, 16, 40, 52, 56, 64, 108, 124];
    var AVIF_BRANDS = ["avif", "avis"];
    var HEVC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx"];
    var NOT_DECODED = [
      ["JPEG XL", (data) => data[0] === 255 && data[1] === 10 || ascii(data, 0, 8) === "\0\0\0\fJXL "],
      ["JPEG 2000", (data) => ascii(data, 0, 8) === "\0\0\0\fjP  " || ascii(data, 0, 4) === "ÿOÿQ"],
      ["Photoshop", (data) => ascii(data, 0, 4) === "8BPS"],
      ["SVG", (data) => /^(\xef\xbb\xbf)?\s*(<svg|<\?xml[^]*<svg)/i.test(ascii(data, 0, 512))]
    ];
    function formatOf(data) {
      if (data[0] === 255 && data[1] === 216 && data[2] === 255) return "jpeg";
      if (ascii(data, 0, 8) === "PNG\r\n\n") return "png";
      if (ascii(data, 0, 6) === "GIF87a" || ascii(data, 0, 6) === "GIF89a") return "gif";
      if (ascii(data, 0, 2) === "BM" && BMP_HEADERS.includes(data[14]) && (data[15] | data[16] | data[17]) === 0) return "bmp";
      if (ascii(data, 0, 4) === "RIFF" && ascii(data, 8, 4) === "WEBP") return "webp";
      if (["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(ascii(data, 0, 4))) return "tiff";
      const heif = ascii(data, 4, 4) === "ftyp" ? heifOf(data) : null;
      if (heif) return heif;
      const known = NOT_DECODED.find(([, matches]) => matches(data));
      if (known) throw new ImageError2(`The image is ${known[0]}, which is not decoded: convert it to JPEG or PNG`, "ERR_IMAGE_FORMAT");
      throw new ImageError2(data.length ? "These bytes are not an image" : "The image is empty: it has no bytes", "ERR_NOT_AN_IMAGE");
    }
    function heifOf(data) {
      const announced = (data[0] << 24 | data[1] << 16 | data[2] << 8 | data[3]) >>> 0;
      const end = Math.min(Math.max(16, announced), data.length, 512);
      const main = ascii(data, 8, 4);
      const brands = [main];
      for (let at = 16; at + 4 <= end; at += 4) brands.push(ascii(data, at, 4));
      if (brands.some((brand) => AVIF_BRANDS.includes(brand))) return "avif";
      return ["mif1", "msf1"].includes(main) || brands.some((brand) => HEVC_BRANDS.includes(brand)) ? "heic" : null;
    }
    function ascii(data, start, length) {
      return String.fromCharCode(...data.subarray(start, start + length));
    }
    module.exports = { formatOf, ascii };
  }
});

// node_runner/package/lib/image/exif.js
var require_exif = __commonJS({
  "node_runner/package/lib/image/exif.js"(exports, module) {
    "use strict";
    var { ascii } = require_format();
    var ORIENTATION = 274;
    var SIZES = { 1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4 };
    function orientationOf(data) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      for (let position = 2; position + 4 <= data.length && data[position] === 255; ) {
        const marker = data[position + 1];
        if (marker === 255) {
          position++;
          continue;
        }
        if (marker === 218 || marker === 217) break;
        const end = position + 2 + view.getUint16(position + 2);
        if (marker === 225 && end <= data.length && ascii(data, position + 4, 6) === "Exif\0\0") {
          return fromTiff(new DataView(data.buffer, data.byteOffset + position + 10, Math.max(end - position - 10, 0)));
        }
        position = end;
      }
      return 1;
    }
    function orientationIn(exif) {
      if (!exif) return 1;
      const start = ascii(exif, 0, 6) === "Exif\0\0" ? 6 : 0;
      return fromTiff(new DataView(exif.buffer, exif.byteOffset + start, exif.length - start));
    }
    function fromTiff(tiff) {
      if (tiff.byteLength < 8) return 1;
      const order = tiff.getUint16(0);
      const little = order === 18761;
      if (!little && order !== 19789 || tiff.getUint16(2, little) !== 42) return 1;
      const directory = tiff.getUint32(4, little);
      if (directory + 2 > tiff.byteLength) return 1;
      const entries = tiff.getUint16(directory, little);
      for (let i = 0, at = directory + 2; i < entries && at + 12 <= tiff.byteLength; i++, at += 12) {
        if (tiff.getUint16(at, little) !== ORIENTATION) continue;
        const size = SIZES[tiff.getUint16(at + 2, little)];
        if (size === void 0 || tiff.getUint32(at + 4, little) !== 1) return 1;
        const value = size === 1 ? tiff.getUint8(at + 8) : size === 2 ? tiff.getUint16(at + 8, little) : tiff.getUint32(at + 8, little);
        return value >= 1 && value <= 8 ? value : 1;
      }
      return 1;
    }
    function upright(picture, orientation) {
      if (orientation === 1) return picture;
      const { width, height, pixels } = picture;
      const turned = orientation >= 5;
      const [outWidth, outHeight] = turned ? [height, width] : [width, height];
      const out = new Uint8ClampedArray(pixels.length);
      const fromRight = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8;
      const fromBottom = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7;
      let at = 0;
      for (let y = 0; y < outHeight; y++) {
        for (let x = 0; x < outWidth; x++, at += 3) {
          let column = turned ? y : x;
          let row = turned ? x : y;
          if (fromRight) column = width - 1 - column;
          if (fromBottom) row = height - 1 - row;
          const from = 3 * (row * width + column);
          out[at] = pixels[from];
          out[at + 1] = pixels[from + 1];
          out[at + 2] = pixels[from + 2];
        }
      }
      return { width: outWidth, height: outHeight, pixels: out };
    }
    module.exports = { orientationIn, orientationOf, upright };
  }
});

// node_runner/package/lib/image/webp.js
var require_webp = __commonJS({
  "node_runner/package/lib/image/webp.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    var { ascii } = require_format();
    function readWebp(data) {
      const found = [...chunks(data, 12, data.length)];
      const exif = found.find(({ name }) => name === "EXIF");
      const described = { left: 0, top: 0, exif: exif ? data.subarray(exif.start, exif.end) : null };
      const extended = found.find(({ name }) => name === "VP8X");
      if (!extended) {
        const image = found.find(({ name }) => name === "VP8 " || name === "VP8L");
        if (!image) throw damaged("it holds no picture");
        return { ...described, ...sizeOf(data, image), still: data };
      }
      if (extended.end - extended.start < 10) throw damaged("its header is too short");
      const canvas = { width: 1 + u24(data, extended.start + 4), height: 1 + u24(data, extended.start + 7) };
      const frame = found.find(({ name }) => name === "ANMF");
      if (!frame) return { ...described, ...canvas, still: data };
      const { start } = frame;
      const [left, top] = [2 * u24(data, start), 2 * u24(data, start + 3)];
      const [width, height] = [1 + u24(data, start + 6), 1 + u24(data, start + 9)];
      if (left + width > canvas.width || top + height > canvas.height) throw damaged("its first frame lies outside of it");
      return { ...described, ...canvas, left, top, still: stillOf(data, frame, width, height) };
    }
    function* framesOfWebp(data) {
      for (const { name, start, end } of chunks(data, 12, data.length)) {
        if (name === "ANMF" && end - start >= 12) yield { width: 1 + u24(data, start + 6), height: 1 + u24(data, start + 9) };
      }
    }
    function* chunks(data, at, end) {
      while (at + 8 <= end) {
        const size = u24(data, at + 4) + data[at + 7] * 2 ** 24;
        yield { name: ascii(data, at, 4), start: at + 8, end: Math.min(at + 8 + size, end) };
        at += 8 + size + size % 2;
      }
    }
    function stillOf(data, frame, width, height) {
      const parts = [...chunks(data, frame.start + 16, frame.end)].filter(({ name }) => ["ALPH", "VP8 ", "VP8L"].includes(name));
      const hasAlpha = parts.some(({ name }) => name === "ALPH");
      const header = hasAlpha ? 18 : 0;
      const length = parts.reduce((sum, { start, end }) => sum + 8 + (end - start) + (end - start) % 2, 12 + header);
      const file = new Uint8Array(length);
      const view = new DataView(file.buffer);
      const put = (text, at2) => {
        for (let i = 0; i < text.length; i++) file[at2 + i] = text.charCodeAt(i);
      };
      put("RIFF", 0);
      view.setUint32(4, length - 8, true);
      put("WEBP", 8);
      if (hasAlpha) {
        put("VP8X", 12);
        view.setUint32(16, 10, true);
        file[20] = 16;
        view.setUint16(24, width - 1 & 65535, true);
        file[26] = width - 1 >> 16;
        view.setUint16(27, height - 1 & 65535, true);
        file[29] = height - 1 >> 16;
      }
      let at = 12 + header;
      for (const { name, start, end } of parts) {
        put(name, at);
        view.setUint32(at + 4, end - start, true);
        file.set(data.subarray(start, end), at + 8);
        at += 8 + (end - start) + (end - start) % 2;
      }
      return file;
    }
    function sizeOf(data, { name, start, end }) {
      if (end - start < 10) throw damaged("the file ends too early");
      if (name === "VP8L") {
        const bits = u24(data, start + 1) + data[start + 4] * 2 ** 24;
        return { width: 1 + (bits & 16383), height: 1 + (Math.floor(bits / 2 ** 14) & 16383) };
      }
      return { width: (data[start + 6] | data[start + 7] << 8) & 16383, height: (data[start + 8] | data[start + 9] << 8) & 16383 };
    }
    function u24(data, at) {
      return data[at] | data[at + 1] << 8 | data[at + 2] << 16;
    }
    module.exports = { framesOfWebp, readWebp };
  }
});

// node_runner/package/lib/image/structure.js
var require_structure = __commonJS({
  "node_runner/package/lib/image/structure.js"(exports, module) {
    "use strict";
    var { ImageError: ImageError2 } = require_errors();
    var { framesOfWebp } = require_webp();
    var MOST_SCANS = 100;
    var MOST_PIXELS_IN_ALL = 1e9;
    var MOST_FRAMES = 1e4;
    var MOST_PARTS = 1e3;
    var BYTES_OF_A_PART = 256;
    function checkScans(data, pixels) {
      const scans = countScans(data);
      if (scans > MOST_SCANS) throw tooMuch(`${scans} scans; at most ${MOST_SCANS} are decoded`);
      if (scans * pixels > MOST_PIXELS_IN_ALL) {
        throw tooMuch(`${scans} scans of ${pixels} pixels each; at most ${MOST_PIXELS_IN_ALL} in all are decoded`);
      }
    }
    function countScans(data) {
      let scans = 0;
      for (let at = data.indexOf(255, 2); at >= 0 && at + 1 < data.length && scans <= MOST_SCANS; at = data.indexOf(255, at)) {
        const marker = data[at + 1];
        if (marker === 255) at += 1;
        else if (marker <= 1 || marker >= 208 && marker <= 216) at += 2;
        else if (marker === 217) break;
        else {
          if (marker === 218) scans += 1;
          at += 2 + Math.max(data[at + 2] << 8 | data[at + 3], 2);
        }
      }
      return scans;
    }
    function checkWebp(data) {
      const most = mostParts(data);
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      let parts = 0;
      for (let at = 12; at + 8 <= data.length; ) {
        if (++parts > most) throw tooMuch(`more than ${most} parts`);
        const size = view.getUint32(at + 4, true);
        at += 8 + size + size % 2;
      }
      let frames = 0;
      let pixels = 0;
      for (const { width, height } of framesOfWebp(data)) {
        frames += 1;
        pixels += width * height;
      }
      checkFrames(frames, pixels);
    }
    function mostParts(data) {
      return MOST_PARTS + Math.floor(data.length / BYTES_OF_A_PART);
    }
    function checkParts(data) {
      const most = mostParts(data);
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      let parts = 0;
      for (let at = 8; at + 12 <= data.length; at += 12 + view.getUint32(at)) {
        if (++parts > most) throw tooMuch(`more than ${most} parts`);
      }
    }
    function checkFrames(frames, pixels) {
      if (frames > MOST_FRAMES) throw tooMuch(`more than ${MOST_FRAMES} frames`);
      if (pixels > MOST_PIXELS_IN_ALL) throw tooMuch(`frames of ${pixels} pixels in all; at most ${MOST_PIXELS_IN_ALL} are decoded`);
    }
    function tooMuch(what) {
      return new ImageError2(`The image has ${what}`, "ERR_IMAGE_TOO_LARGE");
    }
    module.exports = { BYTES_OF_A_PART, MOST_FRAMES, MOST_PARTS, MOST_PIXELS_IN_ALL, MOST_SCANS, checkFrames, checkParts, checkScans, checkWebp };
  }
});

// node_runner/package/lib/image/gif.js
var require_gif = __commonJS({
  "node_runner/package/lib/image/gif.js"(exports, module) {
    "use strict";
    var { damaged, tooLarge } = require_errors();
    var { MOST_FRAMES, checkFrames } = require_structure();
    function decodeGif(data, maxPixels) {
      const { shared, frames, width, height } = canvasOf(data);
      const [frame] = frames;
      if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
      checkFrames(frames.length, frames.reduce((sum, one) => sum + one.width * one.height, 0));
      if (frame.width === 0 || frame.height === 0) throw damaged("it is empty");
      const palette = frame.palette ?? shared;
      if (!palette) throw damaged("its palette is missing");
      const { bytes } = readBlocks(data, frame.position + 1);
      const indices = unpack(bytes, data[frame.position], frame.width * frame.height);
      const pixels = new Uint8ClampedArray(width * height * 3);
      const rows = frame.interlaced ? interlacedRows(frame.height) : null;
      for (let row = 0; row < frame.height; row++) {
        const y = frame.top + (rows ? rows[row] : row);
        for (let column = 0; column < frame.width; column++) {
          const index = 3 * indices[row * frame.width + column];
          const x = frame.left + column;
          if (index >= palette.length) throw damaged("a colour is outside of its palette");
          if (y >= height || x >= width || index === 3 * frame.transparent) continue;
          for (let k = 0; k < 3; k++) pixels[3 * (y * width + x) + k] = palette[index + k];
        }
      }
      return { width, height, pixels };
    }
    function canvasOf(data) {
      if (data.length < 13) throw tooShort();
      const shared = data[10] & 128 ? readPalette(data, 13, data[10]) : null;
      const frames = readFrames(data, 13 + (shared?.length ?? 0));
      const largest = (side) => frames.reduce((most, frame) => Math.max(most, frame[side]), 0);
      return { shared, frames, width: largest("width"), height: largest("height") };
    }
    function readFrames(data, position) {
      const frames = [];
      let transparent = -1;
      try {
        for (; ; ) {
          if (position >= data.length) throw tooShort();
          const kind = data[position++];
          if (kind === 59) break;
          if (kind === 44) {
            const frame = { ...readFrame(data, position), transparent };
            frames.push(frame);
            if (frames.length > MOST_FRAMES) break;
            transparent = -1;
            position = skipBlocks(data, frame.position + 1);
          } else if (kind === 33) {
            if (data[position] === 249 && data[position + 1] === 4) transparent = data[position + 2] & 1 ? data[position + 5] : -1;
            position = skipBlocks(data, position + 1);
          } else {
            throw damaged("it holds an unknown block");
          }
        }
      } catch (error) {
        if (frames.length === 0) throw error;
      }
      if (frames.length === 0) throw damaged("it holds no picture");
      return frames;
    }
    function readFrame(data, position) {
      if (position + 9 > data.length) throw tooShort();
      const [left, top, width, height] = [0, 2, 4, 6].map((offset) => data[position + offset] | data[position + offset + 1] << 8);
      const flags = data[position + 8];
      const palette = flags & 128 ? readPalette(data, position + 9, flags) : null;
      return { left, top, width, height, interlaced: (flags & 64) !== 0, palette, position: position + 9 + (palette?.length ?? 0) };
    }
    function readPalette(data, position, flags) {
      const end = position + 3 * (2 << (flags & 7));
      if (end > data.length) throw tooShort();
      return data.subarray(position, end);
    }
    function skipBlocks(data, position) {
      while (position < data.length && data[position] !== 0) position += 1 + data[position];
      if (position >= data.length) throw tooShort();
      return position + 1;
    }
    function readBlocks(data, position) {
      const bytes = new Uint8Array(data.length - position);
      let filled = 0;
      for (; ; ) {
        if (position >= data.length) throw tooShort();
        const size = data[position++];
        if (size === 0) return { bytes: bytes.subarray(0, filled) };
        if (position + size > data.length) throw tooShort();
        bytes.set(data.subarray(position, position + size), filled);
        filled += size;
        position += size;
      }
    }
    function unpack(bytes, codeSize, count) {
      if (!(codeSize >= 1 && codeSize <= 8)) throw damaged("its code size is impossible");
      const out = new Uint8Array(count);
      const clear = 1 << codeSize;
      const prefix = new Uint16Array(4096);
      const suffix = new Uint8Array(4096);
      const length = new Uint16Array(4096).fill(1, 0, clear);
      for (let i = 0; i < clear; i++) suffix[i] = i;
      let next = clear + 2;
      let width = codeSize + 1;
      let before = -1;
      let buffer = 0;
      let bits = 0;
      let position = 0;
      let filled = 0;
      while (filled < count) {
        while (bits < width) {
          if (position >= bytes.length) throw tooShort();
          buffer |= bytes[position++] << bits;
          bits += 8;
        }
        const code = buffer & (1 << width) - 1;
        buffer >>>= width;
        bits -= width;
        if (code === clear) {
          next = clear + 2;
          width = codeSize + 1;
          before = -1;
          continue;
        }
        if (code === clear + 1) throw tooShort();
        if (code > next || code === next && before < 0 || code >= clear && before < 0) throw damaged("it holds an impossible code");
        const known = code < next;
        const size = known ? length[code] : length[before] + 1;
        let walk = known ? code : before;
        let at = filled + (known ? size : size - 1) - 1;
        for (; at > filled; at--, walk = prefix[walk]) if (at < count) out[at] = suffix[walk];
        const firstLetter = suffix[walk];
        out[filled] = firstLetter;
        if (!known && filled + size - 1 < count) out[filled + size - 1] = firstLetter;
        filled += size;
        if (before >= 0 && next < 4096) {
          prefix[next] = before;
          suffix[next] = firstLetter;
          length[next] = length[before] + 1;
          next++;
          if (next === 1 << width && width < 12) width++;
        }
        before = code;
      }
      return out;
    }
    function interlacedRows(height) {
      const rows = [];
      for (const [start, step] of [[0, 8], [4, 8], [2, 4], [1, 2]]) {
        for (let y = start; y < height; y += step) rows.push(y);
      }
      return rows;
    }
    function tooShort() {
      return damaged("the file ends too early");
    }
    module.exports = { canvasOf, decodeGif };
  }
});

// node_runner/package/lib/image/heif.js
var require_heif = __commonJS({
  "node_runner/package/lib/image/heif.js"(exports, module) {
    "use strict";
    var { ascii } = require_format();
    var ORIENTATIONS = [
      [1, 4, 2],
      [8, 5, 7],
      [3, 2, 4],
      [6, 7, 5]
    ];
    function readHeif(data) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      try {
        const meta = find(view, 0, data.length, "meta");
        const properties = meta && find(view, meta.start + 4, meta.end, "iprp");
        const list = properties && find(view, properties.start, properties.end, "ipco");
        const owners = properties && find(view, properties.start, properties.end, "ipma");
        const main = meta && find(view, meta.start + 4, meta.end, "pitm");
        if (!list || !owners || !main) return null;
        const id = view.getUint8(main.start) === 0 ? view.getUint16(main.start + 4) : view.getUint32(main.start + 4);
        const all = [...boxes(view, list.start, list.end)];
        const own = associations(view, owners, id).map((index) => all[index - 1]).filter(Boolean);
        const size = own.find(({ name }) => name === "ispe");
        if (!size) return null;
        const turn = own.find(({ name }) => name === "irot");
        const mirror = own.find(({ name }) => name === "imir");
        const quarters = turn ? view.getUint8(turn.start) & 3 : 0;
        const axis = mirror ? 1 + (view.getUint8(mirror.start) & 1) : 0;
        const sides = { width: view.getUint32(size.start + 4), height: view.getUint32(size.start + 8) };
        return { ...sides, orientation: ORIENTATIONS[quarters][axis], colour: colourOf(view, own) };
      } catch {
        return null;
      }
    }
    function colourOf(view, properties) {
      const coding = properties.find(({ name }) => name === "av1C");
      const colours = properties.find(({ name, start }) => name === "colr" && view.getUint32(start) === 1852009592);
      if (!coding || !colours) return null;
      const flags = view.getUint8(coding.start + 2);
      const isDeep = (flags & 64) !== 0;
      const isGrey = (flags & 16) !== 0;
      const matrix = view.getUint16(colours.start + 8);
      if (isDeep || isGrey || ![5, 6].includes(matrix)) return null;
      return { limited: (view.getUint8(colours.start + 10) & 128) === 0, subsampled: (flags & 8) !== 0 };
    }
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
    function find(view, start, end, name) {
      for (const box of boxes(view, start, end)) if (box.name === name) return box;
      return void 0;
    }
    function associations(view, { start, end }, wanted) {
      const version = view.getUint8(start);
      const wide = view.getUint8(start + 3) & 1;
      const entries = view.getUint32(start + 4);
      let at = start + 8;
      for (let i = 0; i < entries && at < end; i++) {
        const id = version === 0 ? view.getUint16(at) : view.getUint32(at);
        at += version === 0 ? 2 : 4;
        const count = view.getUint8(at++);
        const numbers = Array.from({ length: count }, (_, k) => wide ? view.getUint16(at + 2 * k) & 32767 : view.getUint8(at + k) & 127);
        if (id === wanted) return numbers;
        at += wide ? 2 * count : count;
      }
      return [];
    }
    module.exports = { readHeif };
  }
});

// node_runner/package/lib/image/jpeg/bits.js
var require_bits = __commonJS({
  "node_runner/package/lib/image/jpeg/bits.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    var LOOKAHEAD = 9;
    var END = 217;
    function huffmanTable(counts, symbols) {
      const lookup = new Uint16Array(1 << LOOKAHEAD);
      const largest = new Int32Array(18).fill(-1);
      const offset = new Int32Array(18);
      let code = 0;
      let index = 0;
      for (let length = 1; length <= 16; length++) {
        const count = counts[length - 1];
        if (code + count > 1 << length) throw damaged("it holds an impossible Huffman table");
        offset[length] = index - code;
        for (let i = 0; i < count; i++, code++, index++) {
          if (length > LOOKAHEAD) continue;
          const spare = LOOKAHEAD - length;
          lookup.fill(length << 8 | symbols[index], code << spare, code + 1 << spare);
        }
        if (count > 0) largest[length] = code - 1;
        code <<= 1;
      }
      largest[17] = 2147483647;
      return { lookup, largest, offset, symbols };
    }
    var BitReader = class {
      /**
       * @param {Uint8Array} data
       * @param {number} position
       */
      constructor(data, position) {
        this.data = data;
        this.position = position;
        this.buffer = 0;
        this.count = 0;
        this.marker = 0;
        this.exhausted = false;
        this.atEnd = false;
      }
      /** @returns {number} */
      byte() {
        if (this.position < this.data.length) return this.data[this.position++];
        this.atEnd = true;
        return -1;
      }
      fill() {
        while (this.count <= 24 && this.marker === 0) {
          const byte = this.byte();
          let next = byte;
          while (next === 255) next = this.byte();
          if (next < 0 || byte === 255 && next !== 0) {
            this.marker = next < 0 ? END : next;
            return;
          }
          this.buffer = this.buffer << 8 | byte;
          this.count += 8;
        }
      }
      /** @param {number} bits at most 16 */
      need(bits) {
        if (this.count >= bits) return;
        this.fill();
        if (this.count >= bits) return;
        if (this.atEnd) throw damaged("the file ends too early");
        this.exhausted = true;
        this.buffer <<= 25 - this.count;
        this.count = 25;
      }
      /**
       * @param {number} bits 1 to 16
       * @returns {number}
       */
      read(bits) {
        if (this.count < bits) this.need(bits);
        this.count -= bits;
        return this.buffer >>> this.count & (1 << bits) - 1;
      }
      /**
       * A signed number of the given size: T.81, table F.1 and figure F.12.
       *
       * @param {number} bits 1 to 15
       * @returns {number}
       */
      readSigned(bits) {
        const value = this.read(bits);
        return value < 1 << bits - 1 ? value - (1 << bits) + 1 : value;
      }
      /**
       * @param {HuffmanTable} table
       * @returns {number} the next symbol; 0 for an impossible code, as in libjpeg
       */
      symbol(table) {
        if (this.count < 16) this.fill();
        const { count } = this;
        const ahead = count >= LOOKAHEAD ? this.buffer >>> count - LOOKAHEAD : this.buffer << LOOKAHEAD - count;
        const entry = table.lookup[ahead & (1 << LOOKAHEAD) - 1];
        const length = entry >> 8;
        if (length !== 0 && length <= count) {
          this.count -= length;
          return entry & 255;
        }
        return this.longSymbol(table);
      }
      /**
       * @param {HuffmanTable} table
       * @returns {number}
       */
      longSymbol(table) {
        let length = 1;
        let code = this.read(1);
        while (length <= 16 && code > table.largest[length]) {
          code = code << 1 | this.read(1);
          length++;
        }
        return length > 16 ? 0 : table.symbols[code + table.offset[length] & 255];
      }
      /** Forgets the bits that are left before a restart marker. */
      discard() {
        this.buffer = 0;
        this.count = 0;
      }
    };
    module.exports = { BitReader, huffmanTable };
  }
});

// node_runner/package/lib/image/jpeg/upsample.js
var require_upsample = __commonJS({
  "node_runner/package/lib/image/jpeg/upsample.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    function rowReader(frame, component) {
      const { plane, stride } = component;
      const across = frame.maxH / component.h;
      const down = frame.maxV / component.v;
      if (!Number.isInteger(across) || !Number.isInteger(down)) throw damaged("its colour sampling is not supported");
      const width = Math.ceil(frame.width * component.h / frame.maxH);
      const height = Math.ceil(frame.height * component.v / frame.maxV);
      const { width: full } = frame;
      const inside = (y) => Math.min(Math.max(y, 0), height - 1) * stride;
      if (across === 1 && down === 1) {
        return (y, out) => out.set(plane.subarray(y * stride, y * stride + full));
      }
      if (across === 2 && down === 1 && width > 2) {
        const row = new Uint8Array(2 * width);
        return (y, out) => {
          const at = y * stride;
          for (let x = 0; x < width; x++) {
            const value = plane[at + x];
            row[2 * x] = x === 0 ? value : 3 * value + plane[at + x - 1] + 1 >> 2;
            row[2 * x + 1] = x === width - 1 ? value : 3 * value + plane[at + x + 1] + 2 >> 2;
          }
          out.set(row.subarray(0, full));
        };
      }
      if (across === 1 && down === 2) {
        return (y, out) => {
          const near = inside(y >> 1);
          const far = inside((y >> 1) + (y & 1 ? 1 : -1));
          const bias = y & 1 ? 2 : 1;
          for (let x = 0; x < full; x++) out[x] = 3 * plane[near + x] + plane[far + x] + bias >> 2;
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
            row[2 * x] = x === 0 ? 4 * value + 8 >> 4 : 3 * value + before + 8 >> 4;
            row[2 * x + 1] = x === width - 1 ? 4 * value + 7 >> 4 : 3 * value + after + 7 >> 4;
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
  }
});

// node_runner/package/lib/image/jpeg/colour.js
var require_colour = __commonJS({
  "node_runner/package/lib/image/jpeg/colour.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    var { rowReader } = require_upsample();
    var RED_OF_CR = new Int16Array(256);
    var BLUE_OF_CB = new Int16Array(256);
    var GREEN_OF_CR = new Int32Array(256);
    var GREEN_OF_CB = new Int32Array(256);
    for (let value = 0; value < 256; value++) {
      const centred = value - 128;
      RED_OF_CR[value] = 91881 * centred + 32768 >> 16;
      BLUE_OF_CB[value] = 116130 * centred + 32768 >> 16;
      GREEN_OF_CR[value] = -46802 * centred;
      GREEN_OF_CB[value] = -22554 * centred + 32768;
    }
    function colourSpace(frame) {
      const ids = frame.components.map((component) => component.id).join();
      switch (frame.components.length) {
        case 1:
          return "grey";
        case 3:
          if (frame.jfif) return "ycc";
          if (frame.adobe !== null) return frame.adobe === 0 ? "rgb" : "ycc";
          return ids === "82,71,66" ? "rgb" : "ycc";
        case 4:
          return frame.adobe === null || frame.adobe === 0 ? "cmyk" : "ycck";
        default:
          throw damaged(`it has ${frame.components.length} colour components`);
      }
    }
    function toRgb(frame) {
      const { width, height } = frame;
      const space = colourSpace(frame);
      const pixels = new Uint8ClampedArray(width * height * 3);
      const readers = frame.components.map((component) => rowReader(frame, component));
      const rows = readers.map(() => new Uint8Array(width));
      for (let y = 0; y < height; y++) {
        for (let i = 0; i < readers.length; i++) readers[i](y, rows[i]);
        convertRow(space, rows, pixels, y * width * 3, frame.adobe !== null);
      }
      return pixels;
    }
    function convertRow(space, [first, second, third, fourth], pixels, at, inverted) {
      const width = first.length;
      if (space === "grey") {
        for (let x = 0; x < width; x++, at += 3) pixels[at] = pixels[at + 1] = pixels[at + 2] = first[x];
        return;
      }
      if (space === "rgb" || space === "cmyk") {
        for (let x = 0; x < width; x++, at += 3) {
          pixels[at] = first[x];
          pixels[at + 1] = second[x];
          pixels[at + 2] = third[x];
        }
      } else {
        for (let x = 0; x < width; x++, at += 3) {
          const luma = first[x];
          pixels[at] = luma + RED_OF_CR[third[x]];
          pixels[at + 1] = luma + (GREEN_OF_CB[second[x]] + GREEN_OF_CR[third[x]] >> 16);
          pixels[at + 2] = luma + BLUE_OF_CB[second[x]];
        }
      }
      if (fourth) applyBlack(pixels, at - 3 * width, fourth, space === "ycck", inverted);
    }
    function applyBlack(pixels, at, black, complement, inverted) {
      for (let x = 0; x < black.length; x++) {
        const light = inverted ? black[x] : 255 - black[x];
        for (let end = at + 3; at < end; at++) {
          const stored = complement ? 255 - pixels[at] : pixels[at];
          pixels[at] = Math.floor((inverted ? stored : 255 - stored) * light / 255);
        }
      }
    }
    module.exports = { toRgb };
  }
});

// node_runner/package/lib/image/jpeg/frame.js
var require_frame = __commonJS({
  "node_runner/package/lib/image/jpeg/frame.js"(exports, module) {
    "use strict";
    var { ImageError: ImageError2, damaged, tooLarge } = require_errors();
    function readFrame(marker, body, maxPixels) {
      if (![192, 193, 194, 201, 202].includes(marker)) {
        throw new ImageError2("The image is a JPEG of a rare kind (lossless or hierarchical) that is not decoded", "ERR_IMAGE_FORMAT");
      }
      const count = body[5];
      if (body.length < 6 || body.length !== 6 + 3 * count) throw damaged("its frame header has a wrong length");
      if (body[0] !== 8) throw new ImageError2(`The image is a JPEG with ${body[0]} bits, which is not decoded`, "ERR_IMAGE_FORMAT");
      const height = body[1] << 8 | body[2];
      const width = body[3] << 8 | body[4];
      if (height === 0 || width === 0) throw damaged("it is empty");
      if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
      if (![1, 3, 4].includes(count)) throw damaged(`it has ${count} colour components`);
      const sampling = Array.from({ length: count }, (_, i) => body.subarray(6 + 3 * i, 9 + 3 * i));
      if (sampling.some(([, factors]) => !inRange(factors >> 4) || !inRange(factors & 15))) throw damaged("its colour sampling is impossible");
      const maxH = Math.max(...sampling.map(([, factors]) => factors >> 4));
      const maxV = Math.max(...sampling.map(([, factors]) => factors & 15));
      const unitsAcross = Math.ceil(width / (8 * maxH));
      const unitsDown = Math.ceil(height / (8 * maxV));
      const progressive = marker === 194 || marker === 202;
      const arithmetic = marker >= 201;
      const components = sampling.map(([id, factors, table]) => {
        const h = factors >> 4;
        const v = factors & 15;
        const blockStride = unitsAcross * h;
        const blocks = blockStride * unitsDown * v;
        return {
          id,
          h,
          v,
          table,
          factors: null,
          blocksAcross: Math.ceil(width * h / (8 * maxH)),
          blocksDown: Math.ceil(height * v / (8 * maxV)),
          blockStride,
          stride: 8 * blockStride,
          plane: new Uint8ClampedArray(64 * blocks),
          coefficients: progressive ? new Int16Array(64 * blocks) : null
        };
      });
      return { width, height, progressive, arithmetic, components, maxH, maxV, unitsAcross, unitsDown, jfif: false, adobe: null };
    }
    function inRange(factor) {
      return factor >= 1 && factor <= 4;
    }
    module.exports = { readFrame };
  }
});

// node_runner/package/lib/image/jpeg/idct.js
var require_idct = __commonJS({
  "node_runner/package/lib/image/jpeg/idct.js"(exports, module) {
    "use strict";
    var SCALE_BITS = 2;
    var AAN_SCALES = [];
    for (let row = 0; row < 8; row++) {
      for (let column = 0; column < 8; column++) {
        const factor = (k) => k === 0 ? 1 : Math.cos(k * Math.PI / 16) * Math.SQRT2;
        AAN_SCALES.push(Math.round(16384 * factor(row) * factor(column)));
      }
    }
    function multipliers(quantization) {
      const shift = 14 - SCALE_BITS;
      return Int16Array.from(quantization, (step, index) => step * AAN_SCALES[index] + (1 << shift - 1) >> shift);
    }
    var work = new Int16Array(64);
    function inverse(coefficients, start, factors, samples, at, stride) {
      for (let column = 0; column < 8; column++) {
        const c = start + column;
        const in0 = coefficients[c] * factors[column] << 16 >> 16;
        if ((coefficients[c + 8] | coefficients[c + 16] | coefficients[c + 24] | coefficients[c + 32] | coefficients[c + 40] | coefficients[c + 48] | coefficients[c + 56]) === 0) {
          for (let row = column; row < 64; row += 8) work[row] = in0;
          continue;
        }
        const in1 = coefficients[c + 8] * factors[column + 8] << 16 >> 16;
        const in2 = coefficients[c + 16] * factors[column + 16] << 16 >> 16;
        const in3 = coefficients[c + 24] * factors[column + 24] << 16 >> 16;
        const in4 = coefficients[c + 32] * factors[column + 32] << 16 >> 16;
        const in5 = coefficients[c + 40] * factors[column + 40] << 16 >> 16;
        const in6 = coefficients[c + 48] * factors[column + 48] << 16 >> 16;
        const in7 = coefficients[c + 56] * factors[column + 56] << 16 >> 16;
        const even10 = in0 + in4;
        const even11 = in0 - in4;
        const even13 = in2 + in6;
        const even12 = ((in2 - in6 << 18 >> 16) * 23168 >> 16) - even13;
        const even0 = even10 + even13;
        const even3 = even10 - even13;
        const even1 = even11 + even12;
        const even2 = even11 - even12;
        const z13 = in5 + in3;
        const z10 = in5 - in3;
        const z11 = in1 + in7;
        const z12 = in1 - in7;
        const odd7 = z11 + z13;
        const z5 = (z10 + z12 << 18 >> 16) * 30272 >> 16;
        const odd6 = ((z10 << 18 >> 16) * -26432 >> 16) - z10 + z5 - odd7;
        const odd5 = ((z11 - z13 << 18 >> 16) * 23168 >> 16) - odd6;
        const odd4 = ((z12 << 18 >> 16) * 17728 >> 16) - z5 + odd5;
        work[column] = even0 + odd7;
        work[column + 56] = even0 - odd7;
        work[column + 8] = even1 + odd6;
        work[column + 48] = even1 - odd6;
        work[column + 16] = even2 + odd5;
        work[column + 40] = even2 - odd5;
        work[column + 32] = even3 + odd4;
        work[column + 24] = even3 - odd4;
      }
      for (let row = 0; row < 64; row += 8, at += stride) {
        const in0 = work[row];
        const in1 = work[row + 1];
        const in2 = work[row + 2];
        const in3 = work[row + 3];
        const in4 = work[row + 4];
        const in5 = work[row + 5];
        const in6 = work[row + 6];
        const in7 = work[row + 7];
        const even10 = in0 + in4;
        const even11 = in0 - in4;
        const even13 = in2 + in6;
        const even12 = ((in2 - in6 << 18 >> 16) * 23168 >> 16) - even13;
        const even0 = even10 + even13;
        const even3 = even10 - even13;
        const even1 = even11 + even12;
        const even2 = even11 - even12;
        const z13 = in5 + in3;
        const z10 = in5 - in3;
        const z11 = in1 + in7;
        const z12 = in1 - in7;
        const odd7 = z11 + z13;
        const z5 = (z10 + z12 << 18 >> 16) * 30272 >> 16;
        const odd6 = ((z10 << 18 >> 16) * -26432 >> 16) - z10 + z5 - odd7;
        const odd5 = ((z11 - z13 << 18 >> 16) * 23168 >> 16) - odd6;
        const odd4 = ((z12 << 18 >> 16) * 17728 >> 16) - z5 + odd5;
        samples[at] = (even0 + odd7 << 16 >> 21) + 128;
        samples[at + 7] = (even0 - odd7 << 16 >> 21) + 128;
        samples[at + 1] = (even1 + odd6 << 16 >> 21) + 128;
        samples[at + 6] = (even1 - odd6 << 16 >> 21) + 128;
        samples[at + 2] = (even2 + odd5 << 16 >> 21) + 128;
        samples[at + 5] = (even2 - odd5 << 16 >> 21) + 128;
        samples[at + 4] = (even3 + odd4 << 16 >> 21) + 128;
        samples[at + 3] = (even3 - odd4 << 16 >> 21) + 128;
      }
    }
    module.exports = { inverse, multipliers };
  }
});

// node_runner/package/lib/image/jpeg/zigzag.js
var require_zigzag = __commonJS({
  "node_runner/package/lib/image/jpeg/zigzag.js"(exports, module) {
    "use strict";
    var NATURAL = new Uint8Array(80).fill(63);
    for (let index = 0, sum = 0; sum < 15; sum++) {
      for (let i = Math.max(0, sum - 7); i <= Math.min(sum, 7); i++) {
        const row = sum % 2 === 0 ? sum - i : i;
        NATURAL[index++] = row * 8 + (sum - row);
      }
    }
    module.exports = { NATURAL };
  }
});

// node_runner/package/lib/image/jpeg/arithmetic.js
var require_arithmetic = __commonJS({
  "node_runner/package/lib/image/jpeg/arithmetic.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    var { inverse } = require_idct();
    var { NATURAL } = require_zigzag();
    var QE = Uint16Array.from(
      "5a1d 2586 1114 080b 03d8 01da 00e5 006f 0036 001a 000d 0006 0003 0001 5a7f 3f25 2cf2 207c 17b9 1182 0cef 09a1 072f 055c 0406 0303 0240 01b1 0144 00f5 00b7 008a 0068 004e 003b 002c 5ae1 484c 3a0d 2ef1 261f 1f33 19a8 1518 1177 0e74 0bfb 09f8 0861 0706 05cd 04de 040f 0363 02d4 025c 01f8 01a4 0160 0125 00f6 00cb 00ab 008f 5b12 4d04 412c 37d8 2fe8 293c 2379 1edf 1aa9 174e 1424 119c 0f6b 0d51 0bb6 0a40 5832 4d1c 438e 3bdd 34ee 2eae 299a 2516 5570 4ca9 44d9 3e22 3824 32b4 2e17 56a8 4f46 47e5 41cf 3c3d 375e 5231 4c0f 4639 415e 5627 50e7 4b85 5597 504f 5a10 5522 59eb 5a1d".split(" "),
      (digits) => parseInt(digits, 16)
    );
    var AFTER_LESS_PROBABLE = Uint8Array.of(
      1,
      14,
      16,
      18,
      20,
      23,
      25,
      28,
      30,
      33,
      35,
      9,
      10,
      12,
      15,
      36,
      38,
      39,
      40,
      42,
      43,
      45,
      46,
      48,
      49,
      51,
      52,
      54,
      56,
      57,
      59,
      60,
      62,
      63,
      32,
      33,
      37,
      64,
      65,
      67,
      68,
      69,
      70,
      72,
      73,
      74,
      75,
      77,
      78,
      79,
      48,
      50,
      50,
      51,
      52,
      53,
      54,
      55,
      56,
      57,
      58,
      59,
      61,
      61,
      65,
      80,
      81,
      82,
      83,
      84,
      86,
      87,
      87,
      72,
      72,
      74,
      74,
      75,
      77,
      77,
      80,
      88,
      89,
      90,
      91,
      92,
      93,
      86,
      88,
      95,
      96,
      97,
      99,
      99,
      93,
      95,
      101,
      102,
      103,
      104,
      99,
      105,
      106,
      107,
      103,
      105,
      108,
      109,
      110,
      111,
      110,
      112,
      112,
      113
    );
    var AFTER_MORE_PROBABLE = Uint8Array.from({ length: 114 }, (_, i) => i + 1);
    for (const [state, next] of [[13, 13], [35, 9], [63, 32], [79, 48], [87, 71], [94, 86], [100, 93], [104, 99], [107, 103], [109, 107], [111, 109], [112, 111], [113, 113]]) {
      AFTER_MORE_PROBABLE[state] = next;
    }
    var SWITCHES = /* @__PURE__ */ new Set([0, 14, 36, 64, 80, 88, 95, 105, 110, 112]);
    var EVEN = 113;
    var BEFORE_FIRST_BYTES = -16;
    var ArithmeticReader = class {
      /**
       * @param {Uint8Array} data
       * @param {number} position
       */
      constructor(data, position) {
        this.data = data;
        this.position = position;
        this.marker = 0;
        this.exhausted = false;
        this.even = Uint8Array.of(EVEN);
        this.code = 0;
        this.interval = 0;
        this.count = BEFORE_FIRST_BYTES;
      }
      /** Begins anew, as after a restart marker. */
      discard() {
        this.code = 0;
        this.interval = 0;
        this.count = BEFORE_FIRST_BYTES;
      }
      /** @returns {number} */
      next() {
        if (this.marker !== 0) return 0;
        let byte = this.byte();
        if (byte !== 255) return byte;
        while (byte === 255) byte = this.byte();
        if (byte === 0) return 255;
        this.marker = byte;
        return 0;
      }
      /** @returns {number} */
      byte() {
        if (this.position >= this.data.length) throw damaged("the file ends too early");
        return this.data[this.position++];
      }
      /**
       * @param {Uint8Array} states the more probable symbol in the highest bit, the state in the others
       * @param {number} at which of them
       * @returns {number} 0 or 1
       */
      decide(states, at) {
        while (this.interval < 32768) {
          if (--this.count < 0) {
            this.code = this.code << 8 | this.next();
            this.count += 8;
            if (this.count < 0 && ++this.count === 0) this.interval = 32768;
          }
          this.interval <<= 1;
        }
        const likely = states[at] >> 7;
        const state = states[at] & 127;
        const qe = QE[state];
        this.interval -= qe;
        const limit = this.interval << this.count;
        const inUpperPart = this.code >= limit;
        if (!inUpperPart && this.interval >= 32768) return likely;
        const isLikely = inUpperPart === this.interval < qe;
        if (inUpperPart) {
          this.code -= limit;
          this.interval = qe;
        }
        if (isLikely) states[at] = likely << 7 | AFTER_MORE_PROBABLE[state];
        else states[at] = (SWITCHES.has(state) ? 1 - likely : likely) << 7 | AFTER_LESS_PROBABLE[state];
        return isLikely ? likely : 1 - likely;
      }
    };
    function arithmeticBlocks(frame, scan, reader) {
      const dcStates = /* @__PURE__ */ new Map();
      const acStates = /* @__PURE__ */ new Map();
      const contexts = /* @__PURE__ */ new Map();
      const reset = () => {
        for (const part of scan.parts) {
          dcStates.set(part.dcNumber, new Uint8Array(64));
          acStates.set(part.acNumber, new Uint8Array(256));
          contexts.set(part, 0);
          part.prediction = 0;
        }
      };
      reset();
      const signed = (states, at, magnitude, sign) => {
        let value = magnitude;
        for (let bit = magnitude >> 1; bit; bit >>= 1) if (reader.decide(states, at)) value |= bit;
        return sign ? -(value + 1) : value + 1;
      };
      const impossible = (value) => {
        reader.exhausted = true;
        return value;
      };
      const dc = (part) => {
        const states = (
          /** @type {Uint8Array} */
          dcStates.get(part.dcNumber)
        );
        const [lower, upper] = scan.conditioning.dc[part.dcNumber];
        let at = contexts.get(part);
        contexts.set(part, 0);
        if (reader.decide(states, at) === 0) return part.prediction;
        const sign = reader.decide(states, at + 1);
        at += 2 + sign;
        let magnitude = reader.decide(states, at);
        if (magnitude !== 0) {
          at = 20;
          while (reader.decide(states, at)) {
            magnitude <<= 1;
            if (magnitude === 32768) return impossible(part.prediction);
            at += 1;
          }
        }
        if (magnitude > 1 << upper >> 1) contexts.set(part, 12 + 4 * sign);
        else if (magnitude >= 1 << lower >> 1) contexts.set(part, 4 + 4 * sign);
        part.prediction = part.prediction + signed(states, at + 14, magnitude, sign) << 16 >> 16;
        return part.prediction;
      };
      const ac = (part, first, last, store) => {
        const states = (
          /** @type {Uint8Array} */
          acStates.get(part.acNumber)
        );
        for (let k = first; k <= last; k++) {
          let at = 3 * (k - 1);
          if (reader.decide(states, at)) return;
          while (reader.decide(states, at + 1) === 0) {
            at += 3;
            k++;
            if (k > last) return void impossible(0);
          }
          const sign = reader.decide(reader.even, 0);
          at += 2;
          let magnitude = reader.decide(states, at);
          if (magnitude !== 0 && reader.decide(states, at)) {
            magnitude <<= 1;
            at = k <= scan.conditioning.ac[part.acNumber] ? 189 : 217;
            while (reader.decide(states, at)) {
              magnitude <<= 1;
              if (magnitude === 32768) return void impossible(0);
              at += 1;
            }
          }
          store(k, signed(states, at + 14, magnitude, sign));
        }
      };
      const acRefinement = (part, stored, start) => {
        const states = (
          /** @type {Uint8Array} */
          acStates.get(part.acNumber)
        );
        const plus = 1 << scan.low;
        const minus = -1 << scan.low;
        let before = scan.last;
        while (before > 0 && stored[start + NATURAL[before]] === 0) before--;
        for (let k = scan.first; k <= scan.last; k++) {
          let at = 3 * (k - 1);
          if (k > before && reader.decide(states, at)) return;
          for (; ; ) {
            const place = start + NATURAL[k];
            if (stored[place] !== 0) {
              if (reader.decide(states, at + 2)) stored[place] += stored[place] < 0 ? minus : plus;
              break;
            }
            if (reader.decide(states, at + 1)) {
              stored[place] = reader.decide(reader.even, 0) ? minus : plus;
              break;
            }
            at += 3;
            k++;
            if (k > scan.last) return void impossible(0);
          }
        }
      };
      const block = new Int16Array(64);
      return {
        reset,
        block(part, index, skip) {
          const { component } = part;
          if (!frame.progressive) {
            block.fill(0);
            if (!skip) {
              block[0] = dc(part);
              if (!reader.exhausted) ac(part, 1, 63, (k, value) => block[NATURAL[k]] = value);
            }
            const row = Math.floor(index / component.blockStride);
            const at = row * 8 * component.stride + (index - row * component.blockStride) * 8;
            inverse(
              block,
              0,
              /** @type {Int16Array} */
              component.factors,
              component.plane,
              at,
              component.stride
            );
            return;
          }
          if (skip) return;
          const stored = (
            /** @type {Int16Array} */
            component.coefficients
          );
          const start = 64 * index;
          if (scan.first === 0 && scan.high !== 0) {
            if (reader.decide(reader.even, 0)) stored[start] |= 1 << scan.low;
          } else if (scan.first === 0) stored[start] = dc(part) << scan.low;
          else if (scan.high === 0) ac(part, scan.first, scan.last, (k, value) => stored[start + NATURAL[k]] = value << scan.low);
          else acRefinement(part, stored, start);
        }
      };
    }
    module.exports = { ArithmeticReader, arithmeticBlocks };
  }
});

// node_runner/package/lib/image/jpeg/scan.js
var require_scan = __commonJS({
  "node_runner/package/lib/image/jpeg/scan.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    var { ArithmeticReader, arithmeticBlocks } = require_arithmetic();
    var { BitReader } = require_bits();
    var { inverse } = require_idct();
    var { NATURAL } = require_zigzag();
    function decodeScan(frame, scan, data, position) {
      const bits = frame.arithmetic ? new ArithmeticReader(data, position) : new BitReader(data, position);
      const decode = bits instanceof BitReader ? blockDecoder(frame, scan, bits) : arithmeticBlocks(frame, scan, bits);
      const alone = scan.parts.length === 1;
      const [{ component }] = scan.parts;
      const across = alone ? component.blocksAcross : frame.unitsAcross;
      const down = alone ? component.blocksDown : frame.unitsDown;
      let left = scan.restartInterval;
      let next = 0;
      for (let y = 0; y < down; y++) {
        for (let x = 0; x < across; x++) {
          if (scan.restartInterval > 0 && left-- === 0) {
            restart(bits, next);
            next = next + 1 & 7;
            left = scan.restartInterval - 1;
            decode.reset();
          }
          if (alone) {
            decode.block(scan.parts[0], y * component.blockStride + x, bits.exhausted);
            continue;
          }
          const skip = bits.exhausted;
          for (const part of scan.parts) {
            const { h, v, blockStride } = part.component;
            for (let row = y * v; row < (y + 1) * v; row++) {
              for (let column = x * h; column < (x + 1) * h; column++) decode.block(part, row * blockStride + column, skip);
            }
          }
        }
      }
      return { position: bits.position, marker: bits.marker };
    }
    function blockDecoder(frame, scan, bits) {
      const resetPredictions = () => scan.parts.forEach((part) => part.prediction = 0);
      resetPredictions();
      if (!frame.progressive) return { block: sequentialBlock(bits), reset: resetPredictions };
      if (scan.first === 0) {
        const refine = scan.high !== 0;
        return { block: refine ? dcRefinement(scan, bits) : dcFirst(scan, bits), reset: resetPredictions };
      }
      return scan.high === 0 ? acFirst(scan, bits) : acRefinement(scan, bits);
    }
    function sequentialBlock(bits) {
      const block = new Int16Array(64);
      return (part, index, skip) => {
        const { component } = part;
        const { blockStride, stride, plane } = component;
        block.fill(0);
        if (!skip) {
          const ac = table(part.ac);
          const size = bits.symbol(table(part.dc));
          if (size) part.prediction += bits.readSigned(size);
          block[0] = part.prediction;
          for (let k = 1; k < 64; k++) {
            const symbol = bits.symbol(ac);
            const run = symbol >> 4;
            if (symbol & 15) {
              k += run;
              block[NATURAL[k]] = bits.readSigned(symbol & 15);
            } else {
              if (run !== 15) break;
              k += 15;
            }
          }
        }
        const row = Math.floor(index / blockStride);
        const at = row * 8 * stride + (index - row * blockStride) * 8;
        inverse(
          block,
          0,
          /** @type {Int16Array} */
          component.factors,
          plane,
          at,
          stride
        );
      };
    }
    function dcFirst(scan, bits) {
      return (part, index, skip) => {
        if (skip) return;
        const size = bits.symbol(table(part.dc));
        if (size) part.prediction += bits.readSigned(size);
        coefficients(part)[64 * index] = part.prediction << scan.low;
      };
    }
    function dcRefinement(scan, bits) {
      return (part, index) => {
        if (bits.read(1)) coefficients(part)[64 * index] |= 1 << scan.low;
      };
    }
    function acFirst(scan, bits) {
      let emptyBlocks = 0;
      return {
        reset: () => emptyBlocks = 0,
        block(part, index, skip) {
          if (skip) return;
          if (emptyBlocks > 0) {
            emptyBlocks--;
            return;
          }
          const stored = coefficients(part);
          const ac = table(part.ac);
          for (let k = scan.first; k <= scan.last; k++) {
            const symbol = bits.symbol(ac);
            const run = symbol >> 4;
            if (symbol & 15) {
              k += run;
              stored[64 * index + NATURAL[k]] = bits.readSigned(symbol & 15) << scan.low;
            } else if (run === 15) {
              k += 15;
            } else {
              emptyBlocks = (1 << run) - 1;
              if (run) emptyBlocks += bits.read(run);
              break;
            }
          }
        }
      };
    }
    function acRefinement(scan, bits) {
      const plus = 1 << scan.low;
      const minus = -1 << scan.low;
      let emptyBlocks = 0;
      const correct = (stored, at) => {
        if (bits.read(1) && (stored[at] & plus) === 0) stored[at] += stored[at] >= 0 ? plus : minus;
      };
      return {
        reset: () => emptyBlocks = 0,
        block(part, index, skip) {
          if (skip) return;
          const stored = coefficients(part);
          const ac = table(part.ac);
          const start = 64 * index;
          let k = scan.first;
          if (emptyBlocks === 0) {
            for (; k <= scan.last; k++) {
              const symbol = bits.symbol(ac);
              let run = symbol >> 4;
              let value = 0;
              if (symbol & 15) {
                value = bits.read(1) ? plus : minus;
              } else if (run !== 15) {
                emptyBlocks = 1 << run;
                if (run) emptyBlocks += bits.read(run);
                break;
              }
              for (; k <= scan.last; k++) {
                const at = start + NATURAL[k];
                if (stored[at] !== 0) correct(stored, at);
                else if (--run < 0) break;
              }
              if (value) stored[start + NATURAL[k]] = value;
            }
          }
          if (emptyBlocks > 0) {
            for (; k <= scan.last; k++) {
              const at = start + NATURAL[k];
              if (stored[at] !== 0) correct(stored, at);
            }
            emptyBlocks--;
          }
        }
      };
    }
    function restart(bits, expected) {
      bits.discard();
      let { marker } = bits;
      for (; ; ) {
        if (marker === 0) marker = nextMarker(bits);
        if (marker === 208 + expected) break;
        const isRestart = marker >= 208 && marker <= 215;
        const ahead = marker - 208 - expected & 7;
        if (marker >= 192 && (!isRestart || ahead === 1 || ahead === 2)) {
          bits.marker = marker;
          return;
        }
        if (isRestart && ahead !== 6 && ahead !== 7) break;
        marker = 0;
      }
      bits.marker = 0;
      bits.exhausted = false;
    }
    function nextMarker(bits) {
      const { data } = bits;
      while (bits.position + 1 < data.length) {
        const found = data[bits.position] === 255 && data[bits.position + 1] !== 0 && data[bits.position + 1] !== 255;
        bits.position += found ? 2 : 1;
        if (found) return data[bits.position - 1];
      }
      throw damaged("the file ends too early");
    }
    function table(found) {
      if (!found) throw damaged("it names a Huffman table that it does not hold");
      return found;
    }
    function coefficients(part) {
      return (
        /** @type {Int16Array} */
        part.component.coefficients
      );
    }
    module.exports = { decodeScan };
  }
});

// node_runner/package/lib/image/jpeg/index.js
var require_jpeg = __commonJS({
  "node_runner/package/lib/image/jpeg/index.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    var { huffmanTable } = require_bits();
    var { toRgb } = require_colour();
    var { readFrame } = require_frame();
    var { inverse, multipliers } = require_idct();
    var { decodeScan } = require_scan();
    var { NATURAL } = require_zigzag();
    function decodeJpeg(data, maxPixels) {
      const state = {
        data,
        maxPixels,
        frame: null,
        quantization: [],
        dc: [],
        ac: [],
        restartInterval: 0,
        conditioning: { dc: Array.from({ length: 16 }, () => [0, 1]), ac: Array(16).fill(5) },
        jfif: false,
        adobe: null
      };
      let position = 2;
      let marker = 0;
      let scanned = false;
      for (; ; ) {
        if (marker === 0) ({ position, marker } = findMarker(data, position, scanned && !frameOf(state).arithmetic));
        if (marker === 217) break;
        if (marker === 1 || marker >= 208 && marker <= 215) {
          marker = 0;
          continue;
        }
        if (marker === 216) throw damaged("a second image begins inside of it");
        const end = position + word(data, position);
        if (end < position + 2 || end > data.length) throw damaged("the file ends too early");
        const body = data.subarray(position + 2, end);
        position = end;
        if (marker === 218) {
          ({ position, marker } = decodeScan(frameOf(state), readScan(state, body), data, position));
          scanned = true;
          continue;
        }
        readSegment(state, marker, body);
        marker = 0;
      }
      if (!scanned) throw damaged("it holds no pixels");
      const frame = frameOf(state);
      if (frame.progressive) transformAll(frame);
      frame.jfif = state.jfif;
      frame.adobe = state.adobe;
      return { width: frame.width, height: frame.height, pixels: toRgb(frame) };
    }
    function readSegment(state, marker, body) {
      if (marker === 219) readQuantization(state, body);
      else if (marker === 196) readHuffman(state, body);
      else if (marker === 221) {
        if (body.length !== 2) throw damaged("a restart interval has a wrong length");
        state.restartInterval = word(body, 0);
      } else if (marker === 224) state.jfif ||= body.length >= 14 && text(body, 0, 5) === "JFIF\0";
      else if (marker === 238) {
        if (body.length >= 12 && text(body, 0, 5) === "Adobe") state.adobe = body[11];
      } else if (marker >= 192 && marker <= 207 && marker !== 200 && marker !== 204) {
        if (state.frame) throw damaged("it has two frame headers");
        state.frame = readFrame(marker, body, state.maxPixels);
      } else if (marker === 220 || marker >= 224 && marker <= 239 || marker === 254) {
        return;
      } else if (marker === 204) {
        readConditioning(state, body);
      } else {
        throw damaged(`it holds the unknown marker 0x${marker.toString(16)}`);
      }
    }
    function readQuantization(state, body) {
      let position = 0;
      while (position < body.length) {
        const wide = body[position] >> 4 !== 0;
        const number = body[position] & 15;
        position += 1;
        if (number > 3) throw damaged("a quantization table has an impossible number");
        if (position + (wide ? 128 : 64) > body.length) throw damaged("a quantization table is incomplete");
        const steps = new Uint16Array(64);
        for (let i = 0; i < 64; i++) {
          steps[NATURAL[i]] = wide ? word(body, position) : body[position];
          position += wide ? 2 : 1;
        }
        state.quantization[number] = steps;
      }
    }
    function readHuffman(state, body) {
      let position = 0;
      while (position < body.length) {
        const kind = body[position];
        const counts = body.subarray(position + 1, position + 17);
        const total = counts.reduce((sum, count) => sum + count, 0);
        position += 17;
        if (counts.length < 16 || total > 256 || position + total > body.length) throw damaged("a Huffman table is incomplete");
        if ((kind & 239) > 3) throw damaged("a Huffman table has an impossible number");
        const symbols = new Uint8Array(256);
        symbols.set(body.subarray(position, position + total));
        position += total;
        const isAc = (kind & 16) !== 0;
        if (!isAc && symbols.some((symbol) => symbol > 15)) throw damaged("it holds an impossible Huffman table");
        (isAc ? state.ac : state.dc)[kind & 3] = huffmanTable(counts, symbols);
      }
    }
    function readConditioning(state, body) {
      for (let position = 0; position + 1 < body.length; position += 2) {
        const [number, value] = [body[position], body[position + 1]];
        if (number > 31 || number < 16 && (value & 15) > value >> 4) throw damaged("its arithmetic conditioning is impossible");
        if (number < 16) state.conditioning.dc[number] = [value & 15, value >> 4];
        else state.conditioning.ac[number - 16] = value;
      }
    }
    function readScan(state, body) {
      const frame = frameOf(state);
      const count = body[0];
      if (!(count >= 1 && count <= 4) || body.length !== 4 + 2 * count) throw damaged("a scan header has a wrong length");
      const parts = Array.from({ length: count }, (_, i) => {
        const component = frame.components.find(({ id }) => id === body[1 + 2 * i]);
        if (!component) throw damaged("a scan names a colour component that does not exist");
        const tables = body[2 + 2 * i];
        const [dcNumber, acNumber] = [tables >> 4, tables & 15];
        return { component, dc: state.dc[dcNumber], ac: state.ac[acNumber], dcNumber, acNumber, prediction: 0 };
      });
      if (new Set(parts.map(({ component }) => component)).size !== count) throw damaged("a scan names a colour component twice");
      if (count > 1 && parts.reduce((sum, { component: { h, v } }) => sum + h * v, 0) > 10) throw damaged("its colour sampling is impossible");
      const [first, last, bits] = body.subarray(1 + 2 * count);
      const scan = { parts, first, last, high: bits >> 4, low: bits & 15, restartInterval: state.restartInterval, conditioning: state.conditioning };
      if (frame.progressive && !isPossible(scan)) throw damaged("a scan has impossible parameters");
      for (const { component } of parts) {
        if (component.factors) continue;
        const steps = state.quantization[component.table];
        if (!steps) throw damaged("it names a quantization table that it does not hold");
        component.factors = multipliers(steps);
      }
      return scan;
    }
    function isPossible({ parts, first, last, high, low }) {
      const isDc = first === 0;
      if (isDc ? last !== 0 : parts.length !== 1 || last < first || last > 63) return false;
      return low <= 13 && (high === 0 || low === high - 1);
    }
    function transformAll(frame) {
      for (const { coefficients, factors, blockStride, stride, plane } of frame.components) {
        if (!coefficients || !factors) throw damaged("a colour component is missing");
        const blocks = coefficients.length / 64;
        for (let index = 0; index < blocks; index++) {
          const row = Math.floor(index / blockStride);
          inverse(coefficients, 64 * index, factors, plane, row * 8 * stride + (index - row * blockStride) * 8, stride);
        }
      }
    }
    function findMarker(data, position, mayEnd) {
      for (; position + 1 < data.length; position++) {
        if (data[position] === 255 && data[position + 1] !== 0 && data[position + 1] !== 255) {
          return { position: position + 2, marker: data[position + 1] };
        }
      }
      if (mayEnd) return { position, marker: 217 };
      throw damaged("the file ends too early");
    }
    function frameOf(state) {
      if (!state.frame) throw damaged("it has no frame header");
      return state.frame;
    }
    function word(data, position) {
      return data[position] << 8 | data[position + 1];
    }
    function text(data, start, end) {
      return String.fromCharCode(...data.subarray(start, end));
    }
    module.exports = { decodeJpeg };
  }
});

// node_runner/package/lib/image/inflate.js
var require_inflate = __commonJS({
  "node_runner/package/lib/image/inflate.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    async function inflate(parts, size) {
      const out = new Uint8Array(size);
      let filled = 0;
      const stream = new DecompressionStream("deflate");
      const writer = stream.writable.getWriter();
      const reader = stream.readable.getReader();
      const written = (async () => {
        for (const part of parts) await writer.write(
          /** @type {any} */
          part
        );
        await writer.close();
      })().catch(() => {
      });
      try {
        while (filled < size) {
          const { value, done } = await reader.read();
          if (done) break;
          const chunk = value.subarray(0, size - filled);
          out.set(chunk, filled);
          filled += chunk.length;
        }
      } catch {
        throw damaged("its compressed data cannot be read");
      } finally {
        reader.cancel().catch(() => {
        });
        writer.abort().catch(() => {
        });
        await written;
      }
      if (filled < size) throw damaged("its compressed data end too early");
      return out;
    }
    module.exports = { inflate };
  }
});

// node_runner/package/lib/image/png.js
var require_png = __commonJS({
  "node_runner/package/lib/image/png.js"(exports, module) {
    "use strict";
    var { damaged, tooLarge } = require_errors();
    var { ascii } = require_format();
    var { inflate } = require_inflate();
    var COLOUR_TYPES = { 0: [1, [1, 2, 4, 8, 16]], 2: [3, [8, 16]], 3: [1, [1, 2, 4, 8]], 4: [2, [8, 16]], 6: [4, [8, 16]] };
    var ADAM7 = [
      [0, 0, 8, 8],
      [4, 0, 8, 8],
      [0, 4, 4, 8],
      [2, 0, 4, 4],
      [0, 2, 2, 4],
      [1, 0, 2, 2],
      [0, 1, 1, 2]
    ];
    var CRC_TABLE = new Int32Array(256);
    for (let n = 0; n < 256; n++) {
      let value = n;
      for (let k = 0; k < 8; k++) value = value & 1 ? 3988292384 ^ value >>> 1 : value >>> 1;
      CRC_TABLE[n] = value;
    }
    async function decodePng(data, maxPixels) {
      const { header, palette, parts } = readChunks(data);
      const view = new DataView(header.buffer, header.byteOffset, 13);
      const [width, height] = [view.getUint32(0), view.getUint32(4)];
      const [depth, type, compression, filter, interlace] = header.subarray(8);
      if (width === 0 || height === 0 || width > 2147483647 || height > 2147483647) throw damaged("its size is impossible");
      if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
      const [samples, depths] = COLOUR_TYPES[type] ?? [0, []];
      if (!depths.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) throw damaged("its PNG header is impossible");
      if (type === 3 && !palette) throw damaged("its palette is missing");
      const bits = samples * depth;
      const passes = (interlace ? ADAM7 : [[0, 0, 1, 1]]).map(([x, y, dx, dy]) => ({ x, y, dx, dy, width: Math.ceil((width - x) / dx), height: Math.ceil((height - y) / dy) })).filter((pass) => pass.width > 0 && pass.height > 0);
      const lengths = passes.map((pass) => pass.height * (1 + Math.ceil(pass.width * bits / 8)));
      const raw = await inflate(parts, lengths.reduce((sum, length) => sum + length, 0));
      const pixels = new Uint8ClampedArray(width * height * 3);
      let start = 0;
      passes.forEach((pass, index) => {
        const stride = Math.ceil(pass.width * bits / 8);
        unfilter(raw, start, pass.height, stride, Math.max(bits >> 3, 1));
        for (let row = 0; row < pass.height; row++) {
          const line = raw.subarray(start + row * (stride + 1) + 1, start + (row + 1) * (stride + 1));
          const at = 3 * ((pass.y + row * pass.dy) * width + pass.x);
          writeRow(line, pass.width, { type, depth, samples, palette }, pixels, at, 3 * pass.dx);
        }
        start += lengths[index];
      });
      return { width, height, pixels };
    }
    function readChunks(data) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      let header = null;
      let palette = null;
      const parts = [];
      for (let position = 8; ; ) {
        if (position + 12 > data.length) throw damaged("the file ends too early");
        const length = view.getUint32(position);
        const name = ascii(data, position + 4, 4);
        if (position + 12 + length > data.length) throw damaged("the file ends too early");
        const body = data.subarray(position + 8, position + 8 + length);
        const critical = (data[position + 4] & 32) === 0;
        if (critical && crc(data.subarray(position + 4, position + 8 + length)) !== view.getUint32(position + 8 + length)) {
          throw damaged(`the checksum of its ${name} part is wrong`);
        }
        position += 12 + length;
        if (header === null && (name !== "IHDR" || length !== 13)) throw damaged("it does not begin with a header");
        if (name === "IHDR") header = body;
        else if (name === "PLTE") palette = body;
        else if (name === "IDAT") parts.push(body);
        else if (name === "IEND") break;
        else if (critical) throw damaged(`it holds the unknown part ${name}`);
      }
      if (header === null || parts.length === 0) throw damaged("it holds no pixels");
      return { header, palette, parts };
    }
    function unfilter(raw, start, rows, stride, back) {
      for (let row = 0; row < rows; row++) {
        const at = start + row * (stride + 1) + 1;
        const filter = raw[at - 1];
        if (filter > 4) throw damaged("a row has an unknown filter");
        if (filter === 0) continue;
        const up = row === 0 ? -1 : at - stride - 1;
        for (let i = 0; i < stride; i++) {
          const a = i >= back ? raw[at + i - back] : 0;
          const b = up >= 0 ? raw[up + i] : 0;
          const c = i >= back && up >= 0 ? raw[up + i - back] : 0;
          raw[at + i] += filter === 1 ? a : filter === 2 ? b : filter === 3 ? a + b >> 1 : paeth(a, b, c);
        }
      }
    }
    function paeth(a, b, c) {
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      if (pa <= pb && pa <= pc) return a;
      return pb <= pc ? b : c;
    }
    function writeRow(line, width, { type, depth, samples, palette }, pixels, at, step) {
      const bytes = depth === 16 ? 2 : 1;
      const largest = (1 << Math.min(depth, 8)) - 1;
      for (let x = 0; x < width; x++, at += step) {
        if (samples >= 3) {
          const from = x * samples * bytes;
          pixels[at] = line[from];
          pixels[at + 1] = line[from + bytes];
          pixels[at + 2] = line[from + 2 * bytes];
          continue;
        }
        const bit = x * depth;
        const value = depth >= 8 ? line[x * samples * bytes] : line[bit >> 3] >> 8 - depth - (bit & 7) & largest;
        if (type === 3) {
          for (let k = 0; k < 3; k++) pixels[at + k] = palette?.[3 * value + k] ?? 0;
        } else {
          pixels[at] = pixels[at + 1] = pixels[at + 2] = depth >= 8 ? value : value * 255 / largest;
        }
      }
    }
    function crc(bytes) {
      let value = -1;
      for (let i = 0; i < bytes.length; i++) value = CRC_TABLE[(value ^ bytes[i]) & 255] ^ value >>> 8;
      return ~value >>> 0;
    }
    module.exports = { decodePng };
  }
});

// node_runner/package/lib/image/unpack.js
var require_unpack = __commonJS({
  "node_runner/package/lib/image/unpack.js"(exports, module) {
    "use strict";
    var { damaged } = require_errors();
    function unpackBits(packed, size) {
      const out = new Uint8Array(size);
      let filled = 0;
      for (let at = 0; filled < size; ) {
        if (at >= packed.length) throw tooShort();
        const count = packed[at++];
        if (count < 128) {
          if (at + count >= packed.length && at + Math.min(count + 1, size - filled) > packed.length) throw tooShort();
          out.set(packed.subarray(at, at + Math.min(count + 1, size - filled)), filled);
          at += count + 1;
          filled += count + 1;
        } else if (count > 128) {
          if (at >= packed.length) throw tooShort();
          out.fill(packed[at++], filled, Math.min(filled + 257 - count, size));
          filled += 257 - count;
        }
      }
      return out;
    }
    function unpackLzw(packed, size) {
      const out = new Uint8Array(size);
      const starts = new Int32Array(4096);
      const lengths = new Int32Array(4096);
      let next = 258;
      let width = 9;
      let before = -1;
      let beforeLength = 0;
      let buffer = 0;
      let bits = 0;
      let at = 0;
      let filled = 0;
      while (filled < size) {
        while (bits < width) {
          if (at >= packed.length) throw tooShort();
          buffer = (buffer << 8 | packed[at++]) & 16777215;
          bits += 8;
        }
        const code = buffer >> bits - width & (1 << width) - 1;
        bits -= width;
        if (code === 257) break;
        if (code === 256) {
          next = 258;
          width = 9;
          before = -1;
          continue;
        }
        const start = filled;
        if (code < 256) out[filled++] = code;
        else if (code < next || code === next && before >= 0) {
          const [from, length] = code < next ? [starts[code], lengths[code]] : [before, beforeLength + 1];
          for (let k = 0; k < length && filled < size; k++, filled++) out[filled] = k < beforeLength || code < next ? out[from + k] : out[before];
        } else throw damaged("it holds an impossible code");
        if (before >= 0 && next < 4096) {
          starts[next] = before;
          lengths[next] = beforeLength + 1;
          next++;
          if (next + 1 >= 1 << width && width < 12) width++;
        }
        before = start;
        beforeLength = filled - start;
      }
      if (filled < size) throw tooShort();
      return out;
    }
    function tooShort() {
      return damaged("its compressed data end too early");
    }
    module.exports = { unpackBits, unpackLzw };
  }
});

// node_runner/package/lib/image/tiff.js
var require_tiff = __commonJS({
  "node_runner/package/lib/image/tiff.js"(exports, module) {
    "use strict";
    var { ImageError: ImageError2, damaged, tooLarge } = require_errors();
    var { inflate } = require_inflate();
    var { unpackBits, unpackLzw } = require_unpack();
    var SIZES = { 1: 1, 3: 2, 4: 4 };
    var MOST_ENTRIES = 1e3;
    var MOST_NUMBERS = 2 ** 20;
    var MOST_SAMPLES = 16;
    var TAGS = /* @__PURE__ */ new Set([256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339]);
    var COLOURS = { 0: ["white is zero", 1], 1: ["grey", 1], 2: ["rgb", 3], 3: ["palette", 1], 5: ["cmyk", 4] };
    function readTiff(data) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      if (data.length < 8) throw damaged("the file ends too early");
      const little = data[0] === 73;
      if (view.getUint16(2, little) !== 42) throw rare("of more than 4 GB (BigTIFF)");
      const start = view.getUint32(4, little);
      if (start + 2 > data.length) throw damaged("the file ends too early");
      const count = view.getUint16(start, little);
      if (count > MOST_ENTRIES || start + 2 + 12 * count > data.length) throw damaged("its directory is impossible");
      const tags = /* @__PURE__ */ new Map();
      for (let i = 0, at = start + 2; i < count; i++, at += 12) {
        const tag = view.getUint16(at, little);
        const size = SIZES[view.getUint16(at + 2, little)];
        const length = view.getUint32(at + 4, little);
        if (!size || !TAGS.has(tag)) continue;
        if (length > MOST_NUMBERS) throw damaged("its directory is impossible");
        const from = length * size <= 4 ? at + 8 : view.getUint32(at + 8, little);
        if (from + length * size > data.length) throw damaged("its directory points beyond its end");
        const read = (k) => size === 1 ? view.getUint8(from + k) : size === 2 ? view.getUint16(from + 2 * k, little) : view.getUint32(from + 4 * k, little);
        tags.set(tag, Array.from({ length }, (_, k) => read(k)));
      }
      const numbers = (tag) => tags.get(tag) ?? [];
      const [orientation = 1] = numbers(274);
      const [[width = 0], [height = 0]] = [numbers(256), numbers(257)];
      return { width, height, orientation: orientation >= 1 && orientation <= 8 ? orientation : 1, numbers, little };
    }
    async function decodeTiff(data, maxPixels) {
      const directory = readTiff(data);
      const { width, height, numbers } = directory;
      if (width === 0 || height === 0) throw damaged("its size is impossible");
      if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
      const layout = layoutOf(directory);
      const pixels = new Uint8ClampedArray(width * height * 3);
      const colour = colourOf(directory, layout);
      const across = Math.ceil(width / layout.width);
      const down = Math.ceil(height / layout.height);
      const { offsets, lengths } = layout;
      if (offsets.length < across * down || lengths.length < across * down) throw damaged("strips are missing");
      for (let part = 0; part < across * down; part++) {
        const left = part % across * layout.width;
        const top = Math.floor(part / across) * layout.height;
        const rows = layout.tiled ? layout.height : Math.min(layout.height, height - top);
        if (offsets[part] + lengths[part] > data.length) throw damaged("the file ends too early");
        const packed = data.subarray(offsets[part], offsets[part] + lengths[part]);
        const samples = await unpacked(packed, rows * layout.stride, numbers(259)[0] ?? 1);
        if (numbers(317)[0] === 2) undoDifferences(samples, layout, rows, directory.little);
        else if ((numbers(317)[0] ?? 1) !== 1) throw rare("with such a prediction");
        for (let y = 0; y < Math.min(rows, height - top); y++) {
          for (let x = 0; x < Math.min(layout.width, width - left); x++) {
            colour(samples, y * layout.stride, x, pixels, 3 * ((top + y) * width + left + x));
          }
        }
      }
      return { width, height, pixels };
    }
    function layoutOf({ width, height, numbers }) {
      const [samples = 1] = numbers(277);
      const depths = numbers(258).length ? numbers(258) : [1];
      const [bits] = depths;
      if (depths.some((depth) => depth !== bits) || ![1, 2, 4, 8, 16].includes(bits)) throw rare(`with ${depths.join(", ")} bits a sample`);
      if (samples > MOST_SAMPLES) throw rare(`with ${samples} samples`);
      if (samples > 1 && bits < 8) throw rare(`with ${samples} samples of ${bits} bits`);
      if (numbers(339).some((format) => format !== 1)) throw rare("with samples that are no whole numbers from 0 on");
      if ((numbers(284)[0] ?? 1) !== 1 && samples > 1) throw rare("with a plane for each colour");
      const tiled = numbers(322).length > 0;
      const columns = tiled ? numbers(322)[0] : width;
      const rows = tiled ? numbers(323)[0] ?? 0 : Math.min(numbers(278)[0] ?? height, height);
      if (!columns || !rows || columns > 65536 || rows > 2 ** 24) throw damaged("its strips are impossible");
      const stride = Math.ceil(columns * samples * bits / 8);
      const covered = Math.ceil(width / columns) * columns * Math.ceil(height / rows) * rows;
      if (tiled && covered > Math.max(2 ** 22, 4 * width * height)) throw damaged("its tiles are impossible");
      const [offsets, lengths] = tiled ? [numbers(324), numbers(325)] : [numbers(273), numbers(279)];
      return { tiled, width: columns, height: rows, bits, samples, stride, offsets, lengths };
    }
    async function unpacked(packed, size, compression) {
      if (compression === 1) {
        if (packed.length < size) throw damaged("the file ends too early");
        return packed.slice(0, size);
      }
      if (compression === 5) return unpackLzw(packed, size);
      if (compression === 8 || compression === 32946) return inflate([packed], size);
      if (compression === 32773) return unpackBits(packed, size);
      throw rare(compression === 7 ? "compressed as JPEG" : compression <= 4 ? "compressed as a fax" : `with the compression ${compression}`);
    }
    function undoDifferences(samples, layout, rows, little) {
      const { bits, stride, samples: step } = layout;
      if (bits < 8) throw rare(`with differences of ${bits} bits`);
      const view = new DataView(samples.buffer, samples.byteOffset, samples.byteLength);
      for (let row = 0; row < rows; row++) {
        if (bits === 8) for (let at = row * stride + step; at < (row + 1) * stride; at++) samples[at] += samples[at - step];
        else for (let at = row * stride + 2 * step; at < (row + 1) * stride; at += 2) view.setUint16(at, view.getUint16(at, little) + view.getUint16(at - 2 * step, little), little);
      }
    }
    function colourOf({ numbers, little }, { bits, samples }) {
      const [photometric = 1] = numbers(262);
      const known = COLOURS[photometric];
      if (!known || samples < known[1]) throw rare(`with the colours ${photometric}`);
      const [kind, needed] = known;
      if (numbers(338)[0] === 1 && samples > needed) throw rare("whose colours are multiplied by their alpha");
      const sample = sampleReader(bits, samples, little);
      if (kind === "palette") {
        const table = numbers(320);
        const colours = 1 << bits;
        if (bits > 8 || table.length < 3 * colours) throw damaged("its palette is missing");
        return (data, row, x, out, at) => {
          const index = sample(data, row, x, 0);
          for (let k = 0; k < 3; k++) out[at + k] = table[k * colours + index] >> 8;
        };
      }
      if (kind === "rgb") {
        return (data, row, x, out, at) => {
          for (let k = 0; k < 3; k++) out[at + k] = sample(data, row, x, k);
        };
      }
      if (kind === "cmyk") {
        return (data, row, x, out, at) => {
          const light = 255 - sample(data, row, x, 3);
          for (let k = 0; k < 3; k++) {
            const product = sample(data, row, x, k) * light + 128;
            out[at + k] = light - ((product >> 8) + product >> 8);
          }
        };
      }
      const most = bits < 8 ? (1 << bits) - 1 : 255;
      return (data, row, x, out, at) => {
        const grey = Math.floor(sample(data, row, x, 0) * 255 / most);
        out[at] = out[at + 1] = out[at + 2] = kind === "grey" ? grey : 255 - grey;
      };
    }
    function sampleReader(bits, samples, little) {
      if (bits === 8) return (data, row, x, k) => data[row + x * samples + k];
      if (bits === 16) return (data, row, x, k) => data[row + 2 * (x * samples + k) + (little ? 1 : 0)];
      const inByte = 8 / bits;
      const mask = (1 << bits) - 1;
      return (data, row, x) => data[row + Math.floor(x / inByte)] >> 8 - bits * (x % inByte + 1) & mask;
    }
    function rare(what) {
      return new ImageError2(`The image is a TIFF ${what}, which is not decoded here: convert it to PNG`, "ERR_IMAGE_FORMAT");
    }
    module.exports = { decodeTiff, readTiff };
  }
});

// node_runner/package/lib/image/size.js
var require_size = __commonJS({
  "node_runner/package/lib/image/size.js"(exports, module) {
    "use strict";
    var { ImageError: ImageError2 } = require_errors();
    var { pixelsOfBmp } = require_bmp();
    var { ascii } = require_format();
    var { canvasOf } = require_gif();
    var { readHeif } = require_heif();
    var { readTiff } = require_tiff();
    var { readWebp } = require_webp();
    function pixelsOf2(data) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      if (data.length < 26) return null;
      if (view.getUint32(0) === 2303741511) return view.getUint32(16) * view.getUint32(20);
      if (view.getUint32(0) === 1195984440) return told(() => product(canvasOf(data)));
      if (view.getUint16(0) === 16973) return told(() => pixelsOfBmp(data));
      if (view.getUint32(0) === 1380533830) return told(() => product(readWebp(data)));
      if ([1229531648, 1296891946].includes(view.getUint32(0))) return told(() => product(readTiff(data)));
      if (ascii(data, 4, 4) === "ftyp") return told(() => product(readHeif(data)));
      if (view.getUint16(0) !== 65496) return null;
      for (let position = 2; position + 9 <= data.length && data[position] === 255; ) {
        const marker = data[position + 1];
        if (marker === 255) {
          position++;
          continue;
        }
        const isFrame = marker >= 192 && marker <= 207 && ![196, 200, 204].includes(marker);
        if (isFrame) return view.getUint16(position + 5) * view.getUint16(position + 7);
        position += 2 + view.getUint16(position + 2);
      }
      return null;
    }
    function product(size) {
      return size && size.width * size.height;
    }
    function told(read) {
      try {
        return read();
      } catch (error) {
        if (error instanceof ImageError2) return null;
        throw error;
      }
    }
    module.exports = { pixelsOf: pixelsOf2 };
  }
});

// node_runner/package/lib/image/decode.js
var require_decode = __commonJS({
  "node_runner/package/lib/image/decode.js"(exports, module) {
    "use strict";
    var { ImageError: ImageError2, damaged, tooLarge } = require_errors();
    var { toLibyuv } = require_avif_colour();
    var { decodeBmp } = require_bmp();
    var { orientationIn, orientationOf, upright } = require_exif();
    var { formatOf } = require_format();
    var { decodeGif } = require_gif();
    var { readHeif } = require_heif();
    var { decodeJpeg } = require_jpeg();
    var { decodePng } = require_png();
    var { pixelsOf: pixelsOf2 } = require_size();
    var { checkParts, checkScans, checkWebp } = require_structure();
    var { decodeTiff, readTiff } = require_tiff();
    var { readWebp } = require_webp();
    var MAX_BYTES = 256 * 1024 * 1024;
    var MAX_PIXELS = 178956970;
    var MOST_DEEP_PIXELS = 64e6;
    var NAMES = { webp: "WebP", avif: "AVIF", heic: "HEIC" };
    async function decodeImage(data, { maxPixels = MAX_PIXELS, maxBytes = MAX_BYTES } = {}, decodeForeign = refuse) {
      checkBytes(data.length, maxBytes);
      checkStructure(data);
      switch (formatOf(data)) {
        case "jpeg":
          return upright(decodeJpeg(data, maxPixels), orientationOf(data));
        case "png":
          return decodePng(data, maxPixels);
        case "gif":
          return decodeGif(data, maxPixels);
        case "bmp":
          return decodeBmp(data, maxPixels);
        case "tiff":
          return upright(await decodeTiff(data, maxPixels), readTiff(data).orientation);
        case "webp":
          return decodeWebp(data, maxPixels, decodeForeign);
        case "avif":
          return decodeHeif(data, "avif", maxPixels, decodeForeign);
        default:
          return decodeHeif(data, "heic", maxPixels, decodeForeign);
      }
    }
    async function decodeWebp(data, maxPixels, decodeForeign) {
      const { width, height, still, left, top, exif } = readWebp(data);
      if (width * height > maxPixels) throw tooLarge(width, height, maxPixels);
      const image = await decodeForeign(still, "webp", 8);
      if (left + image.width > width || top + image.height > height) throw damaged("its picture has another size than it says");
      const pixels = new Uint8ClampedArray(width * height * 3);
      for (let y = 0; y < image.height; y++) {
        let at = 3 * ((top + y) * width + left);
        for (let from = 4 * y * image.width; from < 4 * (y + 1) * image.width; from += 4, at += 3) {
          pixels[at] = image.data[from];
          pixels[at + 1] = image.data[from + 1];
          pixels[at + 2] = image.data[from + 2];
        }
      }
      return upright({ width, height, pixels }, orientationIn(exif));
    }
    async function decodeHeif(data, format, maxPixels, decodeForeign) {
      const said = readHeif(data);
      if (!said) throw damaged("its size is missing");
      if (said.width * said.height > maxPixels) throw tooLarge(said.width, said.height, maxPixels);
      const deep = said.colour !== null && said.width * said.height <= MOST_DEEP_PIXELS;
      const { width, height, data: rgba } = await decodeForeign(data, format, deep ? 16 : 8);
      if (rgba instanceof Uint16Array && said.colour) return upright({ width, height, pixels: toLibyuv({ width, height, data: rgba }, said.colour) }, said.orientation);
      const pixels = new Uint8ClampedArray(width * height * 3);
      for (let from = 0, at = 0; at < pixels.length; from += 4, at += 3) {
        pixels[at] = rgba[from];
        pixels[at + 1] = rgba[from + 1];
        pixels[at + 2] = rgba[from + 2];
      }
      return upright({ width, height, pixels }, format === "avif" ? said.orientation : 1);
    }
    async function refuse(_data, format) {
      throw new ImageError2(
        `The image is ${NAMES[format]}, which is not decoded here: convert it to JPEG or PNG, or give its pixels as {data, width, height}`,
        "ERR_IMAGE_FORMAT"
      );
    }
    function checkStructure(data) {
      const format = formatOf(data);
      if (format === "jpeg") checkScans(data, pixelsOf2(data) ?? 0);
      if (format === "png") checkParts(data);
      if (format === "webp") checkWebp(data);
    }
    function checkBytes(bytes, maxBytes) {
      if (bytes > maxBytes) throw new ImageError2(`The image has ${bytes} bytes; at most ${maxBytes} are read`, "ERR_IMAGE_TOO_LARGE");
    }
    module.exports = { checkBytes, checkStructure, decodeImage, MAX_BYTES, MAX_PIXELS };
  }
});

// node_runner/package/lib/preprocess.js
var require_preprocess = __commonJS({
  "node_runner/package/lib/preprocess.js"(exports, module) {
    "use strict";
    var f = Math.fround;
    var SMALLEST = f(1e3 * f(117549435e-46));
    function preprocess(picture, preprocessing, out, at = 0) {
      const { height, width } = preprocessing;
      const size = [picture.height, picture.width];
      const target = [height, width];
      const [down, across] = target.map((side, axis) => f(size[axis] * f(1 / side)));
      const ratio = Math.min(down, across);
      const spans = [0, 1].map((axis) => {
        const share = f(preprocessing.crop_fraction);
        const kept = preprocessing.crop === "centre" ? f(f(target[axis] * share) * ratio) : f(size[axis] * share);
        const extent = Math.max(kept, 1);
        const middle = f(f(f(size[axis] - kept) / 2) - f(f(extent - kept) / 2));
        const origin = Math.min(Math.max(middle, 0), f(size[axis] - extent));
        const scale = f(target[axis] / extent);
        return computeSpans(target[axis], size[axis], scale, f(-origin * scale));
      });
      resize(picture, spans[0], spans[1], target, out, at);
      finish(preprocessing, out, at);
    }
    function computeSpans(outputSize, inputSize, scale, translation) {
      const inverseScale = f(1 / scale);
      const inverseTranslation = f(-inverseScale * translation);
      const kernelScale = Math.max(inverseScale, 1);
      const oneOverKernelScale = f(1 / kernelScale);
      const stride = Math.min(2 * Math.ceil(kernelScale) + 1, inputSize);
      const starts = new Int32Array(outputSize);
      const sizes = new Int32Array(outputSize);
      const weights = new Float32Array(outputSize * stride);
      for (let x = 0; x < outputSize; x++) {
        const sample = f(f((x + 0.5) * inverseScale) + inverseTranslation);
        if (sample < 0 || sample > inputSize) continue;
        const start = clamp(Math.ceil(f(f(sample - kernelScale) - 0.5)), 0, inputSize - 1);
        const end = clamp(Math.floor(f(f(sample + kernelScale) - 0.5)), 0, inputSize - 1) + 1;
        let total = 0;
        for (let source = start; source < end; source++) {
          const distance = Math.abs(f(f(f(source + 0.5) - sample) * oneOverKernelScale));
          const weight = distance < 1 ? f(1 - distance) : 0;
          total = f(total + weight);
          weights[x * stride + source - start] = weight;
        }
        starts[x] = start;
        if (Math.abs(total) < SMALLEST) continue;
        sizes[x] = end - start;
        const oneOverTotal = f(1 / total);
        for (let i = x * stride; i < x * stride + end - start; i++) weights[i] = f(weights[i] * oneOverTotal);
      }
      return { starts, sizes, weights, stride };
    }
    function resize({ width: inputWidth, pixels }, rows, columns, [height, width], out, at) {
      const length = inputWidth * 3;
      const line = new Float32Array(length);
      for (let y = 0; y < height; y++) {
        line.fill(0);
        for (let i = 0; i < rows.sizes[y]; i++) {
          const weight = rows.weights[y * rows.stride + i];
          const from = (rows.starts[y] + i) * length;
          for (let x = 0; x < length; x++) line[x] = f(line[x] + f(weight * pixels[from + x]));
        }
        for (let x = 0; x < width; x++, at += 3) {
          let red = f(0);
          let green = f(0);
          let blue = f(0);
          const first = x * columns.stride;
          let from = columns.starts[x] * 3;
          for (let i = first; i < first + columns.sizes[x]; i++, from += 3) {
            const weight = columns.weights[i];
            red = f(red + f(weight * line[from]));
            green = f(green + f(weight * line[from + 1]));
            blue = f(blue + f(weight * line[from + 2]));
          }
          out[at] = red;
          out[at + 1] = green;
          out[at + 2] = blue;
        }
      }
    }
    function finish({ height, width, mean, std, channel_order: order }, out, start) {
      const three = (values) => Float32Array.from({ length: 3 }, (_, i) => values[values.length === 3 ? i : 0]);
      const means = three(mean);
      const factors = three(std).map((deviation) => 1 / deviation);
      const swap = order === "bgr";
      const end = start + height * width * 3;
      for (let i = start; i < end; i += 3) {
        const red = clamp(out[i], 0, 255);
        const green = clamp(out[i + 1], 0, 255);
        const blue = clamp(out[i + 2], 0, 255);
        out[i] = f(f((swap ? blue : red) - means[0]) * factors[0]);
        out[i + 1] = f(f(green - means[1]) * factors[1]);
        out[i + 2] = f(f((swap ? red : blue) - means[2]) * factors[2]);
      }
    }
    function clamp(value, least, most) {
      return Math.min(Math.max(value, least), most);
    }
    module.exports = { preprocess };
  }
});

// node_runner/package/lib/prepare.js
var require_prepare = __commonJS({
  "node_runner/package/lib/prepare.js"(exports, module) {
    "use strict";
    var { decodeImage } = require_decode();
    var { preprocess } = require_preprocess();
    async function prepare(source, preprocessing, limits, decodeForeign) {
      const picture = "bytes" in source ? await decodeImage(source.bytes, limits, decodeForeign) : source.picture;
      const values = new Float32Array(preprocessing.height * preprocessing.width * 3);
      preprocess(picture, preprocessing, values);
      return values;
    }
    function preparerHere(preprocessing, limits, decodeForeign) {
      let last = Promise.resolve();
      return {
        prepare(source, signal) {
          const made = last.then(() => {
            signal?.throwIfAborted();
            return prepare(source, preprocessing, limits, decodeForeign);
          });
          last = made.then(pause, pause);
          return made;
        },
        close() {
        }
      };
    }
    function pause() {
      return new Promise((resolve) => {
        if (typeof setImmediate === "function") setImmediate(resolve);
        else setTimeout(resolve);
      });
    }
    module.exports = { prepare, preparerHere };
  }
});

// node_runner/package/lib/options.js
var require_options = __commonJS({
  "node_runner/package/lib/options.js"(exports, module) {
    "use strict";
    var { DeployError: DeployError2 } = require_errors();
    function checkOptions(options, known, of) {
      if (typeof options !== "object" || options === null || Array.isArray(options)) {
        throw new DeployError2(`The options of ${of} must be an object such as {${known[0]}}, not ${options === null ? "null" : typeof options}`, "ERR_INPUT");
      }
      const unknown = Object.keys(options).find((name) => !known.includes(name));
      if (unknown !== void 0) {
        throw new DeployError2(`${of} has no option ${JSON.stringify(unknown.slice(0, 100))}; it has ${known.join(", ")}`, "ERR_INPUT");
      }
    }
    module.exports = { checkOptions };
  }
});

// node_runner/package/lib/streams.js
var require_streams = __commonJS({
  "node_runner/package/lib/streams.js"(exports, module) {
    "use strict";
    var { DeployError: DeployError2, ImageError: ImageError2 } = require_errors();
    var { checkBytes } = require_decode();
    async function readResponse(response, maxBytes, signal) {
      if (!response.ok) throw new DeployError2(`The input is a Response with the status ${response.status}`, "ERR_INPUT");
      if (response.bodyUsed) throw new DeployError2("The input is a Response whose body was read already", "ERR_INPUT");
      return response.body ? readStream(response.body, maxBytes, signal) : new Uint8Array(0);
    }
    function isStream(input) {
      return typeof input.getReader === "function" || typeof input[Symbol.asyncIterator] === "function";
    }
    async function readStream(stream, maxBytes, signal) {
      const reader = readerOf(stream);
      const chunks = [];
      let length = 0;
      let abort = () => {
      };
      const aborted = new Promise((_resolve, reject) => {
        abort = () => reject(signal?.reason);
        if (signal?.aborted) abort();
        signal?.addEventListener("abort", abort, { once: true });
      });
      aborted.catch(() => {
      });
      try {
        for (; ; ) {
          const { done, value } = await Promise.race([reader.next().catch(failed), aborted]);
          if (done) break;
          if (!ArrayBuffer.isView(value)) throw new DeployError2(`The input is a stream of ${typeof value}, not of bytes`, "ERR_INPUT");
          length += value.byteLength;
          checkBytes(length, maxBytes);
          chunks.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
        }
      } catch (error) {
        reader.close();
        throw error;
      } finally {
        signal?.removeEventListener("abort", abort);
      }
      const bytes = new Uint8Array(length);
      let at = 0;
      for (const chunk of chunks) {
        bytes.set(chunk, at);
        at += chunk.length;
      }
      return bytes;
    }
    function readerOf(stream) {
      const ignore = () => {
      };
      if (typeof stream.getReader === "function") {
        if (stream.locked) throw new DeployError2("The input is a stream that somebody else reads", "ERR_INPUT");
        const reader = stream.getReader();
        return { next: () => reader.read(), close: () => reader.cancel().catch(ignore) };
      }
      const iterator = stream[Symbol.asyncIterator]();
      return { next: async () => iterator.next(), close: () => void Promise.resolve(stream.destroy?.() ?? iterator.return?.()).catch(ignore) };
    }
    function failed(error) {
      throw new ImageError2(`The image cannot be read: ${error?.message ?? error}`, "ERR_IMAGE_UNREADABLE");
    }
    module.exports = { isStream, readResponse, readStream };
  }
});

// node_runner/package/lib/input.js
var require_input = __commonJS({
  "node_runner/package/lib/input.js"(exports, module) {
    "use strict";
    var { DeployError: DeployError2, ImageError: ImageError2 } = require_errors();
    var { checkBytes } = require_decode();
    var { isStream, readResponse, readStream } = require_streams();
    var KINDS = "Give the bytes of an image file (Buffer, Uint8Array, ArrayBuffer, Blob, Response, a stream), its path or file: address, {data, width, height}, or an int32 tensor of shape [height, width, 3]";
    async function toSource(input, reading, signal) {
      if (typeof input === "string" || typeof URL !== "undefined" && input instanceof URL) {
        const [scheme] = /^[a-z][a-z0-9+-]+:\/\//i.exec(String(input)) ?? ["file://"];
        if (scheme.toLowerCase() !== "file://") throw unusable(`an address with ${scheme}, which is not fetched here: give the Response of fetch`);
        if (!reading.readFile) throw unusable("a string: there are no paths in a browser");
        const bytes = await reading.readFile(input, reading.maxBytes);
        return { bytes: bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes) };
      }
      if (typeof input !== "object" || input === null) throw unusable(input === null ? "null" : typeof input);
      if (ArrayBuffer.isView(input)) return copyOf(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), reading);
      if (isBuffer(input)) return copyOf(new Uint8Array(input), reading);
      if (typeof Blob !== "undefined" && input instanceof Blob) {
        checkBytes(input.size, reading.maxBytes);
        return { bytes: new Uint8Array(await input.arrayBuffer()) };
      }
      if (typeof Response !== "undefined" && input instanceof Response) return { bytes: await readResponse(input, reading.maxBytes, signal) };
      if (isStream(input)) return { bytes: await readStream(input, reading.maxBytes, signal) };
      if (Array.isArray(input.shape) && typeof input.data === "function") return { picture: await fromTensor(input, reading.maxPixels) };
      if ("width" in input && "height" in input && "data" in input) return { picture: fromPixels(input, reading.maxPixels) };
      throw unusable("an object of another kind");
    }
    function isBuffer(input) {
      return ["[object ArrayBuffer]", "[object SharedArrayBuffer]"].includes(Object.prototype.toString.call(input));
    }
    function copyOf(bytes, { maxBytes }) {
      checkBytes(bytes.length, maxBytes);
      return { bytes: new Uint8Array(bytes) };
    }
    async function fromTensor(tensor, maxPixels) {
      const { shape, dtype } = tensor;
      const [height, width, channels] = shape;
      if (shape.length !== 3 || ![1, 3, 4].includes(channels) || dtype !== "int32") {
        throw unusable(`a ${dtype} tensor of shape [${shape.join(", ")}]`);
      }
      checkSize(width, height, maxPixels);
      const values = await tensor.data();
      for (let i = 0; i < values.length; i++) {
        if (values[i] < 0 || values[i] > 255) throw unusable(`a tensor with the value ${values[i]}; pixels are 0 to 255`);
      }
      return { width, height, pixels: rgb(values, channels, width * height) };
    }
    function fromPixels({ data, width, height }, maxPixels) {
      if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
        throw unusable("{data, width, height} whose data are not a Uint8Array or Uint8ClampedArray");
      }
      checkSize(width, height, maxPixels);
      const channels = data.length / (width * height);
      if (![1, 3, 4].includes(channels)) {
        throw unusable(`${data.length} numbers for ${width} x ${height} pixels, which need 1, 3 (RGB) or 4 (RGBA) for each`);
      }
      return { width, height, pixels: channels === 3 ? data.slice() : rgb(data, channels, width * height) };
    }
    function checkSize(width, height, maxPixels) {
      const whole = (side) => Number.isInteger(side) && Number(side) >= 1;
      if (!whole(width) || !whole(height)) throw unusable(`a picture of ${String(width)} x ${String(height)} pixels`);
      if (Number(width) * Number(height) > maxPixels) {
        throw new ImageError2(`The image has ${width} x ${height} pixels; at most ${maxPixels} are taken`, "ERR_IMAGE_TOO_LARGE");
      }
    }
    function rgb(values, channels, count) {
      const pixels = new Uint8Array(count * 3);
      const step = channels === 1 ? 0 : 1;
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < 3; k++) pixels[3 * i + k] = values[channels * i + k * step];
      }
      return pixels;
    }
    function unusable(what) {
      return new DeployError2(`The input is ${what}. ${KINDS}.`, "ERR_INPUT");
    }
    module.exports = { toSource };
  }
});

// node_runner/package/lib/predict_batch.js
var require_predict_batch = __commonJS({
  "node_runner/package/lib/predict_batch.js"(exports, module) {
    "use strict";
    var { checkStructure } = require_decode();
    var { formatOf } = require_format();
    var { pixelsOf: pixelsOf2 } = require_size();
    var { toSource } = require_input();
    var MOST_PIXELS = 64e6;
    async function predictBatch({ engine, preparer, reading, shape }, inputs, signal) {
      const sources = await Promise.all(inputs.map((input) => sourceOf(input, shape, reading, signal).catch(asError)));
      signal?.throwIfAborted();
      const outcomes = sources.map((source) => source instanceof Error ? source : void 0);
      for (const group of engine.predictFiles ? groupsOf(sources, reading.maxPixels) : []) await byFiles(engine, sources, group, outcomes);
      await byPreparing(engine, preparer, sources, shape, outcomes, signal);
      return (
        /** @type {Outcome[]} */
        outcomes
      );
    }
    async function sourceOf(input, [height, width, channels], reading, signal) {
      if (input instanceof Float32Array && input.length === height * width * channels) return { values: input };
      return toSource(input, reading, signal);
    }
    function groupsOf(sources, maxPixels) {
      const groups = [];
      let room = 0;
      sources.forEach((source, i) => {
        const pixels = !(source instanceof Error) && "bytes" in source ? pixelsForTensorflow(source.bytes) : null;
        if (pixels === null || pixels > maxPixels) return;
        room -= pixels;
        if (room < 0 || groups.length === 0) {
          groups.push([]);
          room = MOST_PIXELS - pixels;
        }
        groups[groups.length - 1].push(i);
      });
      return groups;
    }
    function pixelsForTensorflow(file) {
      try {
        checkStructure(file);
        return ["jpeg", "png"].includes(formatOf(file)) ? pixelsOf2(file) : null;
      } catch {
        return null;
      }
    }
    async function byFiles(engine, sources, group, outcomes) {
      let output;
      try {
        output = engine.predictFiles?.(group.map((i) => (
          /** @type {{bytes: Uint8Array}} */
          sources[i].bytes
        )));
      } catch {
        if (group.length === 1) return;
        const middle = group.length >> 1;
        await byFiles(engine, sources, group.slice(0, middle), outcomes);
        return byFiles(engine, sources, group.slice(middle), outcomes);
      }
      (await rowsOf(output)).forEach((row, position) => outcomes[group[position]] = row);
    }
    async function byPreparing(engine, preparer, sources, shape, outcomes, signal) {
      const missing = outcomes.flatMap((outcome, i) => outcome === void 0 ? [i] : []);
      const prepared = await Promise.all(
        missing.map(async (i) => {
          const source = (
            /** @type {Source} */
            sources[i]
          );
          return "values" in source ? source.values : preparer.prepare(source, signal).catch(asError);
        })
      );
      signal?.throwIfAborted();
      const good = [];
      missing.forEach((i, position) => {
        const values2 = prepared[position];
        if (values2 instanceof Error) outcomes[i] = values2;
        else good.push(values2);
      });
      if (good.length === 0) return;
      const size = good[0].length;
      const values = new Float32Array(good.length * size);
      good.forEach((picture, row) => values.set(picture, row * size));
      const batch = engine.tf.tensor(values, [good.length, ...shape], "float32");
      let rows;
      try {
        rows = await rowsOf(engine.predict(batch));
      } finally {
        batch.dispose();
      }
      for (const i of missing) outcomes[i] ??= rows.shift();
    }
    async function rowsOf(output) {
      const [count, classes] = output.shape;
      try {
        const values = await output.data();
        return Array.from({ length: count }, (_, row) => values.slice(row * classes, (row + 1) * classes));
      } finally {
        output.dispose();
      }
    }
    function asError(reason) {
      return reason instanceof Error ? reason : new Error(String(reason));
    }
    module.exports = { predictBatch };
  }
});

// node_runner/package/lib/classifier.js
var require_classifier = __commonJS({
  "node_runner/package/lib/classifier.js"(exports, module) {
    "use strict";
    var { DeployError: DeployError2, IntegrityError: IntegrityError2 } = require_errors();
    var { MAX_BYTES, MAX_PIXELS } = require_decode();
    var { preparerHere } = require_prepare();
    var { checkOptions } = require_options();
    var { predictBatch } = require_predict_batch();
    var Classifier = class {
      /** @type {Engine | null} */
      #engine;
      /** @type {import('./input').Reading} */
      #reading;
      /** @type {import('./prepare').Preparer} */
      #preparer;
      /**
       * @param {Manifest} manifest
       * @param {Engine} engine
       * @param {ReadingOptions} [options]
       */
      constructor(manifest, engine, { readFile, preparer = preparerHere, maxPixels = MAX_PIXELS, maxBytes = MAX_BYTES } = {}) {
        const limits = { maxPixels: positive(maxPixels, "maxPixels"), maxBytes: positive(maxBytes, "maxBytes") };
        this.#engine = engine;
        this.#reading = { readFile, ...limits };
        this.#preparer = preparer(manifest.preprocessing, limits);
        this.manifest = manifest;
        this.labels = Object.freeze([...manifest.labels]);
        this.runtime = engine.runtime;
        this.form = engine.form;
      }
      /**
       * @param {unknown} input an image; see `toSource` in `input.js`
       * @param {ClassifyOptions} [options] how many answers; all by default
       * @returns {Promise<Answer[]>} best first
       */
      async classify(input, options = {}) {
        checkOptions(options, ["topK", "signal"], "classify");
        const [answers] = await this.#run([input], { ...options, batchSize: 1 });
        return answers;
      }
      /**
       * @param {Iterable<unknown>} inputs
       * @param {ManyOptions} [options] `batchSize` images, 16 by default, are in memory at a time
       * @returns {Promise<Answer[][]>} in the order of the inputs
       */
      async classifyMany(inputs, options = {}) {
        checkOptions(options, ["topK", "signal", "batchSize"], "classifyMany");
        if (typeof inputs !== "object" || inputs === null || !(Symbol.iterator in inputs) || ArrayBuffer.isView(inputs)) {
          throw new DeployError2("classifyMany takes an array of images; for one image there is classify", "ERR_INPUT");
        }
        return this.#run([...inputs], options);
      }
      /**
       * For servers, which put the pictures of many callers into one batch.
       *
       * @param {unknown[]} inputs one batch of images
       * @returns {Promise<(Float32Array | Error)[]>} for each the probabilities in the order of `labels`; an image that cannot be used costs
       *   the others nothing: its error stands in its place
       */
      async settle(inputs) {
        return this.#settle(inputs);
      }
      /**
       * @param {any} batch float32 tensor of shape [images, height, width, 3], preprocessed; it stays the caller's
       * @returns {any} tensor of shape [images, labels], the caller's to dispose
       */
      predict(batch) {
        const { height, width } = this.manifest.preprocessing;
        const shape = batch?.shape;
        if (!Array.isArray(shape) || shape.length !== 4 || shape.slice(1).join() !== `${height},${width},3` || batch.dtype !== "float32") {
          const found = Array.isArray(shape) ? `a ${batch.dtype} tensor of shape [${shape.join(", ")}]` : typeof batch;
          throw new DeployError2(`predict takes a float32 tensor of shape [images, ${height}, ${width}, 3], not ${found}`, "ERR_INPUT");
        }
        return this.#running().predict(batch);
      }
      /** Frees the model. Calls that come later are rejected; it may be called twice. */
      dispose() {
        this.#preparer.close();
        this.#engine?.dispose();
        this.#engine = null;
      }
      /**
       * @param {unknown[]} inputs
       * @param {ManyOptions} options
       * @returns {Promise<Answer[][]>}
       */
      async #run(inputs, { topK = this.labels.length, batchSize = 16, signal }) {
        positive(topK, "topK");
        positive(batchSize, "batchSize");
        this.#running();
        signal?.throwIfAborted();
        const results = [];
        for (let start = 0; start < inputs.length; start += batchSize) {
          const found = await this.#settle(inputs.slice(start, start + batchSize), signal);
          signal?.throwIfAborted();
          found.forEach((probabilities, i) => {
            if (probabilities instanceof Error) throw inputs.length > 1 ? withIndex(probabilities, start + i) : probabilities;
            results.push(this.#answers(probabilities, topK));
          });
        }
        return results;
      }
      /**
       * @param {unknown[]} inputs
       * @param {AbortSignal} [signal]
       * @returns {Promise<(Float32Array | Error)[]>}
       */
      async #settle(inputs, signal) {
        const { height, width } = this.manifest.preprocessing;
        const parts = { engine: this.#running(), preparer: this.#preparer, reading: this.#reading, shape: [height, width, 3] };
        try {
          return await predictBatch(parts, inputs, signal);
        } catch (error) {
          this.#running();
          throw error;
        }
      }
      /**
       * @param {Float32Array} probabilities
       * @param {number} topK
       * @returns {Answer[]}
       */
      #answers(probabilities, topK) {
        return this.labels.map((label, i) => ({ label, probability: probabilities[i] })).sort((a, b) => b.probability - a.probability).slice(0, topK);
      }
      /** @returns {Engine} */
      #running() {
        if (!this.#engine) throw new DeployError2("The classifier was disposed of; load it again", "ERR_DISPOSED");
        return this.#engine;
      }
    };
    async function selfCheck(classifier) {
      const { width, height, labels = classifier.labels, probabilities, tolerance } = classifier.manifest.check;
      if (labels.length !== classifier.labels.length || labels.some((label, i) => label !== classifier.labels[i])) {
        throw new IntegrityError2("manifest.json has other labels than those that Python answered with. Install or deploy the package again");
      }
      const [found] = await classifier.settle([{ data: checkPicture(width, height), width, height }]);
      if (found instanceof Error) throw found;
      const { length } = classifier.labels;
      if (found.length !== length || probabilities.length !== length) {
        throw new IntegrityError2(`manifest.json has ${length} labels for a model of ${found.length}. Install or deploy the package again`);
      }
      const worst = Math.max(...Array.from(found, (probability, i) => Math.abs(probability - probabilities[i])));
      if (!(worst <= tolerance)) {
        throw new DeployError2(
          `This TensorFlow.js (${classifier.runtime}) computes other probabilities than Python: they differ by ${worst}, and at most ${tolerance} are expected. Use another version of TensorFlow.js, or load with {check: false} to go on all the same`,
          "ERR_RUNTIME"
        );
      }
      return worst;
    }
    function checkPicture(width, height) {
      const data = new Uint8Array(width * height * 3);
      for (let y = 0, at = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          for (let channel = 0; channel < 3; channel++) {
            const wave = (x * (3 + channel) + y * (5 - channel) + 40 * channel) % 510;
            data[at++] = wave < 256 ? wave : 510 - wave;
          }
        }
      }
      return data;
    }
    function positive(value, name) {
      if (!Number.isInteger(value) || Number(value) < 1) {
        throw new DeployError2(`${name} must be a whole number of at least 1, not ${String(value)}`, "ERR_INPUT");
      }
      return Number(value);
    }
    function withIndex(error, index) {
      if (!(error instanceof DeployError2)) return error;
      error.message = `inputs[${index}]: ${error.message}`;
      return Object.assign(error, { index });
    }
    module.exports = { Classifier, selfCheck };
  }
});

// node_runner/package/lib/manifest.js
var require_manifest = __commonJS({
  "node_runner/package/lib/manifest.js"(exports, module) {
    "use strict";
    var { DeployError: DeployError2, IntegrityError: IntegrityError2 } = require_errors();
    var SAFE_NAME = /^(?!\.{1,2}(\/|$))[A-Za-z0-9_.-]{1,128}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.-]{1,128}){0,8}$/;
    var MOST_FILES = 1e4;
    var DESCRIPTION = "model/classifier.json";
    var DESCRIBED = (
      /** @type {const} */
      ["labels", "preprocessing", "model", "graph", "saved_model", "check", "kind", "signatures", "default_signature"]
    );
    function checkManifest(value) {
      const manifest = (
        /** @type {Manifest} */
        value
      );
      if (typeof value !== "object" || value === null || manifest.format !== "pybridge-package") {
        throw new IntegrityError2("manifest.json is not that of a package of pybridge");
      }
      if (isModel(value)) return checkModelManifest(
        /** @type {any} */
        value
      );
      if (manifest.version !== 1) throw new DeployError2(`manifest.json has the unknown version ${manifest.version}`, "ERR_INTEGRITY");
      const { labels, files, model, preprocessing } = manifest;
      const complete = Array.isArray(labels) && labels.length > 0 && labels.every((label) => typeof label === "string");
      if (!complete || !isObject(files) || !isObject(model) || !isObject(preprocessing)) {
        throw new IntegrityError2("manifest.json is incomplete: deploy the run again");
      }
      const { height, width, mean, std } = preprocessing;
      const side = (size) => Number.isInteger(size) && Number(size) >= 1 && Number(size) <= 8192;
      if (!side(height) || !side(width) || !Array.isArray(mean) || !Array.isArray(std)) {
        throw new IntegrityError2("manifest.json has an impossible preprocessing");
      }
      return checkFiles(manifest);
    }
    function isModel(manifest) {
      return manifest.kind === "model";
    }
    function checkModelManifest(manifest) {
      const { version, files, model, saved_model: form, signatures, default_signature: first, check } = manifest;
      if (version !== 1) throw new DeployError2(`manifest.json has the unknown version ${version}`, "ERR_INTEGRITY");
      const port = (each) => isObject(each) && typeof each.name === "string" && typeof each.dtype === "string" && (each.shape === null || Array.isArray(each.shape) && each.shape.every((size) => size === null || Number.isInteger(size) && Number(size) >= 0));
      const ports = (list) => Array.isArray(list) && list.length > 0 && list.every(port);
      const texts = (list, like) => Array.isArray(list) && list.length === like.length && list.every((each) => typeof each === "string");
      const complete = isObject(files) && isObject(signatures) && Object.hasOwn(signatures, String(first)) && Object.values(signatures).every((each) => isObject(each) && ports(each.inputs) && ports(each.outputs)) && (model === null || isObject(model) && texts(model.inputs, signatures[first].inputs) && texts(model.outputs, signatures[first].outputs)) && (form === null || isObject(form) && isObject(form.signatures) && Object.entries(form.signatures).every(
        ([name, each]) => Object.hasOwn(signatures, name) && texts(
          /** @type {any} */
          each.inputs,
          signatures[name].inputs
        ) && texts(
          /** @type {any} */
          each.outputs,
          signatures[name].outputs
        )
      )) && (model !== null || form !== null) && (check === null || isObject(check) && Array.isArray(check.inputs) && check.inputs.length === signatures[first].inputs.length && Array.isArray(check.outputs));
      if (!complete) throw new IntegrityError2("manifest.json is incomplete: deploy the model again");
      return checkFiles(manifest);
    }
    function checkFiles(manifest) {
      const { files } = manifest;
      const names = Object.keys(files);
      if (names.length > MOST_FILES) throw new IntegrityError2(`manifest.json names ${names.length} files`);
      const needed = neededFiles(manifest);
      for (const name of [...names, ...needed]) checkName(name);
      const missing = needed.find((name) => !Object.hasOwn(files, name));
      if (missing !== void 0) throw new IntegrityError2(`manifest.json has no hash of ${missing}`);
      return manifest;
    }
    async function checkDescription(manifest, read) {
      if (!Object.hasOwn(manifest.files, DESCRIPTION)) return;
      const packed = parse(await read(DESCRIPTION), DESCRIPTION);
      const altered = DESCRIBED.find((name) => !equal(
        /** @type {any} */
        manifest[name] ?? null,
        packed?.[name] ?? null
      ));
      if (altered !== void 0) throw new IntegrityError2(`manifest.json was altered: its ${altered} is not what was packed. Install or deploy the package again`);
    }
    function equal(a, b) {
      if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
      const names = Object.keys(a);
      return Array.isArray(a) === Array.isArray(b) && names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]));
    }
    function neededFiles(manifest) {
      const { file, layers = null } = manifest.model ?? { file: null };
      const { graph } = manifest;
      if (graph && !isObject(graph)) throw new IntegrityError2("manifest.json has an impossible graph");
      return [...file === null ? [] : [file], ...layers ? [layers] : [], ...graph ? [graph.file] : [], ...savedModels(manifest)];
    }
    function savedModels({ saved_model: form }) {
      if (!form) return [];
      if ("folder" in form) return [`${form.folder}/saved_model.pb`];
      if (!isObject(form) || !Array.isArray(form.stages)) throw new IntegrityError2("manifest.json has an impossible saved_model");
      const parts = form.images ? [form.images, ...form.stages] : form.stages;
      return parts.map((part) => `${part?.folder}/saved_model.pb`);
    }
    function checkName(name) {
      if (typeof name === "string" && SAFE_NAME.test(name)) return name;
      throw new IntegrityError2(`${JSON.stringify(String(name).slice(0, 200))} is not the name of a file inside of the package`);
    }
    async function modelHandler(manifest, read, file = manifest.model.file) {
      const document = parse(await read(file), file);
      const folder = file.split("/").slice(0, -1).join("/");
      const groups = document.weightsManifest;
      if (!isObject(document.modelTopology) || !Array.isArray(groups)) throw new IntegrityError2(`${file} holds no model`);
      const specs = [];
      const parts = [];
      for (const group of groups) {
        for (const path of group.paths) {
          const name = checkName(folder ? `${folder}/${path}` : path);
          if (!Object.hasOwn(manifest.files, name)) throw new IntegrityError2(`manifest.json has no hash of ${name}`);
          parts.push(await read(name));
        }
        specs.push(...group.weights);
      }
      const weights = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        weights.set(part, at);
        at += part.length;
      }
      const { modelTopology, format, signature, userDefinedMetadata } = document;
      const artifacts = { modelTopology, format, signature, userDefinedMetadata, weightSpecs: specs, weightData: weights.buffer };
      return { load: async () => artifacts };
    }
    async function graphEngine(tf, manifest, read) {
      const model = await tf.loadGraphModel(await modelHandler(manifest, read, manifest.graph?.file));
      return { predict: (batch) => model.predict(batch), dispose: () => model.dispose() };
    }
    function parse(bytes, name) {
      try {
        return JSON.parse(new TextDecoder().decode(bytes));
      } catch {
        throw new IntegrityError2(`${name} is not JSON`);
      }
    }
    function isObject(value) {
      return typeof value === "object" && value !== null && !Array.isArray(value);
    }
    module.exports = { checkDescription, checkManifest, checkName, graphEngine, isModel, modelHandler, neededFiles, parse };
  }
});

// node_runner/package/lib/browser/load.js
var require_load = __commonJS({
  "node_runner/package/lib/browser/load.js"(exports, module) {
    "use strict";
    var { Classifier, selfCheck } = require_classifier();
    var { DeployError: DeployError2, ImageError: ImageError2, IntegrityError: IntegrityError2 } = require_errors();
    var { pixelsOf: pixelsOf2 } = require_size();
    var { checkDescription, checkManifest, graphEngine, modelHandler, parse } = require_manifest();
    var { checkOptions } = require_options();
    var OPTIONS = ["tf", "folder", "check", "maxPixels", "maxBytes"];
    function loaderOf2(addresses) {
      return async function load(options = {}) {
        checkOptions(options, OPTIONS, "load");
        const { folder, tf = await findTensorflow() } = options;
        const base = folder === void 0 ? void 0 : baseOf(folder);
        const addressOf = (name) => base === void 0 ? addresses[name] : new URL(name, base).href;
        const manifest = checkManifest(parse(await fetchBytes(addressOf("manifest.json"), "manifest.json"), "manifest.json"));
        const read = async (name) => {
          const bytes = await fetchBytes(addressOf(name), name);
          await compareHash(bytes, name, manifest.files[name].sha256);
          return bytes;
        };
        await checkDescription(manifest, read);
        const { form, ...model } = manifest.graph && tf.loadGraphModel ? { form: "graph", ...await graphEngine(tf, manifest, read) } : await layersEngine(tf, manifest, read);
        const engine = { tf, runtime: String(tf.getBackend()), form, ...model };
        const classifier = new Classifier(manifest, engine, { maxPixels: options.maxPixels, maxBytes: options.maxBytes });
        try {
          if (options.check ?? true) await selfCheck(classifier);
        } catch (error) {
          classifier.dispose();
          throw error;
        }
        return classifier;
      };
    }
    async function layersEngine(tf, manifest, read) {
      if (manifest.model.layers) await runScript(await read(manifest.model.layers), tf);
      const model = await tf.loadLayersModel(await modelHandler(manifest, read));
      return { form: "layers", predict: (batch) => model.predict(batch), dispose: () => model.dispose() };
    }
    async function findTensorflow() {
      let tf = (
        /** @type {any} */
        globalThis.tf
      );
      try {
        tf ??= await import("@tensorflow/tfjs");
      } catch {
        throw new DeployError2("There is no TensorFlow.js: `npm install @tensorflow/tfjs`, or pass your own with load({ tf })", "ERR_RUNTIME");
      }
      await tf.ready();
      return tf;
    }
    function baseOf(folder) {
      const { href } = new URL(
        folder,
        /** @type {any} */
        globalThis.location?.href
      );
      return new URL(href.endsWith("/") ? href : `${href}/`);
    }
    async function fetchBytes(address, name) {
      const response = await fetch(address).catch((error) => Promise.reject(new IntegrityError2(`${name} cannot be fetched: ${error.message}`)));
      if (!response.ok) throw new IntegrityError2(`${name} cannot be fetched: HTTP status ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    }
    async function compareHash(bytes, name, expected) {
      if (!globalThis.crypto?.subtle) return;
      const digest = new Uint8Array(await crypto.subtle.digest(
        "SHA-256",
        /** @type {any} */
        bytes
      ));
      const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
      if (hash !== expected) throw new IntegrityError2(`${name} was altered: its SHA-256 is not that in manifest.json`);
    }
    async function runScript(bytes, tf) {
      const page = (
        /** @type {any} */
        globalThis
      );
      const before = page.tf;
      const url = URL.createObjectURL(new Blob([
        /** @type {any} */
        bytes
      ], { type: "text/javascript" }));
      page.tf = tf;
      try {
        await import(
          /* webpackIgnore: true */
          /* @vite-ignore */
          url
        );
      } finally {
        page.tf = before;
        URL.revokeObjectURL(url);
      }
    }
    module.exports = { loaderOf: loaderOf2, pixelsOf: pixelsOf2, DeployError: DeployError2, ImageError: ImageError2, IntegrityError: IntegrityError2 };
  }
});

// node_runner/package/lib/browser/module.mjs
var import_load = __toESM(require_load(), 1);
var { loaderOf, pixelsOf, DeployError, ImageError, IntegrityError } = import_load.default;
export {
  DeployError,
  ImageError,
  IntegrityError,
  loaderOf,
  pixelsOf
};
