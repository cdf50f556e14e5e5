'use strict';

const { ServiceError, notFound } = require('../errors');
const { Track } = require('./track');

/**
 * @typedef {import('./served_version').ServedVersion} ServedVersion
 * @typedef {import('./served_version').Settings} Settings
 * @typedef {import('./served_version').Report} Report
 *
 * @typedef {object} Place
 * @property {string} name
 * @property {string} path
 * @property {{version: string, percent: number}} [canary] a version that answers so many of a hundred requests
 * @property {Record<string, string>} [labels] names of versions
 */

/**
 * One model. The newest version that can be loaded answers, beside it those that are asked for by name: the canary, and those that have
 * labels. Each of these is loaded as long as there is one.
 */
class Model {
  #place;
  /** @type {Track} */
  #newest;
  /** @type {Map<string, Track>} */
  #named = new Map();
  #turns = 0;

  /**
   * @param {Place} place
   * @param {Settings} settings
   * @param {Report} report
   */
  constructor(place, settings, report) {
    this.name = place.name;
    this.#place = place;
    const named = new Set([...Object.values(place.labels ?? {}), ...(place.canary ? [place.canary.version] : [])]);
    const hasOther = (/** @type {ServedVersion} */ broken) => {
      const other = this.#stable();
      return other !== null && other !== broken && !other.broken;
    };
    for (const version of named) this.#named.set(version, new Track(place, (each) => each === version, settings, report, hasOther));
    this.#newest = new Track(place, (each) => each === null || !named.has(each), settings, report, hasOther);
  }

  /** @returns {boolean} */
  get ready() {
    return this.#stable()?.state === 'AVAILABLE';
  }

  /** @returns {{name: string, versions: {version: string, state: string, error?: string}[], labels: Record<string, string>}} */
  list() {
    return { name: this.name, versions: this.#tracks().flatMap((track) => track.list()), labels: this.labels() };
  }

  /** @returns {Record<string, string>} the version of each label; `stable` is the newest, beside which there may be a `canary` */
  labels() {
    const { canary, labels = {} } = this.#place;
    const stable = this.#stable()?.version;
    return { ...(stable && { stable }), ...(canary && { canary: canary.version }), ...labels };
  }

  /**
   * @param {string | number} [wanted] by default the newest, or for a share of the calls the canary
   * @returns {ServedVersion} that answers
   * @throws {ServiceError}
   */
  version(wanted) {
    if (wanted === undefined) {
      const chosen = this.#turn() ?? this.#stable();
      if (!chosen) throw new ServiceError('UNAVAILABLE', 'The model is not available now', { retryAfterSeconds: 1 });
      return chosen;
    }
    const found = this.#tracks().find(({ current }) => current?.version === String(wanted))?.current;
    if (found) return found;
    const known = this.list().versions.some(({ version }) => version === String(wanted));
    if (known) throw new ServiceError('UNAVAILABLE', 'This version of the model is not available now', { retryAfterSeconds: 1 });
    throw notFound(`The model ${this.name} has no version ${JSON.stringify(String(wanted).slice(0, 40))}`);
  }

  /**
   * Looks for other versions.
   *
   * @param {boolean} [asked] whether somebody asked: then versions that failed are tried again
   * @returns {Promise<void>}
   * @throws {Error} where none can be served
   */
  async check(asked = false) {
    const outcomes = await Promise.allSettled(this.#tracks().map((track) => track.check(asked)));
    if (this.#stable()) return;
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** @returns {import('./served_version').Stats[]} figures of each version */
  stats() {
    return this.#tracks().flatMap((track) => track.stats());
  }

  /** Answers all that was accepted. */
  async empty() {
    await Promise.all(this.#tracks().map((track) => track.empty()));
  }

  async stop() {
    await Promise.all(this.#tracks().map((track) => track.stop()));
  }

  #tracks() {
    return [this.#newest, ...this.#named.values()];
  }

  /** @returns {ServedVersion | null} the newest that works, but the canary only where there is no other */
  #stable() {
    const canary = this.#place.canary?.version;
    const rank = (/** @type {ServedVersion} */ each) => [each.broken ? 0 : 1, each.version === canary ? 0 : 1, BigInt(each.version)];
    const served = this.#tracks().flatMap(({ current }) => current ?? []);
    return served.reduce((/** @type {ServedVersion | null} */ best, each) => (best === null || isMore(rank(each), rank(best)) ? each : best), null);
  }

  /** @returns {ServedVersion | null} the canary, where it is its turn */
  #turn() {
    const { canary } = this.#place;
    const found = canary && this.#named.get(canary.version)?.current;
    if (!canary || !found || found.broken) return null;
    this.#turns += canary.percent;
    if (this.#turns < 100) return null;
    this.#turns -= 100;
    return found;
  }
}

/**
 * @param {(number | bigint)[]} a
 * @param {(number | bigint)[]} b
 * @returns {boolean} whether the first differing one is larger
 */
function isMore(a, b) {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at >= 0 && a[at] > b[at];
}

module.exports = { Model };
