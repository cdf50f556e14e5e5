'use strict';

/**
 * Runs in a browser: loads a model and inputs from the server that served this page, computes, and posts the outputs. Nothing is
 * read from elsewhere.
 */

/** @type {any} */
const tf = /** @type {any} */ (globalThis).tf;

main().catch((error) => post('error', new Blob([`${error.name}: ${error.message}`])));

async function main() {
  const task = await (await fetch('task.json')).json();
  if (task.backend === 'wasm') tf.wasm.setWasmPaths('wasm/dist/');
  if (!(await tf.setBackend(task.backend))) throw new Error(`the backend ${task.backend} does not start in this browser`);
  await tf.ready();
  if (task.layerClasses) await loadScript('model/pybridge-layers.js');
  const model = task.kind === 'graph' ? await tf.loadGraphModel('model/model.json') : await tf.loadLayersModel('model/model.json');
  let seconds = 0;
  for (const [number, inputs] of task.batches.entries()) {
    const tensors = await Promise.all(inputs.map((/** @type {any} */ spec, /** @type {number} */ i) => read(spec, `inputs/${number}/${i}`, model.inputs[i])));
    const started = performance.now();
    const outputs = await compute(task.kind, model, tensors);
    const values = await Promise.all(outputs.map((output) => output.data()));
    seconds += (performance.now() - started) / 1000;
    for (const [position, output] of outputs.entries()) {
      const data = output.dtype === 'bool' ? Int32Array.from(values[position]) : values[position];
      const dtype = data instanceof Int32Array ? 'int32' : 'float32';
      await post(`outputs/${number}/${position}/${dtype}/${output.shape.join('x')}`, new Blob([data]));
    }
    tf.dispose([tensors, outputs]);
  }
  await post('done', new Blob([JSON.stringify({ seconds, bits: bits(task.backend), note: note(task.backend) })]));
}

/**
 * @param {{shape: number[], dtype: string}} spec
 * @param {string} place
 * @param {any} port the model's input
 */
async function read({ shape, dtype }, place, port) {
  const buffer = await (await fetch(place)).arrayBuffer();
  const data = dtype === 'int32' ? new Int32Array(buffer) : new Float32Array(buffer);
  return tf.tidy(() => tf.tensor(data, shape, dtype).cast(port.dtype));
}

/**
 * @param {string} kind
 * @param {any} model
 * @param {any[]} tensors
 * @returns {Promise<any[]>}
 */
async function compute(kind, model, tensors) {
  if (kind === 'graph') {
    const named = Object.fromEntries(tensors.map((tensor, i) => [model.inputs[i].name, tensor]));
    const outputs = await model.executeAsync(named, model.outputs.map((/** @type {any} */ output) => output.name));
    return Array.isArray(outputs) ? outputs : [outputs];
  }
  const outputs = model.predictOnBatch(tensors.length === 1 ? tensors[0] : tensors);
  return Array.isArray(outputs) ? outputs : [outputs];
}

/** @param {string} backend */
function bits(backend) {
  return backend === 'webgl' && !tf.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED') ? 16 : 32;
}

/** @param {string} backend */
function note(backend) {
  if (backend === 'wasm') return `threads: ${tf.wasm.getThreadsCount()}`;
  const gl = document.createElement('canvas').getContext('webgl2');
  const extension = gl?.getExtension('WEBGL_debug_renderer_info');
  return gl && extension ? String(gl.getParameter(extension.UNMASKED_RENDERER_WEBGL)) : null;
}

/** @param {string} address */
function loadScript(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = address;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${address} does not load`));
    document.head.append(script);
  });
}

/**
 * @param {string} place
 * @param {Blob} content
 */
async function post(place, content) {
  await fetch(place, { method: 'POST', body: content });
}
