/** Checked by `npm run typecheck`: a script that uses all that node_runner/index.d.ts describes. */

import { context, type Context, type NDArray, type PythonFunction } from 'pybridge';

export function sum(this: Context, array: NDArray): number {
  this.progress({ elements: array.size, shape: array.shape });
  this.signal.throwIfAborted();
  return array.toTensor<{ dataSync(): number[] }>(this.tf).dataSync().reduce((total, value) => total + value, 0);
}

export const each = async (items: string[], callback: PythonFunction<[string], number>): Promise<number[]> => {
  const lengths: number[] = [];
  for (const item of items) {
    context.signal.throwIfAborted();
    lengths.push(await callback(item));
  }
  return lengths;
};

// @ts-expect-error there is no such dtype
export const wrong: NDArray['dtype'] = 'float128';
