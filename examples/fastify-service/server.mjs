import Fastify from 'fastify';

import { load } from './model/index.mjs'; // pybridge, line 1 of 3

const app = Fastify({ bodyLimit: 10e6, forceCloseConnections: true });
const classifier = await load(); // line 2
const returned = new Map();

app.addContentTypeParser(/^image\//, { parseAs: 'buffer' }, (request, body, done) => done(null, body));

app.get('/returns/:parcel', (request, reply) => {
  const found = returned.get(request.params.parcel);
  return found ?? reply.code(404).send({ error: 'No such parcel' });
});

app.put('/returns/:parcel', async (request, reply) => {
  const { parcel } = request.params;
  const entry = { parcel, bytes: request.body.length };
  [entry.content] = await classifier.classify(request.body, { topK: 1 }); // line 3
  returned.set(parcel, entry);
  return reply.code(201).send(entry);
});

app.setErrorHandler((error, request, reply) => {
  const status = error.name === 'ImageError' ? 422 : (error.statusCode ?? 500);
  return reply.code(status).send({ error: status < 500 ? error.message : 'Something went wrong' });
});

console.log(await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' }));
