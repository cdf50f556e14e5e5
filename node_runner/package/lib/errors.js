'use strict';

/**
 * The errors that this package throws on purpose. `code` is stable and meant for programs, `message` for people:
 *
 * - `DeployError` `ERR_INPUT`: an argument cannot be used. `ERR_RUNTIME`: no TensorFlow.js was found, or it cannot run the model.
 *   `ERR_DISPOSED`: the classifier was disposed of.
 * - `IntegrityError` `ERR_INTEGRITY`: a file of the package is missing, altered, or lies outside of it.
 * - `ImageError` `ERR_NOT_AN_IMAGE`, `ERR_IMAGE_FORMAT` (a format that is not decoded), `ERR_IMAGE_DAMAGED` (truncated or
 *   corrupt), `ERR_IMAGE_TOO_LARGE`, `ERR_IMAGE_TOO_SLOW` (to decode), `ERR_IMAGE_UNREADABLE` (the file cannot be read).
 */
class DeployError extends Error {
  /**
   * @param {string} message what happened, and what to do about it
   * @param {string} code
   */
  constructor(message, code) {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}

class IntegrityError extends DeployError {
  /** @param {string} message */
  constructor(message) {
    super(message, 'ERR_INTEGRITY');
  }
}

class ImageError extends DeployError {}

/**
 * @param {string} what
 * @returns {ImageError}
 */
function damaged(what) {
  return new ImageError(`The image is damaged: ${what}`, 'ERR_IMAGE_DAMAGED');
}

/**
 * @param {number} width
 * @param {number} height
 * @param {number} maxPixels
 * @returns {ImageError}
 */
function tooLarge(width, height, maxPixels) {
  return new ImageError(`The image has ${width} x ${height} pixels; at most ${maxPixels} are decoded`, 'ERR_IMAGE_TOO_LARGE');
}

module.exports = { DeployError, ImageError, IntegrityError, damaged, tooLarge };
