"""The texts of a package: ``package.json`` and ``README.md``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pybridge.deployment.drift import describe_drift
from pybridge.deployment.javascript import BROWSER_FILE
from pybridge.report.metrics import wilson_interval
from pybridge.text import markdown_code

# tfjs 4.10 is the first whose layers read the weights of a model as they are written today; 5 does not exist yet.
_TENSORFLOW_JS = ">=4.10.0 <5"
# Only `npm install` inside the package gives these: a service that requires the classifier does without, or has another Fastify.
_SERVER = {"@fastify/multipart": "^10.1.9", "@fastify/swagger": "^9.9.3", "fastify": "^5.12.8", "prom-client": "^15.1.3"}
_SERVED_ON = {"@tensorflow/tfjs": "^4.22.0", "@tensorflow/tfjs-backend-wasm": "^4.22.0"}
# What decodes WebP, AVIF and HEIC files; each where a service has such files.
_DECODERS = {"@jsquash/avif": "^2.1.1", "@jsquash/webp": "^1.5.0", "heic-decode": "^2.1.0"}
_PEERS = ("@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm", "@tensorflow/tfjs-node")


def _quality(manifest: Mapping[str, Any]) -> str:
    metrics, judged = manifest["metrics"], manifest["judged"]
    images = judged["images"]
    low, high = wilson_interval(round(metrics["accuracy"] * images), images)
    where = {
        "validation": f"the {images} images kept to judge by",
        "held-out folds": f"all {images} images, each judged by a head that had not seen it",
    }.get(judged["by"], f"the {images} images that it was trained on, which is no measure of new ones")
    balanced = metrics.get("balanced_accuracy")
    return f"Accuracy {metrics['accuracy']:.4f} (95 % interval {low:.3f} to {high:.3f}) on {where}" + (
        "" if balanced is None else f"; balanced over the classes {balanced:.4f}"
    )


def package_name(text: str) -> str:
    """Makes a valid npm package name of a folder's name.

    Example:
        >>> package_name("My Model (2)")
        'my-model-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:100] or "classifier"


def package_json(name: str, version: str, description: str, layers: str | None = None) -> bytes:
    """The npm description of a package.

    Args:
        name: For npm.
        version: For npm.
        description: For npm.
        layers: The package's file with the layer classes that TensorFlow.js lacks, if its model needs any.
    """
    document = {
        "name": name,
        "version": version,
        "description": description,
        "license": "UNLICENSED",
        "main": "./index.js",
        "browser": f"./{BROWSER_FILE}",
        "types": "./index.d.ts",
        "exports": {
            ".": {
                "browser": {"types": "./index.d.mts", "default": f"./{BROWSER_FILE}"},
                "import": {"types": "./index.d.mts", "default": "./index.mjs"},
                "require": {"types": "./index.d.ts", "default": "./index.js"},
            },
            "./manifest.json": "./manifest.json",
            "./package.json": "./package.json",
        },
        # What the server runs, whichever packages it serves.
        "imports": {"#classifier": "./index.js", **({"#layers": f"./{layers}"} if layers else {})},
        "type": "commonjs",
        "sideEffects": False,
        "files": ["index.*", BROWSER_FILE, "demo*", "lib", "model", "graph", "saved_model", "server", "manifest.json"],
        "bin": {name.rpartition("/")[2]: "./server/main.js"},
        "scripts": {"demo": "node demo.js", "start": "node server/main.js"},
        "engines": {"node": ">=18"},
        "peerDependencies": {**dict.fromkeys(_PEERS, _TENSORFLOW_JS), **_DECODERS},
        "peerDependenciesMeta": {peer: {"optional": True} for peer in (*_PEERS, *_DECODERS)},
        "devDependencies": {**_SERVED_ON, **_SERVER},
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def model_readme(name: str, manifest: Mapping[str, Any]) -> bytes:
    """What the package of a model that is no classifier is, and how it is used."""
    signatures = manifest["signatures"][manifest["default_signature"]]
    example = ", ".join(f"{json.dumps(port['name'])}: tensor" for port in signatures["inputs"])
    shown = "\n".join(
        f"- {markdown_code(each)}: takes {_ports(ports['inputs'])}, gives {_ports(ports['outputs'])}"
        for each, ports in manifest["signatures"].items()
    )
    return f"""# {name}

A model that takes tensors, packed by pybridge {manifest["versions"]["pybridge"]}. Its signatures:

{shown}

```js
const {{ load }} = require('{name}');

const model = await load();
const output = await model.predict({{ {example} }}); // a tensor, or for several outputs tensors by name
```

`predict(tensors, {{ signature }})` takes one tensor, several in order, or an object by name. `npm install && npm start` serves it
as TensorFlow Serving does (`POST /v1/models/NAME:predict`, `:regress`) and as KServe's protocol v2.
""".encode()


def _ports(ports: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(markdown_code(f"{port['name']} {port['dtype']} {port['shape']}".replace("None", "any")) for port in ports)


def readme(name: str, manifest: Mapping[str, Any]) -> bytes:
    """What the package is, how it is used, and how it was measured."""
    labels = manifest["labels"]
    shown = ", ".join(map(markdown_code, labels[:20])) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
    preprocessing = manifest["preprocessing"]
    accuracy = manifest["metrics"].get("accuracy")
    facts = [
        f"- Labels: {shown}",
        f"- Input: {preprocessing['width']} x {preprocessing['height']} pixels; the package prepares images as training did",
        f"- Base model: {markdown_code(manifest['base'])}",
        f"- Weights: {manifest['model']['precision']}",
    ]
    if accuracy is not None:
        facts.append(f"- {_quality(manifest)}")
    if measured := manifest["precision_drift"]:
        facts.append(f"- Against float32 weights: {describe_drift(measured)}")
    text = f"""# {name}

An image classifier, trained and packed by pybridge {manifest["versions"]["pybridge"]}.

{chr(10).join(facts)}

## Use

It runs on the TensorFlow.js that your service has. Without native code:

```sh
npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm
```

or `@tensorflow/tfjs-node`. Then, in CommonJS or ESM:

```js
const {{ load }} = require('{name}'); // import {{ load }} from '{name}'

const classifier = await load();
const [best] = await classifier.classify(bytesOrPathOrPixelsOrTensor);
console.log(best.label, best.probability);
```

- `classify(input, {{ topK, signal }})`: answers best first. `input` is the bytes of a picture file (`Buffer`,
  `Uint8Array`, `ArrayBuffer`, `Blob`), a stream of them or the `Response` of `fetch`, its path or `file:` URL,
  `{{ data, width, height }}`, or an int32 tensor `[height, width, 3]`.
- `classifyMany(inputs, {{ batchSize, topK, signal }})`: the same for many.
- `predict(tensor)`: preprocessed float32 tensors `[images, {preprocessing["height"]}, {preprocessing["width"]}, 3]` to
  probabilities.
- `dispose()`, `labels`, `manifest`, `runtime`.
- `load({{ tf }})` uses a TensorFlow.js that you loaded; `load({{ runtime: 'wasm' }})` looks for that one only.
- The model comes as layers, to be trained further in any TensorFlow.js (`model/`), and, where that is possible, as a graph with
  fused operations (`graph/`), which runs on other backends than tfjs-node's; `load({{ form: 'layers' }})` takes the first.
- JPEG, PNG, GIF, BMP and TIFF files are decoded by the package itself, to the pixels that training saw; WebP, AVIF and HEIC
  files by decoders that you install where you have such files: `npm install @jsquash/webp`, `@jsquash/avif`, `heic-decode`. That
  of WebP gives the same pixels, that of AVIF those of all but saturated colours; that of HEIC rounds colours otherwise.
- Pictures are decoded in up to four threads, which start when they are needed and end with the process;
  `load({{ decodeThreads }})` sets how many, 0 for none.
- The model's files lie beside the code: name this package among the external ones of a bundler (esbuild
  `--external:{name}`, Next.js `serverExternalPackages: ['{name}']`); `output: 'standalone'` then takes its files along. Or bundle
  it into one file, copy this folder beside that, and say where it is: `load({{ folder: __dirname + '/{name}' }})` (esbuild
  `--bundle --platform=node --external:@tensorflow/*`).

## In a web page

A bundler takes `browser.mjs`, which needs `@tensorflow/tfjs`. Vite and webpack copy the model's files themselves (Vite's
development server needs `optimizeDeps: {{ exclude: ['{name}'] }}`); for esbuild, or where they are served elsewhere, say where:

```js
import {{ load }} from '{name}';

const classifier = await load({{ folder: '/{name}/' }}); // without an argument where the bundler has copied them
const answers = await classifier.classify(await fetch('photo.jpg'));
```

## Serve

```sh
npm install && npm start -- --port 8501 # in this folder; it says when it is ready
curl --data-binary @photo.jpg http://127.0.0.1:8501/classify
```

It also answers as TensorFlow Serving does (`/v1/models/NAME:predict`, `:classify`, with images as `{{"b64": ...}}`) and as
KServe's protocol v2 (`/v2/models/NAME/infer`), and has a page for people at `/`, `/healthz`, `/readyz`, `/metrics` and
`/openapi.json`. In a project that has this package installed,
`npm install fastify @fastify/multipart @fastify/swagger prom-client` once, then `npx {name}`. `--help` lists the options: limits,
workers, a bearer token, several models.

## Errors

Errors are `ImageError` (the picture), `IntegrityError` (a file of this package) and `DeployError` (arguments, TensorFlow.js);
each has a `code`. Decoding follows TensorFlow's decoder bit by bit, in plain JavaScript; `load` compares what runs (the model's
files, the labels and their order, the preprocessing, this code as far as it is there) with the SHA-256 in `manifest.json`,
and the model's answer for one picture with Python's.

A page to try it: `npm run demo` (needs `@tensorflow/tfjs`). The code is under the Apache License 2.0; the licence of the model is
yours to state in `package.json`.
"""
    return text.encode()
