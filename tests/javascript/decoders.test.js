'use strict';

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { test } = require('node:test');

const { decodeImage } = require('../../node_runner/package/lib/image/decode');
const { pixelsOf } = require('../../node_runner/package/lib/image/size');
const { BASELINE_JPEG, JPEG_SHA256, PROGRESSIVE_JPEG, bmp, chunk, gif, png, pngHeader, scannedAgain } = require('./pictures');

const PIXELS = Uint8Array.from({ length: 5 * 4 * 3 }, (_, i) => (i * 37) % 256);

for (const [name, file] of Object.entries({ baseline: BASELINE_JPEG, progressive: PROGRESSIVE_JPEG })) {
  test(`a ${name} JPEG has the pixels that TensorFlow decodes`, async () => {
    const { width, height, pixels } = await decodeImage(file);
    assert.deepEqual([width, height], [19, 13]);
    assert.equal(createHash('sha256').update(pixels).digest('hex'), JPEG_SHA256);
  });
}

test('a PNG keeps its pixels', async () => {
  const { width, height, pixels } = await decodeImage(png(5, 4, PIXELS));
  assert.deepEqual([width, height], [5, 4]);
  assert.deepEqual(Buffer.from(pixels), Buffer.from(PIXELS));
});

test('a GIF is its first frame', async () => {
  const { pixels } = await decodeImage(gif(3));
  assert.deepEqual([...pixels], [200, 100, 50]);
});

test('a BMP is read from below', async () => {
  const file = bmp(2, 2);
  file.set([3, 2, 1], 54 + 8);
  const { pixels } = await decodeImage(file);
  assert.deepEqual([...pixels.subarray(0, 3)], [1, 2, 3]);
});

test('the number of pixels is known without decoding', () => {
  assert.equal(pixelsOf(png(5, 4, PIXELS)), 20);
  assert.equal(pixelsOf(BASELINE_JPEG), 19 * 13);
  assert.equal(pixelsOf(gif(3)), 1);
  assert.equal(pixelsOf(bmp(5, 4)), 20);
  assert.equal(pixelsOf(Buffer.from('These bytes are no picture.')), null);
});

test('a file that is cut off anywhere is damaged, never another error', async () => {
  for (const file of [BASELINE_JPEG, PROGRESSIVE_JPEG, png(5, 4, PIXELS), gif(1), bmp(5, 4)]) {
    for (let length = 0; length < file.length - 2; length += 7) {
      await decodeImage(file.subarray(0, length)).catch((error) => {
        assert.equal(error.name, 'ImageError', `${length} of ${file.length} bytes: ${error.stack}`);
      });
    }
  }
});

test('what is no picture, or of another format, is said', async () => {
  await assert.rejects(decodeImage(Buffer.from('hello')), { code: 'ERR_NOT_AN_IMAGE' });
  await assert.rejects(decodeImage(Buffer.alloc(0)), { code: 'ERR_NOT_AN_IMAGE', message: /no bytes/ });
  await assert.rejects(decodeImage(Buffer.from([0xff, 0x0a, 0, 0])), { code: 'ERR_IMAGE_FORMAT', message: /JPEG XL/ });
});

test('a PNG whose checksum is wrong is damaged', async () => {
  const file = png(5, 4, PIXELS);
  file[20] ^= 1;
  await assert.rejects(decodeImage(file), { code: 'ERR_IMAGE_DAMAGED', message: /checksum/ });
});

test('pixels and bytes are limited before anything is decoded', async () => {
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const bomb = Buffer.concat([signature, pngHeader(60000, 60000), chunk('IDAT'), chunk('IEND')]);
  await assert.rejects(decodeImage(bomb), { code: 'ERR_IMAGE_TOO_LARGE', message: /60000 x 60000/ });
  await assert.rejects(decodeImage(BASELINE_JPEG, { maxPixels: 100 }), { code: 'ERR_IMAGE_TOO_LARGE' });
  await assert.rejects(decodeImage(bmp(30, 30), { maxPixels: 100 }), { code: 'ERR_IMAGE_TOO_LARGE' });
  await assert.rejects(decodeImage(BASELINE_JPEG, { maxBytes: 100 }), { code: 'ERR_IMAGE_TOO_LARGE' });
});

for (const [what, file] of Object.entries({
  '20,000 scans': scannedAgain(20_000),
  'scans of many pixels': withSize(scannedAgain(60), 7000, 7000),
  'a million empty parts': png(5, 4, PIXELS, [Buffer.alloc(12_000_000, chunk('tEXt'))]),
  'a million empty parts of pixels': png(5, 4, PIXELS, [Buffer.alloc(12_000_000, chunk('IDAT'))]),
  '1.5 million frames': gif(1_500_000),
  'frames of many pixels': withFrames(gif(5000), 500, 500),
})) {
  test(`a picture of ${what} is refused before it is decoded`, async () => {
    await assert.rejects(decodeImage(file), { code: 'ERR_IMAGE_TOO_LARGE', message: /scans|parts|frames/ });
  });
}

test('what real encoders write is not refused', async () => {
  const parts = Array.from({ length: 900 }, () => chunk('tEXt', Buffer.from('Comment\0x')));
  for (const file of [scannedAgain(20), png(5, 4, PIXELS, parts), gif(2000)]) assert.ok((await decodeImage(file)).pixels.length > 0);
});

/** The same JPEG with another size in its header. */
function withSize(file, width, height) {
  const frame = file.indexOf(Buffer.from([0xff, 0xc2]));
  file.writeUInt16BE(height, frame + 5);
  file.writeUInt16BE(width, frame + 7);
  return file;
}

/** The same GIF whose frames say another size. */
function withFrames(file, width, height) {
  for (let at = file.indexOf(0x2c); at >= 0; at = file.indexOf(0x2c, at + 15)) {
    file.writeUInt16LE(width, at + 5);
    file.writeUInt16LE(height, at + 7);
  }
  return file;
}
