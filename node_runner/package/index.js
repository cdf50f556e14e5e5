'use strict';

const { DeployError, ImageError, IntegrityError } = require('./lib/errors');
const { load, loadFrom } = require('./lib/node/load');

module.exports = { load, loadFrom, DeployError, ImageError, IntegrityError };
