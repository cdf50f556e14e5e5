'use strict';

const fs = require('fs');
const path = require('path');

const { HIDDEN } = require('../description');

/** @type {[string, string, string][]} */
const FILES = [
  ['/', 'page.html', 'text/html; charset=utf-8'],
  ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/page.css', 'page.css', 'text/css; charset=utf-8'],
];
const POLICY = "default-src 'self'; img-src blob: data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/**
 * A page for people, to try the models with.
 *
 * @param {import('../router').Router} router
 */
function addPage(router) {
  for (const [url, name, type] of FILES) {
    const content = fs.readFileSync(path.join(__dirname, '..', 'page', name));
    router.add('GET', url, HIDDEN, (_request, reply) => {
      reply.type(type).header('content-security-policy', POLICY).header('cache-control', 'no-cache');
      return content;
    });
  }
}

module.exports = { addPage };
