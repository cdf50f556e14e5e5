'use strict';

const express = require('express');
const multer = require('multer');

const classifier = require('./model').load(); // pybridge, line 1 of 3

const app = express();
const upload = multer({ limits: { fileSize: 10e6, files: 1 } });
const listings = [];

app.get('/listings', (request, response) => response.json(listings));

app.post('/listings', upload.single('photo'), async (request, response) => {
  if (!request.file) return response.status(400).json({ error: 'A listing needs a photo' });
  const listing = { id: listings.length + 1, title: request.body.title, bytes: request.file.size };
  const [best] = await (await classifier).classify(request.file.buffer, { topK: 1 }); // line 2
  Object.assign(listing, { category: best.label, probability: best.probability }); // line 3
  listings.push(listing);
  return response.status(201).json(listing);
});

// Express knows by the four arguments that this handles errors.
app.use((error, request, response, _next) => {
  const isTheirs = error.name === 'ImageError' || error.name === 'MulterError';
  response.status(isTheirs ? 422 : 500).json({ error: isTheirs ? error.message : 'Something went wrong' });
});

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
