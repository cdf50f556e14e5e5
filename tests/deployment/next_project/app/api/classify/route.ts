import { ImageError, load, type Answer, type Classifier } from 'classifier';

export const runtime = 'nodejs';

let classifier: Promise<Classifier> | undefined;

export async function POST(request: Request): Promise<Response> {
  const photo = (await request.formData()).get('photo');
  if (!(photo instanceof Blob)) return Response.json({ error: 'photo is missing' }, { status: 400 });
  classifier ??= load({ runtime: 'wasm' });
  try {
    const answers: Answer[] = await (await classifier).classify(photo, { signal: request.signal });
    return Response.json(answers);
  } catch (error) {
    if (error instanceof ImageError) return Response.json({ error: error.message, code: error.code }, { status: 422 });
    throw error;
  }
}
