'use strict';

const assert = require('node:assert/strict');
const { createHash } = require('node:crypto');
const { test } = require('node:test');

const { decodeImage } = require('../../node_runner/package/lib/image/decode');
const { pixelsOf } = require('../../node_runner/package/lib/image/size');
const { BASELINE_JPEG, JPEG_SHA256, PROGRESSIVE_JPEG, bmp, chunk, gif, png, pngHeader } = require('./pictures');

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

test('the number of pixels is known from the header alone', () => {
  assert.equal(pixelsOf(png(5, 4, PIXELS)), 20);
  assert.equal(pixelsOf(BASELINE_JPEG), 19 * 13);
  assert.equal(pixelsOf(gif(1)), null);
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
  await assert.rejects(decodeImage(Buffer.from('RIFF\0\0\0\0WEBPVP8 ')), { code: 'ERR_IMAGE_FORMAT', message: /WebP/ });
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
