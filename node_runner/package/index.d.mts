/** One answer: how probable a label is, from 0 to 1. */
export interface Answer {
  label: string;
  probability: number;
}

/** What is used of a TensorFlow.js tensor; those of every build of TensorFlow.js fit. */
export interface TensorLike {
  readonly shape: number[];
  readonly dtype: string;
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** Pixels row by row: 1 (grey), 3 (RGB) or 4 (RGBA, alpha is dropped) numbers for each. A canvas's ImageData fits. */
export interface Pixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}

/** What `for await` reads bytes from, such as a Readable of Node.js; or a ReadableStream of the web. */
export type ByteStream = AsyncIterable<ArrayBufferView> | ReadableStream<Uint8Array>;

/**
 * A picture: the bytes of a JPEG, PNG, GIF, BMP or TIFF file, in Node.js also of a WebP, AVIF or HEIC file where its decoder is
 * installed; its path or `file:` address, what `fetch` answered, a stream of bytes, pixels, or an int32 tensor of shape [height, width, 3] with values from 0 to 255.
 */
export type ImageInput = string | URL | ArrayBufferView | ArrayBuffer | Blob | Response | ByteStream | Pixels | TensorLike;

export interface LoadOptions {
  /** The TensorFlow.js to use, such as `require('@tensorflow/tfjs-node')`; by default the one that is installed. */
  tf?: object;
  /** Which TensorFlow.js to look for where `tf` is not given; `auto` tries these in order. */
  runtime?: 'auto' | 'tfjs-node' | 'wasm' | 'cpu';
  /**
   * Which form of the model runs; `auto` takes the SavedModel where it gives the same bits as training, and the fused graph,
   * which is faster than the layers, on other backends than TensorFlow's own.
   */
  form?: 'auto' | 'graph' | 'layers' | 'saved_model';
  /** Whether to compare with Python on a picture that the package knows; default true. */
  check?: boolean;
  /**
   * How many threads may decode pictures, so that the one that calls is not blocked; 0 for none, default up to 4. They start when they are
   * needed and do not keep the process alive. The SavedModel form decodes in TensorFlow instead.
   */
  decodeThreads?: number;
  /** How many seconds a thread may take for one picture, which is then refused; default 30. */
  decodeTimeout?: number;
  /** Pictures with more pixels are refused; default 178956970. */
  maxPixels?: number;
  /** Files with more bytes are refused; default 268435456. */
  maxBytes?: number;
}

export interface ClassifyOptions {
  /** How many answers; all by default. */
  topK?: number;
  /** Rejects with the signal's reason once it is aborted. */
  signal?: AbortSignal;
}

export interface ClassifyManyOptions extends ClassifyOptions {
  /** Pictures in memory at a time; default 16. */
  batchSize?: number;
}

/** What `manifest.json` says: where the model comes from, how good it is, and the hash of every file. */
export interface Manifest {
  readonly format: 'pybridge-package';
  readonly version: 1;
  readonly labels: readonly string[];
  readonly [key: string]: unknown;
}

export interface Classifier {
  /** The labels, in the order of the model's output. */
  readonly labels: readonly string[];
  readonly manifest: Manifest;
  /** Which TensorFlow.js computes: `tfjs-node`, `wasm`, `cpu`, or the backend of the one that was given. */
  readonly runtime: string;
  readonly form: 'graph' | 'layers' | 'saved_model';
  /** Answers best first. Rejects with `ImageError` or `DeployError`. */
  classify(input: ImageInput, options?: ClassifyOptions): Promise<Answer[]>;
  /** Answers in the order of the inputs. The error of a picture has its `index`. */
  classifyMany(inputs: Iterable<ImageInput>, options?: ClassifyManyOptions): Promise<Answer[][]>;
  /**
   * For servers: the probabilities of each image of one batch in the order of `labels`, or the error of one that cannot be used, which
   * costs the others nothing.
   */
  settle(inputs: ImageInput[]): Promise<(Float32Array | Error)[]>;
  /**
   * From preprocessed float32 tensors of shape [images, height, width, 3] to probabilities of shape [images, labels]. Both tensors are
   * the caller's to dispose of.
   */
  predict(batch: TensorLike): TensorLike;
  /** Frees the model; later calls are rejected. */
  dispose(): void;
}

/** An input or output: a size of its shape that is null is free, and so is a shape. */
export interface Port {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | null)[] | null;
}

/** A model that is no classifier, of a package that says so. */
export interface Predictor {
  readonly manifest: Manifest;
  readonly runtime: string;
  readonly form: 'layers' | 'graph' | 'saved_model';
  readonly signatures: Readonly<Record<string, { readonly inputs: readonly Port[]; readonly outputs: readonly Port[] }>>;
  /**
   * Takes one tensor, several in the order of the signature's inputs, or an object of them by name; gives the tensor, or for several
   * outputs an object of them by name. All of them are the caller's to dispose of.
   */
  predict(
    tensors: TensorLike | readonly TensorLike[] | Readonly<Record<string, TensorLike>>,
    options?: { signature?: string },
  ): Promise<any>;
  /** Frees the model; later calls are rejected. */
  dispose(): void;
}

export interface LoadHereOptions extends LoadOptions {
  /** Where the package's files are, if a bundler has moved its code: a path; in a browser, the address where they are served. */
  folder?: string | URL;
}

/**
 * Checks the package's files and loads its model. Rejects with `IntegrityError` or `DeployError`. In a browser there are the options `tf`,
 * `folder`, `check`, `maxPixels` and `maxBytes`.
 */
export function load(options?: LoadHereOptions): Promise<Classifier>;

export interface LoadFromOptions extends LoadOptions {
  /** Makes layer classes known that TensorFlow.js lacks, in place of the file that such a package has for it. */
  registerLayers?: (tf: object) => unknown;
  /** Is given each `saved_model.pb` before TensorFlow opens it, and throws for one that is not to be opened. */
  checkGraph?: (file: Uint8Array, name: string) => void;
}

/** The same for the package in another folder, which is data: nothing of its JavaScript runs. */
export function loadFrom(folder: string, options?: LoadFromOptions): Promise<Classifier>;

/** How many pixels a picture file says it has, without decoding it; null where it does not. */
export function pixelsOf(file: Uint8Array): number | null;

/** Base class of the errors that are thrown on purpose. */
export class DeployError extends Error {
  constructor(message: string, code: string);
  /** Stable, for programs: `ERR_INPUT`, `ERR_RUNTIME`, `ERR_DISPOSED`, `ERR_INTEGRITY`, `ERR_IMAGE_...`, `ERR_NOT_AN_IMAGE`. */
  readonly code: string;
  /** In `classifyMany`: which of the inputs. */
  readonly index?: number;
}

/** A file of the package is missing or altered. */
export class IntegrityError extends DeployError {}

/** A picture cannot be decoded. */
export class ImageError extends DeployError {}
