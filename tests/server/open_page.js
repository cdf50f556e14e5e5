'use strict';

// Opens the server's page in a browser, gives it pictures by choice and by drop, and prints what it shows. Reads
// {url, browser, files, bad} on stdin.

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');

const { chromium } = createRequire(path.join(process.cwd(), 'index.js'))('playwright-core');
const { url, browser: executablePath, files, bad } = JSON.parse(fs.readFileSync(0, 'utf8'));

async function main() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.text().includes('Content Security Policy') && errors.push(message.text()));
    await page.goto(url);
    await page.waitForSelector('#status[data-ready], #status.error', { timeout: 60000 });
    const figures = async (count) => {
      await page.waitForFunction((wanted) => globalThis.document.querySelectorAll('figure').length === wanted, count, { timeout: 60000 });
      return page.$$eval('figure', (found) =>
        found.map((figure) => [...figure.querySelectorAll('.row')].map(({ dataset }) => ({ label: dataset.label, probability: Number(dataset.probability) }))),
      );
    };
    await page.setInputFiles('#files', files);
    const chosen = await figures(files.length);
    // A phone, and a label without a place to break.
    await page.$eval('.row span', (label) => (label.textContent = 'x'.repeat(100)));
    await page.setViewportSize({ width: 360, height: 640 });
    const narrow = await page.evaluate(() => globalThis.document.documentElement.scrollWidth);
    await page.setInputFiles('#files', bad);
    await page.waitForSelector('#status.error');
    const complaint = await page.textContent('#status');
    const transfer = await page.evaluateHandle((base64) => {
      const list = new globalThis.DataTransfer();
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      list.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
      return list;
    }, fs.readFileSync(files[0]).toString('base64'));
    await page.dispatchEvent('#drop', 'drop', { dataTransfer: transfer });
    const dropped = await figures(1);
    process.stdout.write(JSON.stringify({ chosen, complaint, dropped, errors, narrow }));
  } finally {
    await browser.close();
  }
}

main();
