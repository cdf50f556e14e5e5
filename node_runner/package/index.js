'use strict';

const { DeployError, ImageError, IntegrityError } = require('./lib/errors');
const { pixelsOf } = require('./lib/image/size');
const { load, loadFrom } = require('./lib/node/load');

module.exports = { load, loadFrom, pixelsOf, DeployError, ImageError, IntegrityError };
