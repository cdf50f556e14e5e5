'use strict';

// Controls, formatting (among it all that is bidirectional or invisible), half characters, ends of lines and paragraphs; but our
// own ends of lines, and the joiners that Persian, the languages of India and emoji need.
const OBEYED = /(?![\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Text in which nothing of others is obeyed by a terminal: as `\u001b`, which JSON reads back.
 *
 * @param {string} text
 * @returns {string}
 */
function printable(text) {
  return text.replace(OBEYED, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/**
 * Where a log goes whose lines hold names of others.
 *
 * @param {NodeJS.WritableStream} stream
 * @returns {{write: (line: string) => boolean}}
 */
function printableLog(stream) {
  return { write: (line) => stream.write(printable(line)) };
}

module.exports = { printable, printableLog };
