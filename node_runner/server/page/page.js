'use strict';

(async () => {
  // Names of the browser, which the types of Node.js do not know.
  const { document } = /** @type {any} */ (globalThis);
  const byId = (/** @type {string} */ id) => document.getElementById(id);
  const [drop, files, model, secret, token, status, results] = ['drop', 'files', 'model', 'secret', 'token', 'status', 'results'].map(byId);
  let turn = 0;

  /**
   * @param {string} text
   * @param {boolean} [failed]
   */
  function say(text, failed = false) {
    status.textContent = text;
    status.classList.toggle('error', failed);
  }

  /**
   * @param {string} address
   * @param {object} [options]
   * @returns {Promise<any>}
   */
  async function ask(address, options = {}) {
    /** @type {Record<string, string>} */
    const headers = token.value ? { authorization: `Bearer ${token.value}` } : {};
    const response = await fetch(address, { ...options, headers });
    /** @type {any} */
    const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}` }));
    if (response.status === 401) secret.hidden = false;
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }

  /**
   * @param {string} tag
   * @param {Record<string, unknown>} properties
   * @param {...any} children
   */
  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  /**
   * @param {Blob} picture
   * @param {{label: string, probability: number}[]} answers
   */
  function show(picture, answers) {
    const shown = element('img', { src: URL.createObjectURL(picture), alt: 'The picture that was classified' });
    shown.addEventListener('load', () => URL.revokeObjectURL(shown.src));
    const rows = answers.map(({ label, probability }) => {
      const share = `${(probability * 100).toFixed(1)} %`;
      const row = element('div', { className: 'row' }, element('span', {}, label), element('progress', { value: probability, ariaLabel: label }), element('span', {}, share));
      Object.assign(row.dataset, { label, probability: String(probability) });
      return row;
    });
    results.append(element('figure', {}, shown, element('div', {}, ...rows)));
  }

  /** @param {Iterable<any>} list */
  async function classify(list) {
    const mine = ++turn;
    const pictures = [...list];
    if (pictures.length === 0) return;
    results.replaceChildren();
    say('Looking at it…');
    const form = new FormData();
    for (const picture of pictures) form.append('file', picture, picture.name);
    try {
      const started = performance.now();
      const answer = await ask(`classify?topK=5&model=${encodeURIComponent(model.value)}`, { method: 'POST', body: form });
      if (mine !== turn) return;
      answer.results.forEach((/** @type {any} */ result, /** @type {number} */ i) => show(pictures[i], result.answers));
      say(`Answered in ${(performance.now() - started).toFixed(0)} ms.`);
    } catch (error) {
      if (mine === turn) say(/** @type {Error} */ (error).message, true);
    }
  }

  async function listModels() {
    try {
      const { models } = await ask('models');
      model.replaceChildren(...models.map((/** @type {{name: string}} */ { name }) => element('option', { value: name }, name)));
      say('Ready.');
      status.dataset.ready = 'true';
    } catch (error) {
      say(/** @type {Error} */ (error).message, true);
    }
  }

  token.addEventListener('change', listModels);
  files.addEventListener('change', () => classify(files.files));
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    drop.addEventListener(type, (/** @type {any} */ event) => {
      event.preventDefault();
      drop.classList.toggle('over', type === 'dragenter' || type === 'dragover');
      if (type === 'drop') classify(event.dataTransfer.files);
    });
  }
  await listModels();
})();
