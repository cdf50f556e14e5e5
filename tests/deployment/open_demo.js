'use strict';

// Opens a package's demo in a browser, gives it pictures by click and by drop, and prints what it shows. Reads
// {url, browser, files, bad} on stdin.

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');

const { chromium } = createRequire(path.join(process.cwd(), 'index.js'))('playwright-core');
const { url, browser: executablePath, files, bad } = JSON.parse(fs.readFileSync(0, 'utf8'));

const camera = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
async function main() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', ...camera] });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(url);
    await page.waitForSelector('#status[data-ready], #status.error', { timeout: 120000 });
    const status = await page.textContent('#status');
    const rows = async () => {
      await page.waitForSelector('.row, #status.error', { timeout: 60000 });
      return page.$$eval('.row', (found) => found.map((row) => ({ label: row.dataset.label, probability: Number(row.dataset.probability) })));
    };
    const clicked = [];
    for (const file of files) {
      await page.setInputFiles('#file', file);
      clicked.push(await rows());
    }
    const [first] = files;
    const transfer = await page.evaluateHandle((base64) => {
      const list = new globalThis.DataTransfer();
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      list.items.add(new File([bytes], 'dropped.jpg', { type: 'image/jpeg' }));
      return list;
    }, fs.readFileSync(first).toString('base64'));
    await page.dispatchEvent('#drop', 'drop', { dataTransfer: transfer });
    const dropped = await rows();
    await page.setInputFiles('#file', bad);
    await page.waitForSelector('#status.error');
    const complaint = await page.textContent('#status');
    await page.click('#camera');
    await page.waitForSelector('.row', { timeout: 60000 });
    const seen = await rows();
    await page.click('#camera');
    process.stdout.write(JSON.stringify({ status, clicked, dropped, complaint, seen, errors }));
  } finally {
    await browser.close();
  }
}

main();
