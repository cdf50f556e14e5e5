'use strict';

const { findVersions, stateOfFiles } = require('./repository');
const { ServedVersion } = require('./served_version');

/**
 * @typedef {import('./repository').Found} Found
 * @typedef {import('./served_version').Settings} Settings
 * @typedef {import('./served_version').Report} Report
 *
 * @typedef {object} Failed
 * @property {string} error
 * @property {string} files as they were
 * @property {number} at
 */

/** A version that failed is tried again after this time even where none of its files has changed. */
const TRY_AGAIN_MS = 60000;

/**
 * One line of versions, of which the newest that can be loaded answers: the one that does, those that finish their work, the one that
 * is to come, and those that failed.
 */
class Track {
  #name;
  #path;
  #accepts;
  #settings;
  #report;
  #hasOther;
  /** @type {ServedVersion | null} */
  #current = null;
  /** @type {ServedVersion | null} */
  #coming = null;
  /** @type {Set<ServedVersion>} */
  #leaving = new Set();
  /** @type {Map<string, Failed>} */
  #failed = new Map();
  /** @type {Promise<void> | null} */
  #checking = null;
  #closed = false;

  /**
   * @param {{name: string, path: string}} place
   * @param {(version: string | null) => boolean} accepts which versions belong to this line; null for a package without a number
   * @param {Settings} settings
   * @param {Report} report
   * @param {(broken: ServedVersion) => boolean} hasOther whether a version of another line can answer in place of one
   */
  constructor({ name, path }, accepts, settings, report, hasOther) {
    this.#hasOther = hasOther;
    this.#name = name;
    this.#path = path;
    this.#accepts = accepts;
    this.#settings = settings;
    this.#report = report;
  }

  /** @returns {ServedVersion | null} the one that answers */
  get current() {
    return this.#current;
  }

  /** @returns {{version: string, state: string, error?: string}[]} */
  list() {
    const served = [this.#current, this.#coming, ...this.#leaving].flatMap((each) => (each ? [each] : []));
    const versions = served.map(({ version, state, error }) => ({ version, state: String(state), ...(error ? { error } : {}) }));
    for (const [version, { error }] of this.#failed) {
      if (!served.some((each) => each.version === version)) versions.push({ version, state: 'FAILED', error });
    }
    return versions;
  }

  /**
   * Looks which versions there are, and if a newer or better one than the present is among them loads it beside that and then switches.
   *
   * @param {boolean} [asked] whether somebody asked: then a version that failed is tried again
   * @returns {Promise<void>}
   * @throws {Error} where nothing can be served
   */
  async check(asked = false) {
    if (this.#checking && !asked) return;
    // Somebody who asks expects that what is there now is seen, so a check under way is not enough.
    while (this.#checking) await this.#checking;
    if (this.#closed) return;
    this.#checking = this.#check(asked).finally(() => (this.#checking = null));
    await this.#checking;
  }

  /** @returns {import('./served_version').Stats[]} figures of each version */
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
    await this.#checking?.catch(() => {});
  }

  /** @param {boolean} asked */
  async #check(asked) {
    const found = (await findVersions(this.#path)).filter(({ version }) => this.#accepts(version));
    const versions = found.map((each) => each.version ?? this.#numberOf(each));
    for (const version of this.#failed.keys()) if (!versions.includes(version)) this.#failed.delete(version);
    /** @type {Error | undefined} */
    let first;
    for (const [i, each] of found.entries()) {
      const version = versions[i];
      const isCurrent = each.digest === this.#current?.digest && version === this.#current.version;
      if (isCurrent && !this.#current?.broken) {
        this.#failed.delete(version);
        return;
      }
      const files = await stateOfFiles(each);
      const before = this.#failed.get(version);
      if (isCurrent) {
        // Its processes are gone and do not come again; it tries further, unless an older version can answer.
        if (before?.files !== files) this.#failed.set(version, { error: this.#current?.broken ?? '', files, at: Date.now() });
        continue;
      }
      if (!asked && before?.files === files && Date.now() - before.at < TRY_AGAIN_MS) continue;
      const error = await this.#load(each, version, files);
      if (!error || this.#closed) return;
      first ??= error;
    }
    if (!this.#current) throw first ?? new Error('there is no package, and no folder of packages named 1, 2, ...');
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
   * @returns {Promise<Error | undefined>} why it cannot be served
   */
  async #load({ folder, digest }, version, files) {
    /** @type {ServedVersion} */
    const coming = new ServedVersion({ name: this.#name, version, folder, digest }, this.#settings, this.#report, () => this.#help(coming));
    this.#coming = coming;
    try {
      await coming.start();
    } catch (error) {
      this.#failed.set(version, { error: coming.error ?? '', files, at: Date.now() });
      return /** @type {Error} */ (error);
    } finally {
      this.#coming = null;
    }
    if (this.#closed) {
      await coming.stop();
      return undefined;
    }
    this.#failed.delete(version);
    const before = this.#current;
    this.#current = coming;
    if (before) {
      this.#leaving.add(before);
      before.retire().finally(() => this.#leaving.delete(before));
    }
    return undefined;
  }

  /**
   * Of a version no process can be started any more: perhaps another one can answer.
   *
   * @param {ServedVersion} broken
   * @returns {Promise<boolean>} whether there is one
   */
  async #help(broken) {
    while (this.#checking) await this.#checking.catch(() => {});
    await this.check().catch(() => {});
    return this.#current !== broken || this.#hasOther(broken);
  }
}

module.exports = { Track };
