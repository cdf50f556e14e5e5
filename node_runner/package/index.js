'use strict';

const path = require('path');

const { DeployError, ImageError, IntegrityError } = require('./lib/errors');
const { pixelsOf } = require('./lib/image/size');
const { loadFrom, loaderOf } = require('./lib/node/load');

// Written out one by one: tools that find out which files a program needs (as Next.js does for `output: 'standalone'`) read this.
const load = loaderOf([
  path.join(__dirname, 'manifest.json'),
  path.join(__dirname, 'model'),
  path.join(__dirname, 'graph'),
  path.join(__dirname, 'saved_model'),
]);

module.exports = { load, loadFrom, pixelsOf, DeployError, ImageError, IntegrityError };
