/**
 * What a script's function receives that Python calls by `node.call`, and what it may return.
 *
 * Name this file in the `include` of a project's `tsconfig.json`; `python -c "import pybridge; print(pybridge.Node.types_file())"` says
 * where it is.
 */
declare module 'pybridge' {
  type DType =
    | 'bool'
    | 'int8'
    | 'uint8'
    | 'int16'
    | 'uint16'
    | 'int32'
    | 'uint32'
    | 'int64'
    | 'uint64'
    | 'float16'
    | 'float32'
    | 'float64'
    | 'complex64'
    | 'string';

  type TypedArray =
    | Int8Array
    | Uint8Array
    | Int16Array
    | Uint16Array
    | Int32Array
    | Uint32Array
    | BigInt64Array
    | BigUint64Array
    | Float32Array
    | Float64Array;

  /**
   * A numpy array, in C order. `data` by dtype: the typed array of the same name; bool: Uint8Array of 0 and 1; float16: Uint16Array of the
   * bits; complex64: Float32Array of real and imaginary parts in turn; string: a list of Uint8Array.
   */
  export interface NDArray {
    readonly dtype: DType;
    readonly shape: number[];
    readonly data: TypedArray | Uint8Array[];
    /** Number of elements. */
    readonly size: number;
    /**
     * A TensorFlow.js tensor: integers become int32, float16 and float64 become float32.
     *
     * @throws RangeError where int32 cannot hold an integer
     */
    toTensor<Tensor>(tf: { tensor(...values: any[]): Tensor }): Tensor;
  }

  /** A Python function that was given as an argument. What it raises rejects the promise, with the exception's name and message. */
  export type PythonFunction<Arguments extends unknown[] = any[], Result = any> = (...values: Arguments) => Promise<Result>;

  /** What a function has as `this`. */
  export interface Context<TensorFlow = any> {
    /** Fires when Python gives the call up. */
    readonly signal: AbortSignal;
    /** Tells Python's `on_progress` a value. */
    progress(value: unknown): void;
    /** The TensorFlow.js of the process; with types: `Context<typeof import('@tensorflow/tfjs-node')>`. */
    readonly tf: TensorFlow;
  }

  /** The same for functions without `this`: of the call in which it is asked. */
  export const context: Context;
}
