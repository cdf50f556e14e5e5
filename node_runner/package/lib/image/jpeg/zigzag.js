'use strict';

/** From zigzag to natural order; damaged data may point up to 15 beyond the end (T.81, figure A.6). */
const NATURAL = new Uint8Array(80).fill(63);
for (let index = 0, sum = 0; sum < 15; sum++) {
  for (let i = Math.max(0, sum - 7); i <= Math.min(sum, 7); i++) {
    const row = sum % 2 === 0 ? sum - i : i;
    NATURAL[index++] = row * 8 + (sum - row);
  }
}

module.exports = { NATURAL };
