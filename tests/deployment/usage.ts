import { load, DeployError, ImageError, type Answer, type Classifier, type ImageInput } from 'classifier';

async function main(): Promise<string> {
  const classifier: Classifier = await load({ runtime: 'wasm', check: false, maxPixels: 1000, decodeThreads: 0 });
  const inputs: ImageInput[] = [
    'photo.jpg',
    new Uint8Array(3),
    new ArrayBuffer(2),
    Buffer.from('x'),
    new Blob([]),
    { data: new Uint8Array(3), width: 1, height: 1 },
  ];
  const { signal } = new AbortController();
  const many: Answer[][] = await classifier.classifyMany(inputs, { batchSize: 2, topK: 1, signal });
  try {
    await classifier.classify('photo.jpg', { topK: 3, signal });
  } catch (error) {
    if (error instanceof ImageError) return error.code;
    if (error instanceof DeployError) return String(error.index);
  }
  // @ts-expect-error a number is no image
  await classifier.classify(5);
  // @ts-expect-error there is no such backend
  await load({ runtime: 'webgl' });
  // @ts-expect-error labels cannot be changed
  classifier.labels[0] = 'other';
  classifier.dispose();
  return many[0]?.[0]?.label ?? classifier.labels[0] ?? '';
}

void main();
