'use strict';

const { ServiceError, notFound } = require('../errors');
const { findNewest, stateOfFiles } = require('./repository');
const { ServedVersion } = require('./served_version');

/**
 * @typedef {import('./repository').Found} Found
 * @typedef {import('./served_version').Settings} Settings
 * @typedef {import('./served_version').Report} Report
 */

/** A version that failed is tried again after this time even where none of its files has changed. */
const TRY_AGAIN_MS = 60000;

/** One model: the version that answers, those that finish their work, and the one that is to come. */
class Model {
  #path;
  #settings;
  #report;
  /** @type {ServedVersion | null} */
  #current = null;
  /** @type {ServedVersion | null} */
  #coming = null;
  /** @type {Set<ServedVersion>} */
  #leaving = new Set();
  /** @type {{version: string, error: string, files: string, at: number} | null} */
  #failed = null;
  /** @type {Promise<void> | null} */
  #checking = null;
  #closed = false;

  /**
   * @param {{name: string, path: string}} place
   * @param {Settings} settings
   * @param {Report} report
   */
  constructor({ name, path }, settings, report) {
    this.name = name;
    this.#path = path;
    this.#settings = settings;
    this.#report = report;
  }

  /** @returns {boolean} */
  get ready() {
    return this.#current?.state === 'AVAILABLE';
  }

  /** @returns {{name: string, versions: {version: string, state: string, error?: string}[]}} */
  list() {
    const served = [this.#current, this.#coming, ...this.#leaving].flatMap((each) => (each ? [each] : []));
    const versions = served.map(({ version, state, error }) => ({ version, state: String(state), ...(error ? { error } : {}) }));
    if (this.#failed) versions.push({ version: this.#failed.version, state: 'FAILED', error: this.#failed.error });
    return { name: this.name, versions };
  }

  /**
   * @param {string | number} [wanted] by default the newest
   * @returns {ServedVersion} that answers
   * @throws {ServiceError}
   */
  version(wanted) {
    if (wanted !== undefined && String(wanted) !== this.#current?.version) {
      const known = this.list().versions.some(({ version }) => version === String(wanted));
      if (known) throw new ServiceError('UNAVAILABLE', 'This version of the model is not available now', { retryAfterSeconds: 1 });
      throw notFound(`The model ${this.name} has no version ${JSON.stringify(String(wanted).slice(0, 40))}`);
    }
    if (!this.#current) throw new ServiceError('UNAVAILABLE', 'The model is not available now', { retryAfterSeconds: 1 });
    return this.#current;
  }

  /**
   * Looks whether there is another version, and if so loads it beside the present one and then switches to it.
   *
   * @param {boolean} [asked] whether somebody asked: then a version that failed is tried again
   * @returns {Promise<void>}
   */
  async check(asked = false) {
    if (this.#checking && !asked) return;
    // Somebody who asks expects that what is there now is seen, so a check under way is not enough.
    while (this.#checking) await this.#checking;
    if (this.#closed) return;
    this.#checking = this.#check(asked).finally(() => (this.#checking = null));
    await this.#checking;
  }

  /** @returns {object[]} figures of each version */
  stats() {
    return [this.#current, ...this.#leaving].flatMap((each) => (each ? [each.stats()] : []));
  }

  /** Answers all that was accepted. */
  async empty() {
    await Promise.all([this.#current, ...this.#leaving].map((each) => each?.empty()));
  }

  async stop() {
    this.#closed = true;
    await Promise.all([this.#current, this.#coming, ...this.#leaving].map((each) => each?.stop()));
    await this.#checking;
  }

  /** @param {boolean} asked */
  async #check(asked) {
    const found = await findNewest(this.#path);
    if (!found) {
      if (!this.#current) throw new Error('there is no package, and no folder of packages named 1, 2, ...');
      return;
    }
    const version = found.version ?? this.#numberOf(found);
    if (found.digest === this.#current?.digest && version === this.#current.version) {
      this.#failed = null;
      return;
    }
    const files = await stateOfFiles(found);
    if (!asked && this.#failed?.files === files && Date.now() - this.#failed.at < TRY_AGAIN_MS) return;
    await this.#load(found, version, files);
  }

  /**
   * @param {Found} found a package without a number
   * @returns {string} one more than the last that answered, where it is another one
   */
  #numberOf({ digest }) {
    if (!this.#current) return '1';
    return digest === this.#current.digest ? this.#current.version : String(BigInt(this.#current.version) + 1n);
  }

  /**
   * @param {Found} found
   * @param {string} version
   * @param {string} files
   */
  async #load({ folder, digest }, version, files) {
    this.#failed = null;
    const coming = new ServedVersion({ name: this.name, version, folder, digest }, this.#settings, this.#report);
    this.#coming = coming;
    try {
      await coming.start();
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      this.#failed = { version, error: message, files, at: Date.now() };
      if (!this.#current) throw error;
      return;
    } finally {
      this.#coming = null;
    }
    if (this.#closed) return coming.stop();
    const before = this.#current;
    this.#current = coming;
    if (!before) return;
    this.#leaving.add(before);
    before.retire().finally(() => this.#leaving.delete(before));
  }
}

module.exports = { Model };
