'use strict';

// Opens a page in a browser and prints what it keeps in `globalThis.found`. Reads {url, browser} on stdin.

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');

const { chromium } = createRequire(path.join(process.cwd(), 'index.js'))('playwright-core');
const { url, browser: executablePath } = JSON.parse(fs.readFileSync(0, 'utf8'));

async function main() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    const said = [];
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('console', (message) => said.push(message.text()));
    await page.goto(url);
    await page.waitForFunction(() => globalThis.found, null, { timeout: 60000 }).catch((error) => Promise.reject(new Error(`${error.message} ${said}`)));
    process.stdout.write(JSON.stringify(await page.evaluate(() => globalThis.found)));
  } finally {
    await browser.close();
  }
}

main();
