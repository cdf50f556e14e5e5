'use strict';

(async () => {
  // Names of the browser and of TensorFlow.js, which the types of Node.js do not know.
  const { document, navigator, tf } = /** @type {any} */ (globalThis);
  const byId = (/** @type {string} */ id) => document.getElementById(id);
  const [status, drop, file, camera, shown, video, answers] = ['status', 'drop', 'file', 'camera', 'shown', 'video', 'answers'].map(byId);
  let watching = false;
  /** @type {any} */
  let classifier;

  /**
   * @param {string} text
   * @param {boolean} [failed]
   */
  function say(text, failed = false) {
    status.textContent = text;
    status.classList.toggle('error', failed);
  }

  /**
   * @param {{label: string, probability: number}[]} found
   * @param {number} milliseconds
   */
  function show(found, milliseconds) {
    answers.replaceChildren(
      ...found.map(({ label, probability }) => {
        const row = document.createElement('div');
        row.className = 'row';
        row.dataset.label = label;
        row.dataset.probability = String(probability);
        const name = document.createElement('span');
        name.textContent = label;
        const bar = document.createElement('div');
        bar.className = 'bar';
        const fill = document.createElement('i');
        fill.style.width = `${probability * 100}%`;
        bar.append(fill);
        const share = document.createElement('span');
        share.textContent = `${(probability * 100).toFixed(1)} %`;
        row.append(name, bar, share);
        return row;
      }),
    );
    say(`Answered in ${milliseconds.toFixed(0)} ms.`);
  }

  /** @param {any} input */
  async function classify(input) {
    const started = performance.now();
    show(await classifier.classify(input, { topK: 5 }), performance.now() - started);
  }

  /** @param {Blob | undefined} picture */
  async function take(picture) {
    if (!picture) return;
    stop();
    answers.replaceChildren();
    say('Looking at it…');
    URL.revokeObjectURL(shown.src);
    shown.src = URL.createObjectURL(picture);
    shown.hidden = false;
    try {
      await classify(picture);
    } catch (error) {
      say(/** @type {Error} */ (error).message, true);
    }
  }

  function stop() {
    watching = false;
    video.srcObject?.getTracks().forEach((/** @type {any} */ track) => track.stop());
    video.srcObject = null;
    video.hidden = true;
    camera.textContent = 'Use the camera';
  }

  async function watch() {
    if (watching) return stop();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      await video.play();
    } catch (error) {
      return say(`The camera cannot be used: ${/** @type {Error} */ (error).message}`, true);
    }
    watching = true;
    video.hidden = false;
    shown.hidden = true;
    camera.textContent = 'Stop the camera';
    say('Looking…');
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', { willReadFrequently: true });
    while (watching) {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      context.drawImage(video, 0, 0);
      await classify(context.getImageData(0, 0, canvas.width, canvas.height));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  try {
    if (!tf) throw new Error('TensorFlow.js is missing: start this page with `node demo.js`, or put tf.min.js beside it.');
    await tf.ready();
    const { loaderOf } = await import(/** @type {string} */ ('./lib/browser/bundle.mjs'));
    classifier = await loaderOf({})({ folder: './', tf });
  } catch (error) {
    return say(/** @type {Error} */ (error).message, true);
  }
  say(`Ready: ${classifier.labels.length} labels.`);
  status.dataset.ready = 'true';
  camera.disabled = false;
  camera.addEventListener('click', watch);
  file.addEventListener('change', () => take(file.files[0]));
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    drop.addEventListener(type, (/** @type {any} */ event) => {
      event.preventDefault();
      drop.classList.toggle('over', type === 'dragenter' || type === 'dragover');
      if (type === 'drop') take(event.dataTransfer.files[0]);
    });
  }
})();
