// Answers HTTP requests with a bundled route handler, as Next.js does. Prints its address.
import { createServer } from 'node:http';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const { POST } = await import(pathToFileURL(path.resolve(process.argv[2])).href);

const server = createServer(async (incoming, outgoing) => {
  const body = Readable.toWeb(incoming);
  const request = new Request(`http://localhost${incoming.url}`, { method: 'POST', headers: incoming.headers, body, duplex: 'half' });
  const answer = await POST(request).catch((error) => new Response(String(error), { status: 500 }));
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
